import asyncssh
from workers import Response, WorkerEntrypoint

COMMANDS = {"/": "uname -a", "/uptime": "uptime", "/disk": "df -h"}
"""What may be run; nothing of a request ever becomes part of a command."""


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if (command := COMMANDS.get(request.path)) is None:
            return Response(f"one of {', '.join(COMMANDS)}\n", status=404)
        host, port = self.env.SSH_HOST, self.env.SSH_PORT
        known = asyncssh.import_known_hosts(f"[{host}]:{port} {self.env.SSH_HOST_KEY}\n")
        login = {"username": self.env.SSH_USER, "password": self.env.SSH_PASSWORD}
        async with asyncssh.connect(host, port, known_hosts=known, client_keys=None, **login) as connection:
            done = await connection.run(command, check=True)
        return Response(done.stdout)
