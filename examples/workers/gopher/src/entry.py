"""Fetch a page over Gopher (RFC 1436): the selector goes out, the page streams through."""

from workers import Request, Response, WorkerEntrypoint

from longshore import connect


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        socket = connect(self.env.GOPHER_SERVER)  # returns at once, and the next line need not wait for it
        await socket.writable.write(f"{request.path}\r\n")
        return Response(socket.readable, headers={"content-type": "text/plain; charset=utf-8"})
