"""Convert answers of the platform into what a screen shows. Pure functions: no Streamlit, no I/O."""
