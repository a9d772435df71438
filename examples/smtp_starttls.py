"""Send a mail (RFC 5321) over a connection that becomes TLS on the way (RFC 3207).

python examples/smtp_starttls.py 127.0.0.1:587 you@example.org 'the text' [ca.pem]
"""

import asyncio
import re
import sys

from longshore import Socket, TlsOptions, connect


async def ask(socket: Socket, command: str, code: str) -> str:
    await socket.writable.write(command)
    answer = b""
    while not re.search(rb"^\d{3} .*\n\Z", answer, re.MULTILINE):  # "250-" says that more lines follow
        answer += await socket.readable.read(1) or b"000 ended\n"  # start_tls() must see what was injected
    if not answer.startswith(code.encode()):
        raise RuntimeError(f"{command!r} was answered with {answer!r}")
    return answer.decode()


async def main(address: str, recipient: str, text: str, ca: str | None = None) -> str:
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        await ask(plain, "", "220")
        await ask(plain, "EHLO client.example\r\n", "250")
        await ask(plain, "STARTTLS\r\n", "220")
        async with plain.start_tls() as socket:  # what was said in clear does not count any more
            await ask(socket, "EHLO client.example\r\n", "250")
            await ask(socket, "MAIL FROM:<longshore@example.org>\r\n", "250")
            await ask(socket, f"RCPT TO:<{recipient}>\r\n", "250")
            await ask(socket, "DATA\r\n", "354")
            stuffed = re.sub(r"^\.", "..", text.replace("\n", "\r\n"), flags=re.MULTILINE)  # §4.5.2
            kept = await ask(socket, f"To: <{recipient}>\r\n\r\n{stuffed}\r\n.\r\n", "250")
            await ask(socket, "QUIT\r\n", "221")
            return kept.strip()


if __name__ == "__main__":
    print(asyncio.run(main(*sys.argv[1:])))
