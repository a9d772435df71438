"""DNS rebinding against a real host: what the system answers changes between two questions of a worker."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.egress.linux import needs_sandbox
from tests.escape.prison import Canary, prison

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [needs_sandbox, pytest.mark.timeout(120)]

NAME = "rebinding.test"


def test_an_address_means_what_it_meant_when_it_was_given_out(tmp_path: Path) -> None:
    """The host's own ``/etc/hosts`` first says the friend, then the victim: the worker connects what it was given."""
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n127.0.0.2 {NAME}\n")
    friend = Canary("127.0.0.2")
    victim = Canary("127.0.0.1", friend.port)
    own_files = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    before = [*own_files, "sh", "-c", 'mount --bind "$1" /etc/hosts && shift && exec "$@"', "sh", str(hosts)]
    try:
        with prison(tmp_path, ["127.0.0.2"], workers=2, before=before) as host:
            first = host.attempt("mark")  # and it is this one that serves as long as the connection is kept
            (address,) = host.attempt("resolve", name=NAME)
            assert address.startswith("198.1"), "it stands for the name at this one place"
            hosts.write_text(f"127.0.0.1 localhost {NAME}\n")
            assert host.attempt("read_from", address=address, port=friend.port) == "inside the wall"
            assert host.attempt("mark") == first
            while host.attempt("mark") == first:  # the other one has not asked yet
                host.connect_anew()
            (again,) = host.attempt("resolve", name=NAME)
            assert host.attempt("read_from", address=again, port=friend.port) == "EACCES"
            assert host.attempt("connect_to", addresses=[f"{NAME}:{friend.port}"]).popitem()[1] == "PolicyDenied"
            assert host.audited(event="deny", via="socket", name=NAME)["address"] == f"127.0.0.1:{friend.port}"
            assert victim.is_untouched
            assert [caller for caller, _ in friend.callers] == ["127.0.0.1"]
    finally:
        friend.close()
        victim.close()
