"""Every example worker serves real HTTP and speaks to a real server."""
