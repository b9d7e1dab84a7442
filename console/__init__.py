"""The operations console: a Streamlit app that talks to the platform over gRPC, GraphQL and HTTP only."""
