"""The MQTT example against Mosquitto."""

from __future__ import annotations

from typing import TYPE_CHECKING

from examples import mqtt_connect
from tests.examples.command_line import run_example

if TYPE_CHECKING:
    from pathlib import Path

    from tests.server_process import Server

CONNECTION_ACCEPTED = 0


async def test_message_comes_back(mqtt_server: Server) -> None:
    answer = await mqtt_connect.main(mqtt_server.address, message="land ho")
    assert answer == (CONNECTION_ACCEPTED, "land ho")


async def test_message_comes_back_over_tls(mqtt_server: Server, ca_file: Path) -> None:
    answer = await mqtt_connect.main(mqtt_server.tls_address, str(ca_file), "land ho")
    assert answer == (CONNECTION_ACCEPTED, "land ho")


def test_command_line(mqtt_server: Server) -> None:
    assert run_example("mqtt_connect", mqtt_server.address) == "CONNACK 0, then: ahoy\n"
