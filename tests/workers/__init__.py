"""The SDK: what a worker imports."""
