"""librdkafka's mock cluster, which speaks Kafka's protocol over TCP: ``python -m … PORT_FILE``.

The broker chooses its port; the program writes it to the file once topics can be made.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from confluent_kafka import Producer


def main(port_file: str) -> None:
    """Serve until the process is ended."""
    cluster = Producer({"test.mock.num.brokers": 1})
    brokers = cluster.list_topics(timeout=20).brokers
    (broker,) = brokers.values()
    part = Path(f"{port_file}.part")
    part.write_text(f"{broker.port}", encoding="ascii")
    part.rename(port_file)
    threading.Event().wait()


if __name__ == "__main__":
    main(sys.argv[1])
