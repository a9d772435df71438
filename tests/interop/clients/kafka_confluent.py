"""confluent-kafka (librdkafka)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from confluent_kafka import Consumer, Producer, TopicPartition

if TYPE_CHECKING:
    from tests.interop.target import Target


TOPIC = "interop-confluent"


def run(target: Target) -> str:
    """Produce a record and consume it."""
    common = {"bootstrap.servers": target.address, "socket.connection.setup.timeout.ms": 10_000}
    places = []
    producer = Producer(common)
    producer.produce(TOPIC, b"ahoy", partition=0, on_delivery=lambda error, record: places.append((error, record)))
    assert producer.flush(20) == 0
    error, record = places[0]
    assert error is None, error
    consumer = Consumer({**common, "group.id": "interop", "enable.auto.commit": False})
    try:
        consumer.assign([TopicPartition(TOPIC, 0, record.offset())])
        received = consumer.poll(20)
        assert received is not None, "nothing came"
        assert received.value() == b"ahoy", received.error()
    finally:
        consumer.close()
    return "ahoy"
