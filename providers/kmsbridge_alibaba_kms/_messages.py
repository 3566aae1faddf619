"""The messages of an instance's door, built when they are first needed from ``kms_instance.proto``.

Code that protoc generates is bound to versions of protobuf: it refuses runtimes that are
older, and in time those that are newer. Descriptors that are built at run time work with all.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PROTO = Path(__file__).with_name("kms_instance.proto")
_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r"^  (repeated )?(\w+) (\w+) = (\d+);$", re.MULTILINE)
_PACKAGE = re.compile(r"^package ([\w.]+);$", re.MULTILINE)


class NoMessage(ValueError):
    """Bytes that are no message of the kind that is due."""


@cache
def _classes() -> Mapping[str, type[Message]]:
    text = _PROTO.read_text("utf-8")
    package = _PACKAGE.findall(text)[0]
    types = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="kmsbridge/kms_instance.proto", package=package, syntax="proto3")
    names = []
    for name, body in _MESSAGE.findall(text):
        names.append(name)
        message = file.message_type.add(name=name)
        for repeated, kind, field, number in _FIELD.findall(body):
            message.field.add(
                name=field,
                number=int(number),
                type=types.Type.Value(f"TYPE_{kind.upper()}"),
                label=types.Label.Value("LABEL_REPEATED" if repeated else "LABEL_OPTIONAL"),
            )
    pool = descriptor_pool.DescriptorPool()  # of our own: another package may have messages of these names
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in names
    }


def written(name: str, fields: Mapping[str, str | bytes | int]) -> bytes:
    """A message as bytes."""
    data: bytes = _classes()[name](**fields).SerializeToString()
    return data


def read(name: str, data: bytes) -> dict[str, Any]:
    """The fields of a message by their names, also those that are empty.

    Raises:
        NoMessage: It is none of this kind.
    """
    kind = _classes()[name]
    try:
        message = kind.FromString(data)
    except DecodeError:
        pass  # raised below: its own exception may hold bytes
    else:
        return {field.name: getattr(message, field.name) for field in kind.DESCRIPTOR.fields}
    raise NoMessage("the body is no message")
