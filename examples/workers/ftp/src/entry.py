"""FTP with aioftp: ``/`` lists the public folder as JSON, any other path streams that file."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import aioftp
from workers import Request, Response, WorkerEntrypoint


async def blocks(stream: aioftp.DataConnectionThrottleStreamIO, connection: AsyncExitStack) -> AsyncIterator[bytes]:
    async with connection, stream:
        async for block in stream.iter_by_block():
            yield block


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        async with AsyncExitStack() as stack:
            ftp = await stack.enter_async_context(aioftp.Client.context(self.env.FTP_HOST, self.env.FTP_PORT))
            files = sorted(str(path) for path, _ in await ftp.list(raw_command="LIST"))
            name = request.path.strip("/")
            if not name:
                return Response.json(files)
            if name not in files:
                return Response(f"no file {name!r}\n", status=404)
            stream = await ftp.download_stream(name)
            return Response(blocks(stream, stack.pop_all()))
