"""A server that knows its clients by their certificates: which one is shown, and whom to trust, the operator says."""

from urllib.parse import quote

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        async with self.env.BILLING.connect() as billing:
            await billing.writable.write(f"INVOICES {quote(request.path)}\r\n")
            lines = b"".join([chunk async for chunk in billing.readable]).decode().splitlines()
        return Response.json({"server": self.env.BILLING.address, "invoices": lines})
