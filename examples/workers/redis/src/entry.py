"""Redis: count the visits of each path, with one client in a global for all requests."""

from functools import cache

from redis.asyncio import Redis
from workers import Request, Response, WorkerEntrypoint, env


@cache
def redis() -> Redis:
    return Redis.from_url(env.REDIS_URL)


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        visits = await redis().incr(f"visits:{request.path}")
        return Response.json({"path": request.path, "visits": visits})
