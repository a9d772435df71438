"""What the HTTP benches serve: workers, and the same answers as a bare ASGI application."""
