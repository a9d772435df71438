"""List a folder over FTP (RFC 959), with a CA file over TLS (RFC 4217): one connection asks, one carries.

python examples/ftp_list.py 127.0.0.1:21 [ca.pem, which means AUTH TLS]
"""

import asyncio
import re
import sys

from longshore import Socket, SocketOptions, TlsOptions, connect


async def ask(control: Socket, command: str) -> str:
    await control.writable.write(command)
    answer = b""
    while not re.search(rb"^\d{3} .*\n\Z", answer, re.MULTILINE):  # "230-" says that more lines follow
        answer += await control.readable.read(1) or b"000 ended\n"  # takes nothing of the next answer
    if answer[:1] not in {b"1", b"2", b"3"}:  # begun, done, more is needed
        raise RuntimeError(f"{command!r} was answered with {answer!r}")
    return answer.decode()


async def main(address: str, ca: str | None = None) -> list[str]:
    options = SocketOptions(secure_transport="on", tls=TlsOptions(ca=ca)) if ca else None
    async with connect(address, secure_transport="starttls", tls=TlsOptions(ca=ca)) as plain:
        await ask(plain, "")
        if ca:
            await ask(plain, "AUTH TLS\r\n")
        async with plain.start_tls() if ca else plain as control:
            for command in [*(["PBSZ 0", "PROT P"] if ca else []), "USER anonymous", "PASS guest@example.org"]:
                await ask(control, f"{command}\r\n")
            numbers = re.findall(r"\d+", await ask(control, "PASV\r\n"))
            # Only the port is believed: the server's idea of its address may name somebody else (RFC 2577).
            where = (address.rpartition(":")[0], int(numbers[-2]) * 256 + int(numbers[-1]))
            async with connect(where, options) as data:
                await ask(control, "LIST\r\n")
                listing = b"".join([chunk async for chunk in data.readable]).decode()
            await ask(control, "")
            return listing.splitlines()


if __name__ == "__main__":
    print(*asyncio.run(main(*sys.argv[1:])), sep="\n")
