"""Just enough of a Redis for the tests: it counts. Set TEST_REDIS_URL to test against a real one."""

import collections
import os
import socketserver
import threading

import pytest


class Session(socketserver.StreamRequestHandler):
    """Commands are arrays of byte strings (RESP): ``*2 $4 INCR $1 x``."""

    counters = collections.Counter()

    def handle(self):
        while line := self.rfile.readline():
            words = [self.word() for _ in range(int(line[1:]))]
            self.wfile.write(self.answer(words[0].upper(), words[1:]))

    def word(self):
        length = int(self.rfile.readline()[1:])
        return self.rfile.read(length + 2)[:-2]

    def answer(self, command, words):
        if command in {b"INCR", b"INCRBY"}:
            self.counters[words[0]] += int(words[1]) if words[1:] else 1
            return b":%d\r\n" % self.counters[words[0]]
        if command == b"HELLO":
            return b"%1\r\n+proto\r\n:3\r\n"  # a map: RESP 3 it is
        return b"+OK\r\n"


@pytest.fixture(scope="session")
def redis_url():
    if url := os.environ.get("TEST_REDIS_URL"):
        yield url
        return
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()


@pytest.fixture(scope="session")
def worker_bindings(redis_url):
    """What the worker of the tests finds in its `env`."""
    return {"REDIS_URL": redis_url}
