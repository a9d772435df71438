"""What a worker did in the network, or tried, in words: for ``dev`` and ``serve`` (PURE)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from longshore.cli.words import duration, printable, size
from longshore.config.outbound import database_rules
from longshore.core.host_syntax import join_host_port
from longshore.errors import UsageError
from longshore.policy import EgressPolicy
from longshore.proto.ipc.egress import CREDENTIALS_FAILED

if TYPE_CHECKING:
    from longshore.config.model import WorkerConfig
    from longshore.proto.ipc.egress import AuditRecord

__all__ = ["Allowing", "advice", "audited_line", "audited_words", "destination", "is_news"]

_DEFAULT: Final = "default: "
_METADATA: Final = "cloud metadata"
_MANY_RULES: Final = 8


@dataclass(frozen=True, slots=True)
class Allowing:
    """What a file says about where a worker may connect, so that advice is a line to be copied.

    Attributes:
        file: its name; empty when there is none.
        environment: the section in force, if any.
        rules: of ``allow``, without those that follow from bindings.
    """

    file: str = ""
    environment: str | None = None
    rules: tuple[str, ...] = ("public",)

    @classmethod
    def of(cls, config: WorkerConfig) -> Allowing:
        """Return what is in force."""
        file = config.file.rpartition("/")[2] if config.file else ""
        implied = frozenset(database_rules(config.hyperdrive))
        rules = tuple(rule for rule in config.network.allow if rule not in implied)
        return cls(file, config.environment, rules)

    @property
    def section(self) -> str:
        """The name of the section that is in force, as it is written."""
        return f"env.{self.environment}.network" if self.environment else "network"

    def with_rule(self, rule: str) -> str:
        """Say what to write to allow this, too."""
        file = self.file or "longshore.toml"
        if len(self.rules) >= _MANY_RULES:
            return f"add {json.dumps(rule)} to allow in [{self.section}] of {printable(file)}"
        rules = json.dumps([*self.rules, rule])
        if file.endswith(".toml"):
            return f"write in [{self.section}] of {printable(file)}:  allow = {rules}"
        return f'write in {self.section} of {printable(file)}:  "allow": {rules}'


def destination(record: AuditRecord) -> str:
    """Return ``name:port`` as the worker wrote it; the name alone when it was only looked up."""
    name = join_host_port(record.name, record.port) if record.port else record.name
    return printable(name)


def is_news(record: AuditRecord) -> bool:
    """Return whether nobody but the audit tells of it: ``connect()`` and ``fetch()`` speak for themselves.

    What the pool connects to no worker tells.

    What is wrong with the credentials of a binding they do not know.
    """
    return record.via in {"socket", "pool"} or record.outcome.startswith(CREDENTIALS_FAILED)


def audited_words(record: AuditRecord) -> str:
    """Return what became of it, without where to."""
    match record.event:
        case "open":
            words = _opened(record)
        case "close":
            words = _closed(record)
        case "deny":
            words = _denied(record)
        case "fail":
            words = f"{record.outcome} ({record.rule})" if record.rule else record.outcome
        case _:
            words = record.detail or record.outcome
    return printable(words)


def audited_line(record: AuditRecord) -> str:
    """Return one line that says everything."""
    if record.event == "refuse":
        return printable(f"it tried what no worker may do: {record.detail}")
    what = "connected" if record.event == "open" else ""
    return " ".join(part for part in (f"{destination(record)}:", what, audited_words(record)) if part)


def advice(record: AuditRecord, allowing: Allowing = Allowing()) -> str:
    """Return what would allow what was denied; empty when nothing would, or nobody should.

    Args:
        record: of the denial.
        allowing: where the rules stand.
    """
    if record.event != "deny" or record.outcome != "blocked by policy":
        return ""
    if not record.rule.startswith(_DEFAULT):
        return f"The rule {record.rule!r} of deny in [{allowing.section}] forbids it, whatever allow says."
    if _METADATA in record.rule:
        return "Programs get this machine's credentials there: better leave it closed."
    rule = next((each for each in _candidates(record) if _would_allow(each, record)), "")
    return f"To allow it, {allowing.with_rule(rule)}" if rule else ""


def _candidates(record: AuditRecord) -> tuple[str, ...]:
    return tuple(each for each in (destination(record), record.address) if each)


def _would_allow(rule: str, record: AuditRecord) -> bool:
    """Ask the policy itself: a rule for a name does not open every address."""
    try:
        policy = EgressPolicy(allow=(rule,))
        if not record.address:
            return policy.judge_name(record.name, record.port) is None
        host, _, port = record.address.rpartition(":")
        return policy.judge_address(ip_address(host.strip("[]")), int(port), hostname=record.name).is_allowed
    except (UsageError, ValueError):
        return False


def _denied(record: AuditRecord) -> str:
    if not record.rule.startswith(_DEFAULT):
        return f"{record.outcome}: {record.rule!r} of deny" if record.rule else record.outcome
    return f"{record.outcome}: {record.rule.removeprefix(_DEFAULT).removeprefix(record.outcome).removeprefix(', ')}"


def _opened(record: AuditRecord) -> str:
    phases = (("dns", record.dns_s), ("tcp", record.tcp_s), ("tls", record.tls_s))
    times = [f"{name} {duration(seconds)}" for name, seconds in phases if seconds is not None]
    where = [record.address] if record.address not in {"", destination(record)} else []
    whose = [f"pool of env.{record.binding}"] if record.via == "pool" else []
    return "  ".join([*whose, *where, *times]) or "open"


def _closed(record: AuditRecord) -> str:
    after = f" after {duration(record.duration_s)}" if record.duration_s is not None else ""
    counts = (("sent", record.bytes_sent), ("received", record.bytes_received))
    amounts = [f"{verb} {size(count)}" for verb, count in counts if count is not None]
    why = [record.detail] if record.detail else []
    return ", ".join([f"closed{after}", *amounts, *why])
