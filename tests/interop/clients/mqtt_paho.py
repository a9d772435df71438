"""paho-mqtt, with its thread."""

from __future__ import annotations

from queue import Queue
from typing import TYPE_CHECKING

import paho.mqtt.client as mqtt

if TYPE_CHECKING:
    from tests.interop.target import Target


def run(target: Target) -> str:
    """Hear what this client publishes."""
    heard: Queue[bytes] = Queue()
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    topic = f"interop/paho/{id(client)}"
    client.on_connect = lambda client, *_: client.subscribe(topic)
    client.on_subscribe = lambda client, *_: client.publish(topic, b"ahoy")
    client.on_message = lambda _client, _userdata, message: heard.put(message.payload)
    if target.context is not None:
        client.tls_set_context(target.context)
    client.connect(target.host, target.port)
    client.loop_start()
    try:
        payload = heard.get(timeout=20)
    finally:
        client.disconnect()
        client.loop_stop()
    assert payload == b"ahoy"
    return payload.decode()
