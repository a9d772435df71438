"""An HTTP and WebSocket server, plain on one port and with TLS on another.

``python -m tests.interop.servers.web PORT TLS_PORT CHAIN PRIVATE_KEY``; ``/ahoy`` is a page, or an echo for WebSockets.
"""

from __future__ import annotations

import asyncio
import ssl
import sys

from aiohttp import WSMsgType, web

from tests.interop.clients.page import PAGE

HOST = "127.0.0.1"


async def ahoy(request: web.Request) -> web.StreamResponse:
    """Return the page, or say back what is heard."""
    if "Upgrade" not in request.headers:
        return web.Response(text=PAGE)
    echo = web.WebSocketResponse()
    await echo.prepare(request)
    async for message in echo:
        if message.type is WSMsgType.TEXT:
            await echo.send_str(message.data)
    return echo


async def serve(port: int, tls_port: int, context: ssl.SSLContext) -> None:
    """Serve until the process is ended."""
    app = web.Application()
    app.router.add_get("/ahoy", ahoy)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, HOST, tls_port, ssl_context=context).start()
    await web.TCPSite(runner, HOST, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(sys.argv[3], sys.argv[4])
    # Tickets come unasked, just when a client sends its first request: websockets' blocking client then reads and
    # writes one TLS object in two threads at once, and hangs in one of some hundred runs.
    tls.num_tickets = 0
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), tls))
