"""The event loop with hot sockets."""
