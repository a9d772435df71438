from longshore import connect
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    """POST / says the body in the channel."""

    async def fetch(self, request):
        text = " ".join((await request.text()).split())  # one line: a line feed would end the command
        if request.method != "POST" or not text:
            return Response("POST what shall be said\n", status=405, headers={"allow": "POST"})
        async with connect(self.env.IRC) as socket:
            lines = Lines(socket)
            await lines.say(f"NICK {self.env.IRC_NICK}", f"USER {self.env.IRC_NICK} 0 * :{self.env.IRC_NICK}")
            await lines.until(" 001 ")  # welcome
            await lines.say(f"JOIN {self.env.IRC_CHANNEL}")
            await lines.until(" 366 ")  # the list of names is at its end: we are in
            await lines.say(f"PRIVMSG {self.env.IRC_CHANNEL} :{text}", "QUIT :done")
            await lines.until("ERROR ")  # the server's goodbye: it has read everything before
        return Response(f"said in {self.env.IRC_CHANNEL}\n", status=201)


class Lines:
    """The lines of an IRC connection (RFC 1459)."""

    def __init__(self, socket):
        self.socket, self.buffer = socket, b""

    async def say(self, *lines):
        await self.socket.writable.write("".join(f"{line}\r\n" for line in lines))

    async def until(self, mark):
        while True:
            line, found, rest = self.buffer.partition(b"\r\n")
            if not found:
                if not (data := await self.socket.readable.read()):
                    raise ConnectionError(f"the server left before it said {mark.strip()!r}")
                self.buffer += data
                continue
            self.buffer, text = rest, line.decode(errors="replace")
            if text.startswith("PING"):
                await self.say(text.replace("PING", "PONG", 1))
            if mark in text:
                return text
