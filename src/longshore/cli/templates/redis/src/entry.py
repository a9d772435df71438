from functools import cache

import redis.asyncio
from workers import Response, WorkerEntrypoint


@cache
def client(url):
    """One client for all requests: globals live as long as the worker does."""
    return redis.asyncio.from_url(url, decode_responses=True)


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        visits = await client(self.env.REDIS_URL).incr(f"visits:{request.path}")
        return Response.json({"path": request.path, "visits": visits})
