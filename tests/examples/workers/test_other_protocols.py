"""Redis, SMTP, MQTT, SSH, FTP, IRC and Gopher: each worker against a real server."""

from __future__ import annotations

import os
from email import message_from_bytes, policy
from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.examples.workers.hosting import at_once, example
from tests.examples.workers.irc_listener import IrcListener
from tests.server_process import HOST
from tests.smtp_server import mails

if TYPE_CHECKING:
    from tests.server_process import Server


def test_gopher_streams_the_page_of_the_path(gopher_server: Server) -> None:
    with example("gopher", GOPHER_SERVER=gopher_server.address) as worker:
        ask = partial(worker.http.get, "/about.txt")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert response.text.startswith("A Worker asks, a gopher digs:\r\n")
        assert "0About this server\t/about.txt" in worker.http.get("/").text


def test_redis_counts_the_visits_of_each_path(redis_server: Server) -> None:
    with example("redis", REDIS_URL=f"redis://{redis_server.address}/0") as worker:
        ask = partial(worker.http.get, "/quay")
        assert ask().json() == {"path": "/quay", "visits": 1}
        assert ask().json() == {"path": "/quay", "visits": 2}
        assert sorted(response.json()["visits"] for response in at_once(ask)) == list(range(3, 11))
        assert worker.http.get("/pier").json() == {"path": "/pier", "visits": 1}


def test_smtp_sends_mails_over_starttls(smtp_server: Server) -> None:
    with example("smtp_starttls", SMTP_HOST="localhost", SMTP_PORT=smtp_server.port) as worker:
        recipient = f"{os.urandom(4).hex()}@example.com"
        wanted = {"to": recipient, "subject": "Ahoi", "text": "Grüße vom Kai\n"}
        ask = partial(worker.http.post, "/", json=wanted)
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.json() == {"server": "kept"}
    received = [mail for mail in mails(smtp_server.directory) if mail["recipients"] == [recipient]]
    assert len(received) == 10
    assert {(mail["sender"], mail["tls_version"]) for mail in received} == {("worker@example.com", "TLSv1.3")}
    message = message_from_bytes(received[0]["body"].encode(), policy=policy.default)
    assert (message["Subject"], message.get_content().splitlines()) == ("Ahoi", ["Grüße vom Kai"])


def test_smtp_says_what_it_wants(smtp_server: Server) -> None:
    with example("smtp_starttls", SMTP_PORT=smtp_server.port) as worker:
        response = worker.http.get("/")
        assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_mqtt_keeps_a_message_and_gives_it_to_everybody(mqtt_server: Server) -> None:
    with example("mqtt", MQTT_HOST=HOST, MQTT_PORT=mqtt_server.port) as worker:
        for text in ["low tide", "high tide"]:
            assert worker.http.post("/harbour/tide", content=text).status_code == 204
            assert worker.http.get("/harbour/tide").text == text
        responses = at_once(partial(worker.http.get, "/harbour/tide"))
        assert [response.text for response in responses] == ["high tide"] * len(responses)


def test_ssh_runs_a_command(ssh_server: Server) -> None:
    facts = ssh_server.facts
    bindings = {"SSH_USER": facts["user"], "SSH_PRIVATE_KEY": facts["private_key"], "SSH_HOST_KEY": facts["host_key"]}
    with example("ssh", SSH_HOST=HOST, SSH_PORT=ssh_server.port, **bindings) as worker:
        system = os.uname()
        ask = partial(worker.http.get, "/")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.text == f"{system.sysname} {system.release}\n"


@pytest.mark.parametrize("server", ["ftp_server", "pyftpdlib_server"])
def test_ftp_lists_the_folder_and_streams_files(server: str, request: pytest.FixtureRequest) -> None:
    ftp: Server = request.getfixturevalue(server)
    with example("ftp", FTP_HOST=HOST, FTP_PORT=ftp.port) as worker:
        assert worker.http.get("/").json() == sorted(ftp.facts)
        ask = partial(worker.http.get, "/gopher.txt")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.text == ftp.facts["gopher.txt"]
        assert worker.http.get("/nothing.txt").status_code == 404


def test_irc_says_it_in_the_channel(irc_server: Server) -> None:
    with example("irc", IRC_SERVER=irc_server.address) as worker, IrcListener(irc_server, "#harbour") as listener:
        ask = partial(worker.http.post, "/harbour", content="the tide\r\nis in")
        for response in [ask(), ask(), *at_once(ask)]:
            assert response.status_code == 204, response.text
        assert listener.hear(10) == ["the tide is in"] * 10


def test_irc_tells_the_refusal(irc_server: Server) -> None:
    with example("irc", IRC_SERVER=irc_server.address) as worker:
        response = worker.http.post("/nobody%2Chere", content="hello")
        assert (response.status_code, response.text.split()[1]) == (502, "403")
