"""Hypothesis strategies: any message that the wire can carry."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import strategies as st

from longshore.proto.postgres import messages as m

__all__ = ["backend_messages", "chunks_of", "frontend_messages"]

texts = st.binary(max_size=12).map(lambda data: data.replace(b"\0", b"x"))
names = texts.filter(bool)
data = st.binary(max_size=20)
values = st.none() | data
oids = st.integers(0, 2**32 - 1)
int32s = st.integers(-(2**31), 2**31 - 1)
int16s = st.integers(-(2**15), 2**15 - 1)
formats = st.integers(0, 1)
kinds = st.sampled_from([b"S", b"P"])


def tuples(items: st.SearchStrategy[object], limit: int = 4) -> st.SearchStrategy[tuple[object, ...]]:
    return st.lists(items, max_size=limit).map(tuple)


@st.composite
def _arguments(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[bytes | None, ...]]:
    arguments = tuple(draw(st.lists(values, max_size=4)))
    count = draw(st.sampled_from([0, 1, len(arguments)]))
    return tuple(draw(st.lists(formats, min_size=count, max_size=count))), arguments


@st.composite
def _binds(draw: st.DrawFn) -> m.Bind:
    parameter_formats, parameters = draw(_arguments())
    return m.Bind(draw(texts), draw(texts), parameter_formats, parameters, tuple(draw(st.lists(formats, max_size=3))))


@st.composite
def _calls(draw: st.DrawFn) -> m.FunctionCall:
    argument_formats, arguments = draw(_arguments())
    return m.FunctionCall(draw(oids), argument_formats, arguments, draw(formats))


frontend_messages = st.one_of(
    _binds(),
    _calls(),
    st.builds(m.Query, texts),
    st.builds(m.Parse, texts, texts, tuples(oids)),
    st.builds(m.Describe, kinds, texts),
    st.builds(m.Close, kinds, texts),
    st.builds(m.Execute, texts, int32s),
    st.builds(m.CopyData, data),
    st.builds(m.CopyFail, texts),
    st.builds(m.PasswordMessage, texts),
    st.sampled_from([m.CopyDone(), m.Flush(), m.Sync(), m.Terminate()]),
)

_fields = st.builds(m.FieldDescription, texts, oids, oids, int16s, int16s, int32s, formats)
_codes = st.integers(1, 255).map(lambda code: bytes((code,)))
_error_fields = tuples(st.tuples(_codes, texts))

backend_messages = st.one_of(
    st.builds(m.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
    st.builds(m.AuthenticationSASL, tuples(names)),
    st.builds(m.AuthenticationSASLContinue, data),
    st.builds(m.AuthenticationSASLFinal, data),
    st.builds(m.NegotiateProtocolVersion, int32s, tuples(texts)),
    st.builds(m.BackendKeyData, int32s, st.binary(min_size=4, max_size=256)),
    st.builds(m.ParameterStatus, texts, texts),
    st.builds(m.ReadyForQuery, st.sampled_from(list(b"ITE"))),
    st.builds(m.ParameterDescription, tuples(oids)),
    st.builds(m.RowDescription, tuples(_fields)),
    st.builds(m.DataRow, tuples(values)),
    st.builds(m.CommandComplete, texts),
    st.builds(m.CopyInResponse, formats, tuples(formats)),
    st.builds(m.CopyOutResponse, formats, tuples(formats)),
    st.builds(m.CopyBothResponse, formats, tuples(formats)),
    st.builds(m.CopyData, data),
    st.builds(m.ErrorResponse, _error_fields),
    st.builds(m.NoticeResponse, _error_fields),
    st.builds(m.FunctionCallResponse, values),
    st.builds(m.NotificationResponse, int32s, texts, texts),
    st.sampled_from([m.AuthenticationOk(), m.ParseComplete(), m.BindComplete(), m.NoData(), m.PortalSuspended()]),
)


def chunks_of(wire: bytes, cuts: list[int]) -> list[bytes]:
    """Return the bytes cut at the places, in order; the pieces may be empty."""
    places = sorted({0, len(wire), *(cut % (len(wire) + 1) for cut in cuts)})
    return [wire[start:end] for start, end in pairwise(places)]
