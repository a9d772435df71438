"""Who listens on a port."""

from __future__ import annotations

import os
import socket

from longshore.runtime.host.holder import find_holder


def test_the_process_is_found_by_its_listening_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert f"(process {os.getpid()})" in find_holder(listener.getsockname()[1])


def test_a_port_that_nobody_listens_on_has_no_holder() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        assert find_holder(bound.getsockname()[1]) == ""
