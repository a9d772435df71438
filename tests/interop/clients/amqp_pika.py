"""pika, blocking."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pika

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Publish to a queue and take the message from it."""
    tls = pika.SSLOptions(target.context, target.host) if target.is_tls else None
    credentials = pika.PlainCredentials(target.facts["user"], target.facts["password"])
    parameters = pika.ConnectionParameters(target.host, target.port, credentials=credentials, ssl_options=tls)
    with pika.BlockingConnection(parameters) as connection:
        channel = connection.channel()
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.basic_publish("", queue, b"ahoy")
        for method, _, body in channel.consume(queue, inactivity_timeout=20):
            assert body == b"ahoy"
            channel.basic_ack(method.delivery_tag)
            return f"{body.decode()}"
    raise AssertionError("no message")
