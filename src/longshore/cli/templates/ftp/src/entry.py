import aioftp
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """GET / lists the files; GET /name streams one."""

    async def fetch(self, request):
        if not request.path.isprintable():  # a line end in it would begin another command
            return Response("no such file\n", status=404)
        client = aioftp.Client()
        await client.connect(self.env.FTP_HOST, self.env.FTP_PORT)
        await client.login(self.env.FTP_USER, self.env.FTP_PASSWORD)
        if request.path == "/":
            names = [path.name async for path, _ in client.list()]
            await client.quit()
            return Response.json(sorted(names))
        if not await client.exists(request.path):
            await client.quit()
            return Response(f"no file {request.path}\n", status=404)
        return Response(download(client, request.path), headers={"content-type": "application/octet-stream"})


async def download(client, path):
    """Yield the file piece by piece: as fast as the client takes it, and never whole in memory."""
    async with client.download_stream(path) as stream:
        async for block in stream.iter_by_block():
            yield block
    await client.quit()
