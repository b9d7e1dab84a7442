"""The platform's domain logic, independent of Dagster, Streamlit and gRPC services."""
