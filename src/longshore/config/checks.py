"""What a single value must be, beyond its type (PURE).

Each check takes the value and raises ``ValueError`` with what is wrong, in words that follow the key:
``triggers.crons[0]: '* *' has 2 fields …``.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from typing import Any, Final

from cronsim import CronSim, CronSimError

from longshore.config.connection_string import ConnectionStringError, parse_connection_string
from longshore.config.jsonc import MAX_DEPTH
from longshore.core.addresses import SocketAddress
from longshore.core.host_syntax import parse_host, try_parse_ip
from longshore.core.shown import SHOWN_CHARS, shown
from longshore.errors import SocketError
from longshore.policy.rules import parse_rule

__all__ = [
    "check_address",
    "check_alpn",
    "check_binding_name",
    "check_connection_string",
    "check_credential_name",
    "check_cron",
    "check_date",
    "check_host",
    "check_hosts",
    "check_ip",
    "check_json",
    "check_open_path",
    "check_path",
    "check_rule",
    "check_secret_name",
    "check_server_name",
    "check_variable_name",
    "check_worker_name",
    "has_numbered_weekday",
]

# As in JavaScript, where `env.NAME` must be written.
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Also the name of a file; Cloudflare's certificate ids are such names.
_CREDENTIAL_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_MAX_ALPN_BYTES: Final = 255
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
# Wrangler takes dashes and underscores.
_WORKER_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_CRON_FIELDS: Final = ("minute", "hour", "day of month", "month", "day of week")
_CRON_VALUES: Final = ("0-59", "0-23", "1-31 or L", "1-12 or JAN-DEC", "0-7 or SUN-SAT")
# Any Monday; cronsim wants a time to begin at and reads nothing from it here.
_ANY_TIME: Final = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
# What JSON carries to the worker without loss (msgspec, like most readers, stops at 64 bits).
_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**64 - 1


def check_binding_name(value: str) -> None:
    """Refuse what cannot be written as ``env.NAME``."""
    if not _NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is no binding name: use letters, digits and '_', and no digit first")


check_secret_name = check_binding_name


def check_variable_name(value: str) -> None:
    """Refuse what cannot be the name of an environment variable."""
    if not _NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is no name of an environment variable: use letters, digits and '_'")


def check_credential_name(value: str) -> None:
    """Refuse what the credential store can hold nothing under."""
    if not _CREDENTIAL_NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is no name in the credential store: use letters, digits, '-', '_' and '.'")


def check_worker_name(value: str) -> None:
    """Refuse what is no worker's name."""
    if not _WORKER_NAME.fullmatch(value):
        raise ValueError(f"{shown(value)} is no worker name: use 1 to 63 letters, digits, '-' and '_'")


def check_date(value: Any) -> None:
    """Refuse what is neither ``"2026-01-31"`` nor a TOML date."""
    if isinstance(value, dt.datetime) or not isinstance(value, (str, dt.date)):
        raise ValueError(f"expected a date like '2026-01-31', found {shown(value)}")  # noqa: TRY004 - one door
    if isinstance(value, str):
        try:
            dt.date.fromisoformat(value if _DATE.fullmatch(value) else "")
        except ValueError:
            raise ValueError(f"{shown(value)} is no date: write it like '2026-01-31'") from None


def check_host(value: str) -> None:
    """Refuse an empty address to listen on, or one with a port or parts of a URL."""
    if not value or any(character in "/?#@ " or not character.isprintable() for character in value):
        raise ValueError(f"{shown(value)} is no address to listen on: write it like 'localhost' or '0.0.0.0'")


def check_address(value: str) -> None:
    """Refuse what is no ``host:port``, in the words of ``connect()``."""
    try:
        SocketAddress.parse(value)
    except SocketError as error:
        raise ValueError(str(error)) from error


def check_server_name(value: str) -> None:
    """Refuse what no certificate can be for."""
    try:
        parse_host(value, f"the server name {shown(value)}")
    except SocketError as error:
        raise ValueError(str(error)) from error


def check_alpn(value: str) -> None:
    """Refuse what is no protocol name of ALPN (RFC 7301: 1 to 255 bytes)."""
    if not 0 < len(value.encode()) <= _MAX_ALPN_BYTES:
        raise ValueError(f"{shown(value)} is no ALPN protocol: write a name like 'h2' or 'postgresql'")


def check_ip(value: str) -> None:
    """Refuse what is no IP address; one with a zone is none that means the same everywhere."""
    if try_parse_ip(value) is None or "%" in value:
        raise ValueError(f"{shown(value)} is no IP address: write it like '10.0.0.5' or '2001:db8::7'")


def check_hosts(value: dict[str, Any]) -> None:
    """Refuse names that nobody can ask for, and one that stands twice in two spellings."""
    seen: dict[str, str] = {}
    for name, addresses in value.items():
        subject = f"the name {shown(name)}"
        try:
            hostname, ip = parse_host(name, subject)
        except SocketError as error:
            raise ValueError(str(error)) from error
        if ip is not None:
            raise ValueError(f"{subject} is an address: names stand on the left, their addresses on the right")
        if f".{hostname.removesuffix('.').lower()}".endswith(".localhost"):
            raise ValueError(f"{subject} is the worker's own machine, whatever is written here: choose another name")
        if not addresses:
            raise ValueError(f"{subject} has no address: write it like '10.0.0.5'")
        if (other := seen.setdefault(hostname.removesuffix("."), name)) != name:
            raise ValueError(f"{subject} is the same as {shown(other)}: write both addresses in one list")


def check_path(value: str) -> None:
    """Refuse what is no path, or one that a shell would have expanded."""
    if not value or "\0" in value:
        raise ValueError(f"{shown(value)} is no path")
    if value.startswith("~"):
        raise ValueError(f"{shown(value)} begins with '~', which stands for itself here: write the whole path")


def check_open_path(value: str) -> None:
    """Refuse also what would open everything to a worker."""
    check_path(value)
    if not value.strip("/."):
        what = "the whole machine" if value.startswith("/") else "a folder that the worker has anyway, or one above it"
        raise ValueError(f"{shown(value)} is {what}: name what the worker needs")
    if f"{value.rstrip('/')}/".startswith("/proc/") or value.rstrip("/") == "/dev":
        raise ValueError(f"{shown(value)} is made anew for each worker, which sees no other")


def check_rule(value: str, where: str) -> None:
    """Refuse what is no egress rule, in the words of ``longshore.policy``."""
    try:
        parse_rule(value, where)
    except SocketError as error:
        raise ValueError(str(error)) from error


def check_connection_string(value: str) -> None:
    """Refuse what is no complete database URL; the message never holds the password."""
    try:
        parse_connection_string(value)
    except ConnectionStringError as error:
        raise ValueError(f"connection string {error}") from error


def check_cron(value: str) -> None:
    """Refuse what is no cron expression of five fields; the message names the field and its place."""
    fields = value.split()
    if len(fields) != len(_CRON_FIELDS):
        found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise ValueError(
            f"{_quoted(value)} has {found}, a cron expression has 5: minute, hour, day of month, month, day of week,"
            " like '*/15 * * * *'"
        )
    for index, text in enumerate(fields):
        only = ["*"] * len(_CRON_FIELDS)
        only[index] = text
        if not _is_cron(" ".join(only)):
            column = _field_column(value, index)
            note = ": 'W' is not supported" if text.upper().endswith("W") and text.upper() != "LW" else ""
            raise ValueError(
                f"{_quoted(value)} has {text!r} as {_CRON_FIELDS[index]} (character {column}){note}: write * or"
                f" {_CRON_VALUES[index]}, with ',', '-' and '/'"
            )
    if not _is_cron(value):
        raise ValueError(f"{_quoted(value)} never comes: no month of it has that day")


def _quoted(cron: str) -> str:
    # Not shown(), which hides what stands before an "@": that begins "@daily".
    return repr(cron if len(cron) <= SHOWN_CHARS else cron[: SHOWN_CHARS - 1] + "…")


def _is_cron(value: str) -> bool:
    # cronsim lets some mistakes through to int() and assert.
    try:
        CronSim(value, _ANY_TIME)
    except (CronSimError, AssertionError, ValueError, TypeError, IndexError, RecursionError):
        return False
    return True


def _field_column(value: str, index: int) -> int:
    return [match.start() for match in re.finditer(r"\S+", value)][index] + 1


def has_numbered_weekday(cron: str) -> bool:
    """Say whether the day of the week is a number, which Cloudflare counts from 1 = Sunday and cron from 0."""
    return any(character.isdigit() for character in re.sub(r"[/#]\d+", "", cron.split()[4]))


def check_json(value: Any) -> None:
    """Refuse what JSON cannot carry to the worker: dates, infinities, huge numbers, bottomless nesting."""
    _check_json(value, "")


def _check_json(value: Any, where: str, depth: int = 1) -> None:
    if depth > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} levels deep")
    if isinstance(value, dict):
        for key, item in value.items():
            _check_json(item, f"{where}.{key}", depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check_json(item, f"{where}[{index}]", depth + 1)
    else:
        _check_scalar(value, f" (at {where.removeprefix('.')})" if where else "")


def _check_scalar(value: Any, place: str) -> None:
    if isinstance(value, bool):
        return
    if isinstance(value, int) and not _MIN_INT <= value <= _MAX_INT:
        raise ValueError(f"a number of more than 64 bits{place}: write it as text, in quotes")
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number that JSON has{place}: write it as text, in quotes")
    if not isinstance(value, (str, int, float, type(None))):
        message = f"a {type(value).__name__} cannot be passed on{place}: write it as text, in quotes"
        raise ValueError(message)  # noqa: TRY004 - one door
