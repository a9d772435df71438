"""SSH with asyncssh: run one command on a server whose key is known, with a key of our own."""

import asyncssh
from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        async with asyncssh.connect(
            self.env.SSH_HOST,
            self.env.SSH_PORT,
            username=self.env.SSH_USER,
            client_keys=[asyncssh.import_private_key(self.env.SSH_PRIVATE_KEY)],
            known_hosts=([asyncssh.import_public_key(self.env.SSH_HOST_KEY)], [], []),
            config=None,
        ) as server:
            done = await server.run("uname -sr", check=True)
        return Response(str(done.stdout))
