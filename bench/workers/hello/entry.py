"""The shortest worker: what the platform itself costs."""

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """Says hello."""

    async def fetch(self, request: object) -> Response:
        """Answer every request alike."""
        return Response("Hello from a worker\n")
