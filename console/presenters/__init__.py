"""From answers of the platform to what a screen shows. Pure functions: no Streamlit, no I/O."""
