from longshore import connect
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """A gopher hole, seen through the web: GET /about.txt fetches /about.txt."""

    async def fetch(self, request):
        if not request.path.isprintable():  # a line end in it would begin a second request
            return Response("no such page\n", status=404)
        socket = connect(self.env.GOPHER)
        await socket.writable.write(f"{request.path}\r\n")
        # The page streams through: the browser sees the first line while the hole still digs for the last.
        return Response(socket.readable, headers={"content-type": "text/plain; charset=utf-8"})
