"""The Model Context Protocol over the platform: tools and resources for assistants, by HTTP and by stdio."""
