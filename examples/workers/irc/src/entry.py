"""Say something on IRC (RFC 2812) with ``connect()``: the path is the channel, the body the text.

curl http://localhost:8787/harbour --data 'the tide is in'
"""

from uuid import uuid4

from workers import Request, Response, WorkerEntrypoint

from longshore import connect


async def say(server: str, channel: str, text: str) -> str:
    """Join, say it, leave; return the server's refusal or nothing."""
    nick = f"w{uuid4().hex[:8]}"
    async with connect(server) as socket:
        reader, writer = socket.as_asyncio_streams()
        writer.write(f"NICK {nick}\r\nUSER {nick} 0 * :a worker\r\n".encode())
        async for line in reader:  # until the server ends the connection
            match line.decode(errors="replace").split():
                case ["PING", token]:
                    writer.write(f"PONG {token}\r\n".encode())
                case [_, "001", *_]:
                    writer.write(f"JOIN {channel}\r\nPRIVMSG {channel} :{text}\r\nQUIT\r\n".encode())
                case [_, code, *_] if code[0] in "45" and code != "422":  # 422: it has no message of the day
                    return line.decode(errors="replace")
    return ""


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        text = " ".join((await request.text()).split())  # one line: nobody says more than one command
        refusal = await say(self.env.IRC_SERVER, f"#{request.path.strip('/')}", text)
        return Response(refusal, status=502) if refusal else Response(None, status=204)
