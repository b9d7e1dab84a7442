"""From answers of the platform to what a page shows. Pure functions: no Streamlit, no I/O."""
