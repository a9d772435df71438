"""Just enough of an MQTT 3.1.1 broker for the tests: it keeps the last message of each topic and hands it out.

Set TEST_MQTT_HOST and TEST_MQTT_PORT to test against a real one.
"""

import os
import socketserver
import struct
import threading

import pytest

CONNECT, PUBLISH, SUBSCRIBE, PINGREQ, DISCONNECT = 1, 3, 8, 12, 14


def length_of(data):
    """The length of what follows, seven bits a byte."""
    length, encoded = len(data), b""
    while length > 127:
        encoded += bytes([length % 128 | 128])
        length //= 128
    return encoded + bytes([length])


class Session(socketserver.StreamRequestHandler):
    kept = {}

    def handle(self):
        while first := self.rfile.read(1):
            self.answer(first[0] >> 4, self.rfile.read(self.length()))

    def length(self):
        length = shift = 0
        while (byte := self.rfile.read(1)[0]) > 127:
            length += (byte & 127) << shift
            shift += 7
        return length + (byte << shift)

    def answer(self, kind, body):
        if kind == CONNECT:
            self.wfile.write(b"\x20\x02\x00\x00")
        elif kind == PUBLISH:
            (size,) = struct.unpack_from("!H", body)
            self.kept[body[2 : 2 + size]] = body[2 + size :]
        elif kind == SUBSCRIBE:
            (size,) = struct.unpack_from("!H", body, 2)
            topic = body[4 : 4 + size]
            self.wfile.write(b"\x90\x03" + body[:2] + b"\x00")
            if topic in self.kept:
                message = struct.pack("!H", size) + topic + self.kept[topic]
                self.wfile.write(b"\x31" + length_of(message) + message)
        elif kind == PINGREQ:
            self.wfile.write(b"\xd0\x00")


@pytest.fixture(scope="session")
def broker():
    if host := os.environ.get("TEST_MQTT_HOST"):
        yield host, int(os.environ.get("TEST_MQTT_PORT", "1883"))
        return
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield "127.0.0.1", server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="session")
def worker_bindings(broker):
    """What the worker of the tests finds in its `env`."""
    return {"MQTT_HOST": broker[0], "MQTT_PORT": broker[1], "MQTT_WAIT_S": 0.5}
