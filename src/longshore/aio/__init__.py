"""Small asyncio primitives that the shells share; knows nothing of sockets."""
