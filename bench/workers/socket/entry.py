"""A request that opens a socket, makes one round trip over it and closes it."""

from workers import Response, WorkerEntrypoint

from longshore import connect


class Default(WorkerEntrypoint):
    """Asks the echo server whose port is in ``env``."""

    async def fetch(self, request: object) -> Response:
        """Answer with what came back."""
        async with connect(("127.0.0.1", self.env.ECHO_PORT)) as socket:
            await socket.writable.write(b"ping\n")
            return Response(await socket.readable.read())
