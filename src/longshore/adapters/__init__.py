"""``connect()`` for programs that bring their own idea of a connection.

==========================  ========================================================================
``asyncio_streams``         ``open_connection()``, as ``asyncio.open_connection()``
``protocol``                ``create_connection()``, as ``loop.create_connection()``: drives a ``Protocol``
``httpcore_backend``        a network backend for httpcore, a transport for httpx (extra ``httpx``)
==========================  ========================================================================

For a socket that is there already: ``Socket.as_asyncio_streams()``, ``Socket.as_anyio_stream()`` (extra ``anyio``).
"""
