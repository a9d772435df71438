"""What a new worker is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from longshore.config.model import EgressBinding, MtlsBinding, TlsSettings, WorkerConfig
from longshore.credentials.errors import CredentialError
from longshore.proto.ipc.jail import JailPlan
from longshore.proto.ipc.messages import ErrorReport, SourceFrame, Start, decode_message, encode_message
from longshore.runtime.host.options import HostOptions
from longshore.runtime.host.start import broken_config, extra_roots, silent_failure, start_message

if TYPE_CHECKING:
    from longshore.credentials.store import CredentialStore

CONFIG = WorkerConfig(
    name="w", main="/p/entry.py", module_root="/p", project_dir="/p", secrets={"KEY": "s3cret"}, crons=("* * * * *",)
)


def test_the_configuration_travels_with_its_secrets() -> None:
    options = HostOptions(is_dev=True, log_requests=False, log_connections=True)
    start = decode_message(encode_message(start_message(CONFIG, 7, options, ("http://localhost:1",))))
    assert isinstance(start, Start)
    assert msgspec.json.decode(start.config, type=WorkerConfig) == CONFIG
    assert (start.worker_id, start.is_dev, start.log_requests, start.log_connections) == (7, True, False, True)
    assert start.urls == ("http://localhost:1",)


def test_a_jail_brings_its_own_environment_and_may_have_traps() -> None:
    def started(*layers: str) -> Start:
        jail = JailPlan(layers=layers) if layers else None
        return start_message(CONFIG, 1, HostOptions(), (), jail=jail, environment={"A": "b"})

    assert (started().environment, started().has_traps) == ({"A": "b"}, False)
    assert (started("user").environment, started("user").has_traps) == (None, False)
    assert (started("user", "seccomp").environment, started("user", "seccomp").has_traps) == (None, True)


BINDINGS = WorkerConfig(
    name="w",
    main="/p/entry.py",
    module_root="/p",
    project_dir="/p",
    egress=(EgressBinding(binding="A", address="a.test:1", ca="a", client_certificate="c"),),
    mtls_certificates=(MtlsBinding(binding="B", certificate="d", ca="b"),),
    tls=TlsSettings(ca=("x", "y")),
)


class Store:
    """Credentials that are their own names, with a list of those that were asked for."""

    def __init__(self, missing: str = "") -> None:
        self.asked: list[str] = []
        self._missing = missing

    def ca_bundle(self, name: str) -> str:
        self._check(name)
        return f"{name}\n"

    def client_certificate(self, name: str) -> object:
        self._check(name)
        return name

    def _check(self, name: str) -> None:
        self.asked.append(name)
        if name == self._missing:
            raise CredentialError(f"no {name}")


def test_every_credential_is_read_before_a_worker_starts() -> None:
    store = Store()
    assert extra_roots(BINDINGS, cast("CredentialStore", store)) == "x\ny\n"
    assert store.asked == ["a", "c", "b", "d", "x", "y"]


@pytest.mark.parametrize("name", ["a", "c", "b", "d", "x", "y"])
def test_a_credential_that_is_missing_is_told(name: str) -> None:
    with pytest.raises(CredentialError, match=f"no {name}"):
        extra_roots(BINDINGS, cast("CredentialStore", Store(name)))


def test_the_page_of_a_failure_gets_the_report_and_no_secrets() -> None:
    report = ErrorReport(type="LookupError", message="no", text="LookupError: no", cause=silent_failure("because"))
    config = broken_config(CONFIG, report)
    assert msgspec.convert(config.vars["report"], ErrorReport) == report
    assert config.secrets == {}
    assert config.crons == ()
    assert config.main == "longshore.runtime.worker.broken:app"


def test_a_silent_failure_says_where_the_worker_was() -> None:
    frame = SourceFrame(file="/p/entry.py", line=2, function="<module>", first_line=1, source=("import x", "x.wait()"))
    report = silent_failure("not ready", (frame, SourceFrame(file="x.so", line=0, function="wait")))
    assert report.message == "not ready"
    assert report.text.splitlines() == [
        "not ready",
        '  File "/p/entry.py", line 2, in <module>',
        "    x.wait()",
        '  File "x.so", line 0, in wait',
    ]
