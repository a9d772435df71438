"""Just enough of a MySQL server for the tests: it lets everybody in and answers every SELECT with three customers.

Set TEST_DATABASE_URL to test against a real one, filled from schema.sql.
"""

import os
import socketserver
import struct
import threading

import pytest

COLUMNS = [("id", 3), ("name", 253), ("city", 253)]  # 3: INT, 253: VARCHAR
ROWS = [(1, "Ada Lovelace", "London"), (2, "José Álvarez", "Málaga"), (3, "李娜", "武漢")]

CAPABILITIES = (
    0x0008_A20D  # long password, connect with database, protocol 4.1, transactions, secure connection, plugins
)
OK = b"\x00\x00\x00\x02\x00\x00\x00"
END_OF_ROWS = b"\xfe\x00\x00\x02\x00"
COM_QUIT, COM_QUERY = 1, 3


def text(value):
    data = str(value).encode()
    return bytes([len(data)]) + data  # the lengths here are all below 251


def column(name, kind):
    names = b"".join(map(text, ("def", "shop", "customers", "customers", name, name)))
    return names + struct.pack("<BHIBHBH", 12, 45, 400, kind, 0, 0, 0)  # 45: utf8mb4


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        salt = b"12345678", b"123456789012\0"
        greeting = b"\x0a8.0.0-tests\0" + struct.pack("<I", 1) + salt[0] + b"\0"
        flags = struct.pack("<HBHHB", CAPABILITIES & 0xFFFF, 45, 2, CAPABILITIES >> 16, 21)
        self.send(0, greeting + flags + bytes(10) + salt[1] + b"mysql_native_password\0")
        number, _ = self.receive()
        self.send(number + 1, OK)
        while True:
            number, command = self.receive()
            if not command or command[0] == COM_QUIT:
                return
            is_select = command[0] == COM_QUERY and command[1:].lstrip().upper().startswith(b"SELECT")
            answer = self.rows() if is_select else [OK]
            for offset, packet in enumerate(answer, number + 1):
                self.send(offset, packet)

    def rows(self):
        columns = [column(*each) for each in COLUMNS]
        rows = [b"".join(map(text, row)) for row in ROWS]
        return [bytes([len(COLUMNS)]), *columns, END_OF_ROWS, *rows, END_OF_ROWS]

    def send(self, number, payload):
        self.wfile.write(struct.pack("<I", len(payload))[:3] + bytes([number % 256]) + payload)

    def receive(self):
        header = self.rfile.read(4)
        if len(header) < 4:
            return 0, b""
        return header[3], self.rfile.read(int.from_bytes(header[:3], "little"))


@pytest.fixture(scope="session")
def database_url():
    if url := os.environ.get("TEST_DATABASE_URL"):
        yield url
        return
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"mysql://tester:secret@127.0.0.1:{server.server_address[1]}/shop"
        server.shutdown()


@pytest.fixture(scope="session")
def worker_bindings(database_url):
    """What the worker of the tests finds in its `env`."""
    return {"DB": database_url}
