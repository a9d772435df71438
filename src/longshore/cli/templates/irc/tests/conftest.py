"""Just enough of an IRC server for the tests: it lets everybody in and remembers what was said."""

import socketserver
import threading

import pytest

SAID = []


class Session(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            command, _, rest = line.decode().strip().partition(" ")
            if command == "USER":
                self.say("PING :are you there", ":irc.test 001 worker :Welcome")
            elif command == "JOIN":
                self.say(f":worker JOIN {rest}", f":irc.test 366 worker {rest} :End of /NAMES list")
            elif command == "PRIVMSG":
                SAID.append(rest)
            elif command == "QUIT":
                self.say("ERROR :Closing link")
                return

    def say(self, *lines):
        self.wfile.write("".join(f"{line}\r\n" for line in lines).encode())


@pytest.fixture(scope="session")
def irc():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Session) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture
def said():
    SAID.clear()
    return SAID


@pytest.fixture(scope="session")
def worker_bindings(irc):
    """What the worker of the tests finds in its `env`."""
    return {"IRC": irc, "IRC_CHANNEL": "#test"}
