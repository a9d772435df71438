"""Which message is legal when: the state tables as data (PURE; manual: Message Flow).

Two views of one conversation. **Replies**: a client keeps a queue of what it asked for; ``REPLIES[expect][type]`` is
what the head of the queue becomes when a server message comes (``frontend``, ``relay``). **Phases**: a server works
on one message after the other; ``RECEIVED`` and ``SENT`` are its transitions (``backend``). A pair that stands in no
table is a violation. NoticeResponse, NotificationResponse and ParameterStatus are legal everywhere and stand in none.
"""

from __future__ import annotations

from enum import IntEnum, auto
from typing import Final

from longshore.proto.postgres.constants import EXTENDED_QUERY_TYPES, BackendType, FrontendType

__all__ = [
    "AUTHENTICATION_OK",
    "COPYING_IN",
    "Expect",
    "IGNORED",
    "Phase",
    "RECEIVED",
    "REPLIES",
    "REQUESTS",
    "SENT",
    "SYNC_POINTS",
]

B, F = BackendType, FrontendType

AUTHENTICATION_OK: Final = 0x100 | BackendType.Authentication
"""AuthenticationOk in the tables: the only Authentication message that changes the state."""


class Expect(IntEnum):
    """What a client waits for: one per request in flight."""

    STARTUP = auto()
    PARAMETERS = auto()
    QUERY = auto()
    QUERY_MORE = auto()
    """At least one statement is done. Before that ReadyForQuery cannot come: even an empty query has a reply."""
    QUERY_ROWS = auto()
    QUERY_COPY_IN = auto()
    QUERY_COPY_OUT = auto()
    QUERY_COPY_BOTH = auto()
    QUERY_COPY_END = auto()
    PARSE = auto()
    BIND = auto()
    DESCRIBE_STATEMENT = auto()
    DESCRIBE_ROWS = auto()
    """Of a portal, or the second half of a statement's."""
    EXECUTE = auto()
    EXECUTE_COPY_IN = auto()
    EXECUTE_COPY_OUT = auto()
    EXECUTE_COPY_END = auto()
    CLOSE = auto()
    FUNCTION_CALL = auto()
    SYNC = auto()
    """Only ReadyForQuery is left, or an error before it (a commit may fail)."""
    COPY_END = auto()
    """No reply is due: marks where a client that did not wait sent CopyDone or CopyFail."""
    LOCAL = auto()
    """The server knows nothing of it: we answer ourselves when its turn comes."""
    LOCAL_SYNC = auto()
    """The same for a Sync."""
    # What a reply makes of it, apart from another of the above:
    DONE = auto()
    SKIP = auto()
    """It failed; the server discards all up to the next Sync (manual: Extended Query)."""
    CLOSED = auto()


REQUESTS: Final[dict[int, Expect]] = {
    F.Query: Expect.QUERY,
    F.Parse: Expect.PARSE,
    F.Bind: Expect.BIND,
    F.Describe: Expect.DESCRIBE_ROWS,
    F.Execute: Expect.EXECUTE,
    F.Close: Expect.CLOSE,
    F.Sync: Expect.SYNC,
    F.FunctionCall: Expect.FUNCTION_CALL,
}
"""What a request waits for; a Describe of a statement for ``DESCRIBE_STATEMENT``."""

SYNC_POINTS: Final = frozenset({Expect.SYNC, Expect.LOCAL_SYNC})
"""Where skipping ends. A Query in between is skipped as well."""

COPYING_IN: Final = frozenset({Expect.QUERY_COPY_IN, Expect.EXECUTE_COPY_IN})

_FAILED_QUERY: dict[int, Expect] = {B.ErrorResponse: Expect.SYNC}
_FAILED_STEP: dict[int, Expect] = {B.ErrorResponse: Expect.SKIP}

_QUERY_REPLIES: dict[int, Expect] = {
    B.RowDescription: Expect.QUERY_ROWS,
    B.CommandComplete: Expect.QUERY_MORE,
    B.EmptyQueryResponse: Expect.QUERY_MORE,
    B.CopyInResponse: Expect.QUERY_COPY_IN,
    B.CopyOutResponse: Expect.QUERY_COPY_OUT,
    B.CopyBothResponse: Expect.QUERY_COPY_BOTH,
    **_FAILED_QUERY,
}

REPLIES: Final[dict[Expect, dict[int, Expect]]] = {
    Expect.STARTUP: {
        B.NegotiateProtocolVersion: Expect.STARTUP,
        B.Authentication: Expect.STARTUP,
        AUTHENTICATION_OK: Expect.PARAMETERS,
        B.ErrorResponse: Expect.CLOSED,
    },
    Expect.PARAMETERS: {
        B.BackendKeyData: Expect.PARAMETERS,
        B.ReadyForQuery: Expect.DONE,
        B.ErrorResponse: Expect.CLOSED,
    },
    Expect.QUERY: _QUERY_REPLIES,
    Expect.QUERY_MORE: {**_QUERY_REPLIES, B.ReadyForQuery: Expect.DONE},
    Expect.QUERY_ROWS: {B.DataRow: Expect.QUERY_ROWS, B.CommandComplete: Expect.QUERY_MORE, **_FAILED_QUERY},
    Expect.QUERY_COPY_IN: {B.CommandComplete: Expect.QUERY_MORE, **_FAILED_QUERY},
    Expect.QUERY_COPY_OUT: {B.CopyData: Expect.QUERY_COPY_OUT, B.CopyDone: Expect.QUERY_COPY_END, **_FAILED_QUERY},
    # Replication: after CopyDone a result set may follow, which says where the next timeline begins.
    Expect.QUERY_COPY_BOTH: {
        B.CopyData: Expect.QUERY_COPY_BOTH,
        B.CopyDone: Expect.QUERY,
        B.CommandComplete: Expect.QUERY_MORE,
        **_FAILED_QUERY,
    },
    Expect.QUERY_COPY_END: {B.CommandComplete: Expect.QUERY_MORE, **_FAILED_QUERY},
    Expect.PARSE: {B.ParseComplete: Expect.DONE, **_FAILED_STEP},
    Expect.BIND: {B.BindComplete: Expect.DONE, **_FAILED_STEP},
    Expect.DESCRIBE_STATEMENT: {B.ParameterDescription: Expect.DESCRIBE_ROWS, **_FAILED_STEP},
    Expect.DESCRIBE_ROWS: {B.RowDescription: Expect.DONE, B.NoData: Expect.DONE, **_FAILED_STEP},
    Expect.EXECUTE: {
        B.DataRow: Expect.EXECUTE,
        B.CommandComplete: Expect.DONE,
        B.EmptyQueryResponse: Expect.DONE,
        B.PortalSuspended: Expect.DONE,
        B.CopyInResponse: Expect.EXECUTE_COPY_IN,
        B.CopyOutResponse: Expect.EXECUTE_COPY_OUT,
        **_FAILED_STEP,
    },
    Expect.EXECUTE_COPY_IN: {B.CommandComplete: Expect.DONE, **_FAILED_STEP},
    Expect.EXECUTE_COPY_OUT: {B.CopyData: Expect.EXECUTE_COPY_OUT, B.CopyDone: Expect.EXECUTE_COPY_END, **_FAILED_STEP},
    Expect.EXECUTE_COPY_END: {B.CommandComplete: Expect.DONE, **_FAILED_STEP},
    Expect.CLOSE: {B.CloseComplete: Expect.DONE, **_FAILED_STEP},
    Expect.FUNCTION_CALL: {B.FunctionCallResponse: Expect.SYNC, **_FAILED_QUERY},
    Expect.SYNC: {B.ReadyForQuery: Expect.DONE, B.ErrorResponse: Expect.SYNC},
    Expect.COPY_END: {},
    Expect.LOCAL: {},
    Expect.LOCAL_SYNC: {},
}


class Phase(IntEnum):
    """What a server is doing."""

    AUTHENTICATION = auto()
    PARAMETERS = auto()
    READY = auto()
    QUERY = auto()
    QUERY_COPY_IN = auto()
    QUERY_COPY_OUT = auto()
    QUERY_COPY_BOTH = auto()
    EXTENDED = auto()
    """Between messages of the extended protocol, with no Sync so far."""
    EXTENDED_COPY_IN = auto()
    EXTENDED_COPY_OUT = auto()
    SKIPPING = auto()
    """After an error, up to the next Sync."""
    FUNCTION_CALL = auto()
    SYNCING = auto()
    """ReadyForQuery is due."""
    CLOSED = auto()


_COMMANDS: dict[int, Phase] = {
    **dict.fromkeys(EXTENDED_QUERY_TYPES, Phase.EXTENDED),
    F.Query: Phase.QUERY,
    F.FunctionCall: Phase.FUNCTION_CALL,
    F.Sync: Phase.SYNCING,
    F.Terminate: Phase.CLOSED,
}

RECEIVED: Final[dict[Phase, dict[int, Phase]]] = {
    Phase.AUTHENTICATION: {F.PasswordMessage: Phase.AUTHENTICATION, F.Terminate: Phase.CLOSED},
    Phase.PARAMETERS: {},
    Phase.READY: _COMMANDS,
    Phase.QUERY: {},
    Phase.QUERY_COPY_IN: {
        F.CopyData: Phase.QUERY_COPY_IN,
        F.CopyDone: Phase.QUERY,
        F.CopyFail: Phase.QUERY,
        F.Terminate: Phase.CLOSED,
    },
    Phase.QUERY_COPY_OUT: {},
    Phase.QUERY_COPY_BOTH: {
        F.CopyData: Phase.QUERY_COPY_BOTH,
        F.CopyDone: Phase.QUERY_COPY_OUT,
        F.CopyFail: Phase.QUERY,
        F.Terminate: Phase.CLOSED,
    },
    Phase.EXTENDED: _COMMANDS,
    Phase.EXTENDED_COPY_IN: {
        F.CopyData: Phase.EXTENDED_COPY_IN,
        F.CopyDone: Phase.EXTENDED,
        F.CopyFail: Phase.EXTENDED,
        F.Terminate: Phase.CLOSED,
    },
    Phase.EXTENDED_COPY_OUT: {},
    Phase.SKIPPING: {F.Sync: Phase.SYNCING, F.Terminate: Phase.CLOSED},
    Phase.FUNCTION_CALL: {},
    Phase.SYNCING: {},
    Phase.CLOSED: {},
}
"""What a message of the client makes of the phase; a server does not read while it answers, hence the empty ones."""

_COPY_TYPES = frozenset(map(int, (F.CopyData, F.CopyDone, F.CopyFail)))
_IGNORED_IN_COPY = frozenset(map(int, (F.Flush, F.Sync)))

IGNORED: Final[dict[Phase, frozenset[int]]] = {
    # Left over from a COPY that failed (manual: COPY Operations).
    Phase.READY: _COPY_TYPES,
    Phase.EXTENDED: _COPY_TYPES,
    Phase.QUERY_COPY_IN: _IGNORED_IN_COPY,
    Phase.EXTENDED_COPY_IN: _IGNORED_IN_COPY,
    Phase.QUERY_COPY_BOTH: _IGNORED_IN_COPY,
    Phase.SKIPPING: frozenset(map(int, FrontendType)) - {F.Sync, F.Terminate, F.PasswordMessage},
}
"""What a server reads and forgets."""

_STEP_REPLIES = (
    B.ParseComplete,
    B.BindComplete,
    B.CloseComplete,
    B.ParameterDescription,
    B.RowDescription,
    B.NoData,
    B.DataRow,
    B.CommandComplete,
    B.EmptyQueryResponse,
    B.PortalSuspended,
)
_STATEMENT_REPLIES = (B.RowDescription, B.DataRow, B.CommandComplete, B.EmptyQueryResponse)

SENT: Final[dict[Phase, dict[int, Phase]]] = {
    Phase.AUTHENTICATION: {
        B.NegotiateProtocolVersion: Phase.AUTHENTICATION,
        B.Authentication: Phase.AUTHENTICATION,
        AUTHENTICATION_OK: Phase.PARAMETERS,
        B.ErrorResponse: Phase.CLOSED,
    },
    Phase.PARAMETERS: {
        B.BackendKeyData: Phase.PARAMETERS,
        B.ReadyForQuery: Phase.READY,
        B.ErrorResponse: Phase.CLOSED,
    },
    Phase.READY: {B.ErrorResponse: Phase.CLOSED},
    Phase.QUERY: {
        **dict.fromkeys(_STATEMENT_REPLIES, Phase.QUERY),
        B.CopyInResponse: Phase.QUERY_COPY_IN,
        B.CopyOutResponse: Phase.QUERY_COPY_OUT,
        B.CopyBothResponse: Phase.QUERY_COPY_BOTH,
        B.ErrorResponse: Phase.SYNCING,
        B.ReadyForQuery: Phase.READY,
    },
    Phase.QUERY_COPY_IN: {B.ErrorResponse: Phase.SYNCING},
    Phase.QUERY_COPY_OUT: {
        B.CopyData: Phase.QUERY_COPY_OUT,
        B.CopyDone: Phase.QUERY,
        B.ErrorResponse: Phase.SYNCING,
    },
    Phase.QUERY_COPY_BOTH: {
        B.CopyData: Phase.QUERY_COPY_BOTH,
        B.CopyDone: Phase.QUERY_COPY_BOTH,
        B.ErrorResponse: Phase.SYNCING,
    },
    Phase.EXTENDED: {
        **dict.fromkeys(_STEP_REPLIES, Phase.EXTENDED),
        B.CopyInResponse: Phase.EXTENDED_COPY_IN,
        B.CopyOutResponse: Phase.EXTENDED_COPY_OUT,
        B.ErrorResponse: Phase.SKIPPING,
    },
    Phase.EXTENDED_COPY_IN: {B.ErrorResponse: Phase.SKIPPING},
    Phase.EXTENDED_COPY_OUT: {
        B.CopyData: Phase.EXTENDED_COPY_OUT,
        B.CopyDone: Phase.EXTENDED,
        B.ErrorResponse: Phase.SKIPPING,
    },
    Phase.SKIPPING: {},
    Phase.FUNCTION_CALL: {B.FunctionCallResponse: Phase.SYNCING, B.ErrorResponse: Phase.SYNCING},
    Phase.SYNCING: {B.ErrorResponse: Phase.SYNCING, B.ReadyForQuery: Phase.READY},
    Phase.CLOSED: {},
}
"""What a message of ours makes of the phase."""
