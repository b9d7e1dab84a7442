"""The domain of the platform: no Dagster, no Streamlit, no gRPC service."""
