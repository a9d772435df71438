"""Say whether a port is open, with nothing but asyncio, which knows of no rules: `[network]` holds all the same."""

import asyncio

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        host, _, port = dict(request.query).get("address", "").rpartition(":")
        if not host or not port.isdecimal():
            return Response.json({"error": "say where: ?address=host:port"}, status=400)
        try:
            async with asyncio.timeout(5):
                _, writer = await asyncio.open_connection(host, int(port))
        except PermissionError:
            return Response.json({"state": "not allowed"}, status=403)
        except OSError as exc:  # refused, no such name, timed out …
            return Response.json({"state": "closed", "reason": exc.strerror or "timed out"})
        peer = writer.get_extra_info("peername")[0]
        writer.close()
        return Response.json({"state": "open", "address": peer})
