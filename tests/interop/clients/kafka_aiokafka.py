"""aiokafka."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

if TYPE_CHECKING:
    from tests.interop.target import Target


TOPIC = "interop-aiokafka"


async def run(target: Target) -> str:
    """Produce a record and consume it."""
    async with AIOKafkaProducer(bootstrap_servers=target.address, request_timeout_ms=10_000) as producer:
        place = await producer.send_and_wait(TOPIC, b"ahoy", partition=0)
    async with AIOKafkaConsumer(bootstrap_servers=target.address, request_timeout_ms=10_000) as consumer:
        partition = TopicPartition(TOPIC, 0)
        consumer.assign([partition])
        consumer.seek(partition, place.offset)
        record = await consumer.getone()
    assert record.value == b"ahoy"
    return record.value.decode()
