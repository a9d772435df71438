"""A mail server for the tests: aiosmtpd, which keeps what it receives."""

from email import message_from_bytes, policy

import pytest
from aiosmtpd.controller import Controller


class Mailbox:
    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        return "250 thank you"


class FreePort(Controller):
    """On the port that the system gave."""

    def _trigger_server(self):
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture(scope="session")
def mail_server():
    controller = FreePort(Mailbox(), hostname="127.0.0.1", port=0)
    controller.start()
    yield controller
    controller.stop()


@pytest.fixture
def mailbox(mail_server):
    mail_server.handler.mails.clear()
    return mail_server.handler.mails


@pytest.fixture(scope="session")
def worker_bindings(mail_server):
    """What the worker of the tests finds in its `env`."""
    return {"SMTP_HOST": "127.0.0.1", "SMTP_PORT": mail_server.port, "SMTP_START_TLS": False}
