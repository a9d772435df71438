"""Every message survives the way to the other process."""

from __future__ import annotations

from types import NoneType
from typing import Any, Literal, cast, get_args, get_origin

import msgspec
import pytest

from longshore.config.model import WorkerConfig
from longshore.proto.ipc import egress, messages, pool, takeover
from longshore.proto.ipc.base import IpcMessage
from longshore.proto.ipc.messages import ErrorReport, Message, SourceFrame, Start, decode_message, encode_message

CONFIG = WorkerConfig(name="w", main="/p/entry.py", module_root="/p", project_dir="/p", secrets={"KEY": "ünïcödé\0"})
FRAME = SourceFrame(file="/p/entry.py", line=3, function="fetch", first_line=2, source=("a", "b"), is_users=True)
REPORT = ErrorReport(
    type="ValueError",
    message="no",
    text="Traceback …",
    frames=(FRAME,),
    notes=("look",),
    cause=ErrorReport(type="KeyError", message="'x'", text="…"),
)

CLASSES = get_args(Message)
SAMPLES = {
    str: "text",
    bytes: b"\x00\xff",
    int: 7,
    float: 0.25,
    bool: True,
    msgspec.Raw: msgspec.Raw(msgspec.json.encode(CONFIG)),
    tuple[str, int]: ("::1", 70),
    dict[str, str]: {"LANG": "C"},
    dict[str, Any]: {"user": "text", "settings": [["a", "b"]], "is_idle": True},
    tuple[str, ...]: ("fetch", "scheduled"),
    tuple[SourceFrame, ...]: (FRAME,),
    ErrorReport: REPORT,
}


def sample(cls: type[msgspec.Struct]) -> Message:
    """Return a message with a value in every field."""
    return cast("Message", filled(cls))


def filled(cls: type[msgspec.Struct]) -> msgspec.Struct:
    return cls(**{field.name: value_of(field.type) for field in msgspec.structs.fields(cls)})


def value_of(kind: Any) -> Any:
    if kind in SAMPLES:
        return SAMPLES[kind]
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return filled(kind)
    if NoneType in get_args(kind):
        return value_of(next(each for each in get_args(kind) if each is not NoneType))
    (element, *_) = get_args(kind)
    return [value_of(element)] if get_origin(kind) is list else (value_of(element),)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_message_comes_back_as_it_was(cls: type[msgspec.Struct]) -> None:
    message = sample(cls)
    back = decode_message(encode_message(message))
    assert type(back) is cls
    assert encode_message(back) == encode_message(message)


def test_the_configuration_travels_whole() -> None:
    start = Start(config=msgspec.Raw(msgspec.json.encode(CONFIG)), worker_id=1)
    back = decode_message(encode_message(start))
    assert isinstance(back, Start)
    assert msgspec.json.decode(back.config, type=WorkerConfig) == CONFIG


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"{}",
        b'{"type":"Nonsense"}',
        b'{"type":"Drain"}',
        b'{"type":"Drain","timeout_s":"x"}',
        b"\xff",
    ],
)
def test_what_is_no_message_is_a_value_error(payload: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        decode_message(payload)


def test_every_message_of_the_modules_can_be_decoded() -> None:
    named = [value for module in (messages, egress, pool, takeover) for value in vars(module).values()]
    defined = {cls for cls in named if isinstance(cls, type) and issubclass(cls, IpcMessage)}
    assert defined - {IpcMessage} == set(CLASSES)
