"""Every example is run against its server."""
