"""The messages of an instance's door, as its clients' descriptor numbers their fields (alibabacloud-dkms-gcs)."""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError
from google.protobuf.message_factory import GetMessageClass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_TYPES = {
    "s": FieldDescriptorProto.TYPE_STRING, "b": FieldDescriptorProto.TYPE_BYTES,
    "i": FieldDescriptorProto.TYPE_INT32, "t": FieldDescriptorProto.TYPE_BOOL,
}  # fmt: skip
_SEALING = "Algorithm:s Aad:b Iv:b PaddingMode:s"
_TABLE = {
    "Error": "StatusCode:i ErrorCode:s ErrorMessage:s RequestId:s",
    "GenerateRandomRequest": "Length:i",
    "GenerateRandomResponse": "Random:b RequestId:s",
    "GetSecretValueRequest": "SecretName:s VersionStage:s VersionId:s FetchExtendedConfig:t",
    "GetSecretValueResponse": (
        "SecretName:s SecretType:s SecretData:s SecretDataType:s VersionStages:s* VersionId:s CreateTime:s RequestId:s "
        "LastRotationDate:s NextRotationDate:s ExtendedConfig:s AutomaticRotation:s RotationInterval:s"
    ),
    "GetPublicKeyRequest": "KeyId:s",
    "GetPublicKeyResponse": "KeyId:s PublicKey:s RequestId:s",
    "EncryptRequest": f"KeyId:s Plaintext:b {_SEALING}",
    "EncryptResponse": "KeyId:s CiphertextBlob:b Iv:b RequestId:s Algorithm:s PaddingMode:s",
    "DecryptRequest": f"CiphertextBlob:b KeyId:s {_SEALING}",
    "DecryptResponse": "KeyId:s Plaintext:b RequestId:s Algorithm:s PaddingMode:s",
    "GenerateDataKeyRequest": "KeyId:s Algorithm:s NumberOfBytes:i Aad:b",
    "GenerateDataKeyResponse": "KeyId:s Iv:b Plaintext:b CiphertextBlob:b RequestId:s Algorithm:s",
    "AdvanceEncryptRequest": f"KeyId:s Plaintext:b {_SEALING}",
    "AdvanceEncryptResponse": "KeyId:s CiphertextBlob:b Iv:b RequestId:s Algorithm:s PaddingMode:s KeyVersionId:s",
    "AdvanceDecryptRequest": f"CiphertextBlob:b KeyId:s {_SEALING}",
    "AdvanceDecryptResponse": "KeyId:s Plaintext:b RequestId:s Algorithm:s PaddingMode:s KeyVersionId:s",
    "AdvanceGenerateDataKeyRequest": "KeyId:s NumberOfBytes:i Aad:b",
    "AdvanceGenerateDataKeyResponse": (
        "KeyId:s Iv:b Plaintext:b CiphertextBlob:b RequestId:s Algorithm:s KeyVersionId:s"
    ),
    "SignRequest": "KeyId:s Digest:b Algorithm:s Message:b MessageType:s",
    "SignResponse": "KeyId:s Signature:b RequestId:s Algorithm:s MessageType:s",
    "VerifyRequest": "KeyId:s Digest:b Signature:b Algorithm:s Message:b MessageType:s",
    "VerifyResponse": "KeyId:s Value:t RequestId:s Algorithm:s MessageType:s",
}
"""Fields in the order of their numbers, from 1, each with its type: text, bytes, int32 or truth; ``*`` is repeated."""


def _classes() -> Mapping[str, Any]:
    file = FileDescriptorProto(name="kmsbridge_emulator.proto", package="protobuf", syntax="proto3")
    for name, fields in _TABLE.items():
        message = DescriptorProto(name=name)
        for number, field in enumerate(fields.split(), 1):
            named, _, kind = field.partition(":")
            many = FieldDescriptorProto.LABEL_REPEATED if kind.endswith("*") else FieldDescriptorProto.LABEL_OPTIONAL
            message.field.add(name=named, number=number, type=_TYPES[kind[0]], label=many)
        file.message_type.append(message)
    pool = DescriptorPool()
    pool.Add(file)
    return {name: GetMessageClass(pool.FindMessageTypeByName(f"protobuf.{name}")) for name in _TABLE}


_CLASSES = _classes()


def read(name: str, body: bytes) -> Any:
    """A message; None if the bytes are none."""
    try:
        return _CLASSES[name].FromString(body)
    except DecodeError:
        return None


def written(name: str, fields: Mapping[str, Any]) -> bytes:
    """The bytes of a message; of the fields, those that it has."""
    known = {field.name for field in _CLASSES[name].DESCRIPTOR.fields}
    data: bytes = _CLASSES[name](**{key: value for key, value in fields.items() if key in known}).SerializeToString()
    return data
