"""Both doors of Alibaba Cloud KMS, with one secret and two keys behind them: for tests of what goes wrong on the way.

It keeps no state and checks nothing: what comes back is always the same success.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from kmsbridge.emulation import Backend, Emulator, Operation, Response
from kmsbridge_alibaba_kms import _messages
from kmsbridge_alibaba_kms._client_key import KEY_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kmsbridge.emulation import Documented, Request

VALUE = "s3cret"
AES, EC = "alias/aes", "alias/ec"
REQUEST_ID = "0a1b2c3d-0000-4000-8000-000000000000"
KST = "kst-abcd"
JSON, PROTOBUF = "application/json", "application/x-protobuf"
OPENAPI: Mapping[str, Mapping[str, Any]] = {
    "GetSecretValue": {
        "SecretName": "a", "VersionId": "v", "SecretData": VALUE, "SecretDataType": "text",
        "CreateTime": "2026-01-31T12:00:00Z",
    },
    "PutSecretValue": {"SecretName": "a"},
    "ListSecrets": {"SecretList": {"Secret": [{"SecretName": "a"}]}, "TotalCount": 1},
    "DeleteSecret": {"SecretName": "a", "PlannedDeleteTime": "2026-01-31T12:00:00Z"},
    "RestoreSecret": {"SecretName": "a"},
    "DescribeKey": {"KeyMetadata": {
        "KeyId": "key-1", "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT", "KeyState": "Enabled",
        "PrimaryKeyVersion": "v",
    }},
    "ListResourceTags": {"Tags": {"Tag": []}},
    "ListTagResources": {"TagResources": {"TagResource": []}},
    "ListKeyVersions": {"KeyVersions": {"KeyVersion": [{"KeyVersionId": "v"}]}, "TotalCount": 1},
    "Encrypt": {"KeyId": "key-1", "KeyVersionId": "v", "CiphertextBlob": "AAAA"},
    "AsymmetricSign": {"KeyId": "key-1", "KeyVersionId": "v", "Value": "AAAA"},
    "AsymmetricVerify": {"KeyId": "key-1", "KeyVersionId": "v", "Value": True},
    "EnableKey": {}, "DisableKey": {}, "ScheduleKeyDeletion": {}, "CancelKeyDeletion": {}, "CreateAlias": {},
    "CreateKey": {"KeyMetadata": {
        "KeyId": "key-2", "KeySpec": "Aliyun_AES_256", "KeyUsage": "ENCRYPT/DECRYPT", "KeyState": "Enabled",
        "PrimaryKeyVersion": "v",
    }},
}  # fmt: skip
"""What the region's door answers, beside a RequestId."""
INSTANCE: Mapping[str, Mapping[str, str | bytes | int]] = {
    "GetSecretValue": {"SecretName": "a", "VersionId": "v", "SecretData": VALUE, "SecretDataType": "text"},
    "AdvanceEncrypt": {"KeyId": "key-1", "KeyVersionId": "v", "Iv": bytes(12), "CiphertextBlob": b"blob"},
    "GenerateRandom": {"Random": b"r"},
}
"""What an instance's door answers, beside a RequestId."""


@dataclass(frozen=True)
class Settings:
    """There is nothing to set."""

    nothing: bool = True


class Doors(Backend[Settings]):
    """The doors."""

    name = "alibaba-kms"
    operations = tuple(Operation(name, "POST", "/") for name in (*OPENAPI, *INSTANCE, "GetPublicKey"))
    hosts = ("*.cryptoservice.localhost",)

    def identify(self, request: Request) -> None:
        """By the header that names the operation."""
        name = request.headers.get("x-acs-action", request.headers.get("x-kms-apiname"))
        request.operation = next((each for each in self.operations if each.name == name), None)
        request.resource = request.query.get("SecretName", request.query.get("KeyId", ""))

    def apply(self, request: Request) -> Response:
        """The success."""
        assert request.operation is not None
        name = request.operation.name
        if "x-kms-apiname" in request.headers:
            return Response(200, (("Content-Type", PROTOBUF),), protobuf(name))
        fields: dict[str, Any] = dict(OPENAPI[name])
        if name == "DescribeKey" and request.query["KeyId"] == EC:
            fields = {"KeyMetadata": {**fields["KeyMetadata"], "KeySpec": "EC_P256", "KeyUsage": "SIGN/VERIFY"}}
        for echoed in {"SecretName", "VersionId"} & request.query.keys():
            fields[echoed] = request.query[echoed]
        return Response.json({**fields, "RequestId": REQUEST_ID}, headers={"x-acs-request-id": REQUEST_ID})

    @property
    def documented(self) -> Mapping[str, Documented]:
        """None: errors are given as they are."""
        return {}

    def answer(self, name: str, request: Request) -> Response:
        """There is none."""
        raise AssertionError(f"no error {name} for {request.path}")

    @property
    def usage(self) -> str:
        """For nobody."""
        return ""


def protobuf(operation: str = "GetSecretValue", **fields: str | bytes | int) -> bytes:
    """A success of an instance's door, with these fields for others."""
    return _messages.written(f"{operation}Response", {**INSTANCE[operation], "RequestId": REQUEST_ID, **fields})


def error(code: str, status: int, words: str = "m") -> bytes:
    """An error of an instance's door."""
    fields: dict[str, str | bytes | int] = {"StatusCode": status, "ErrorCode": code, "ErrorMessage": words}
    return _messages.written("Error", {**fields, "RequestId": REQUEST_ID})


@cache
def running() -> Emulator:
    """The doors, opened by the first who asks; they end with the process."""
    emulator = Emulator(Doors(Settings())).start()
    atexit.register(emulator.stop)
    return emulator


@cache
def authority() -> str:
    """The file with the certificate that their clients trust."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    os.close(handle)
    atexit.register(os.unlink, path)
    return running().write_ca(path)


@cache
def _client_key() -> str:
    key = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return json.dumps({"KeyId": "KAAP.1", "PrivateKeyData": base64.b64encode(key).decode()})


@contextmanager
def opened() -> Iterator[Emulator]:
    """The doors, asked for nothing yet; AccessKey and client key in the environment, and their names resolved."""
    emulator, resolve = running(), socket.getaddrinfo
    emulator.reset()
    environment = {
        "ALIBABA_CLOUD_ACCESS_KEY_ID": "id", "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret", KEY_VARIABLE: _client_key()
    }  # fmt: skip

    def resolved(host: Any, *arguments: Any, **options: Any) -> Any:
        """Not every system knows the names under localhost."""
        return resolve("localhost" if str(host).endswith(".localhost") else host, *arguments, **options)

    with patch.dict(os.environ, environment), patch.object(socket, "getaddrinfo", resolved):
        yield emulator
    emulator.clear_failures()


def url(door: str, port: int | None = None) -> str:
    """Where to connect to: ``openapi``, or ``instance`` alone."""
    port = running().port if port is None else port
    if door == "openapi":
        return f"alibaba-kms://cn-hangzhou?credential=environment&endpoint=localhost:{port}&ca={authority()}"
    host = f"{KST}.cryptoservice.localhost:{port}"
    return f"alibaba-kms://cn-hangzhou?instance={KST}&instance_endpoint={host}&instance_ca={authority()}"
