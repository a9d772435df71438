"""Every message survives the way to the other process."""

from __future__ import annotations

from typing import cast, get_args

import msgspec
import pytest

from longshore.config.model import WorkerConfig
from longshore.proto.ipc import messages
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
    int: 7,
    float: 0.25,
    bool: True,
    tuple[str, ...]: ("fetch", "scheduled"),
    tuple[SourceFrame, ...]: (FRAME,),
    ErrorReport: REPORT,
}


def sample(cls: type[msgspec.Struct]) -> Message:
    """Return a message with a value in every field."""
    values = {}
    for field in msgspec.structs.fields(cls):
        raw = msgspec.Raw(msgspec.json.encode(CONFIG))
        values[field.name] = raw if field.type is msgspec.Raw else SAMPLES.get(field.type, 0.5)
    return cast("Message", cls(**values))


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


def test_every_message_of_the_module_can_be_decoded() -> None:
    defined = {cls for cls in vars(messages).values() if isinstance(cls, type) and issubclass(cls, messages._Message)}
    assert defined - {messages._Message} == set(CLASSES)
