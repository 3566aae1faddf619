"""The door of a KMS instance, as the emulator has it: requests written by hand, as no client may share our protobuf."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import socket
import ssl
from email.utils import formatdate
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from kmsbridge.emulation import Emulator
from kmsbridge_alibaba_kms.emulator import AlibabaKms

if TYPE_CHECKING:
    from collections.abc import Iterator

RANDOM = b"\x08\x10"
"""GenerateRandomRequest: Length, field 1, is 16."""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One for all; nothing here changes it."""
    with Emulator(AlibabaKms()) as running:
        yield running


@cache
def opened(client_key: str) -> tuple[str, rsa.RSAPrivateKey]:
    """What a client key file holds."""
    client = json.loads(client_key)
    key, _, _ = pkcs12.load_key_and_certificates(base64.b64decode(client["PrivateKeyData"]), None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return client["KeyId"], key


def send(
    emulator: Emulator, tmp_path: Any, *, before: dict[str, str] | None = None, after: dict[str, str] | None = None,
    body: bytes = RANDOM, host: str = "kst-emulator",
) -> tuple[int, bytes]:
    """Status and body of the answer; `before` is signed, `after` is not, and an empty header is not sent."""
    backend = emulator.backend
    assert isinstance(backend, AlibabaKms)
    id_, key = opened(backend.access_point.client_key)
    headers = {
        "content-type": "application/x-protobuf", "date": formatdate(usegmt=True), "x-kms-apiname": "GenerateRandom",
        "x-kms-apiversion": "dkms-gcs-0.2", "x-kms-signaturemethod": "RSA_PKCS1_SHA_256",
        "x-kms-acccesskeyid": id_, "content-sha256": hashlib.sha256(body).hexdigest().upper(),
        **(before or {}),
    }  # fmt: skip
    headers = {name: value for name, value in headers.items() if value}
    named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-kms-"))
    to_sign = f"POST\n{headers['content-sha256']}\n{headers['content-type']}\n{headers['date']}\n{named}/"
    signature = key.sign(to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
    headers |= {"authorization": f"Bearer {base64.b64encode(signature).decode()}", **(after or {})}
    context = ssl.create_default_context(cafile=emulator.write_ca(str(tmp_path / "ca.pem")))
    name = f"{host}.cryptoservice.localhost" if host else "localhost"
    connection = http.client.HTTPSConnection(name, emulator.port, context=context)
    raw = socket.create_connection(("localhost", emulator.port), timeout=10)
    connection.sock = context.wrap_socket(raw, server_hostname=name)
    try:
        connection.request("POST", "/", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_is_signed_is_answered(emulator: Emulator, tmp_path: Any) -> None:
    """Field 1 of the answer is 16 random bytes, field 2 the id of the request; under the name of its instance."""
    status, body = send(emulator, tmp_path)
    assert (status, body[:2], body[18:20], len(body)) == (200, b"\x0a\x10", b"\x12\x24", 56)


def test_the_first_instance_has_no_name_of_its_own_too(emulator: Emulator, tmp_path: Any) -> None:
    """Where names under localhost do not resolve, it is known by how it is asked."""
    status, body = send(emulator, tmp_path, host="")
    assert (status, body[:2], len(body)) == (200, b"\x0a\x10", 56)
    assert send(emulator, tmp_path, host="", after={"authorization": "Bearer !"})[0] == 401


def test_every_documented_error_is_sent_here_too(emulator: Emulator, tmp_path: Any) -> None:
    """With its status and code, in Protocol Buffers."""
    for name, known in emulator.backend.documented.items():
        emulator.fail("GenerateRandom", name)
        status, body = send(emulator, tmp_path)
        code = name.removesuffix("OnKey").removesuffix("RetryAfter").encode()
        assert status == known.status
        assert b"\x12" + bytes([len(code)]) + code in body


REFUSED: dict[str, tuple[dict[str, Any], int, bytes]] = {
    "a body changed": ({"after": {"content-sha256": "0" * 64}}, 401, b"SignatureNotMatch"),
    "a header changed": ({"after": {"x-kms-apiname": "Encrypt"}}, 401, b"SignatureNotMatch"),
    "no signature": ({"after": {"authorization": "Bearer !"}}, 401, b"SignatureNotMatch"),
    "an unknown key": ({"before": {"x-kms-acccesskeyid": "KAAP.x"}}, 404, b"Unauthorized"),
    "no key": ({"before": {"x-kms-acccesskeyid": ""}}, 400, b"MissingParamter"),
    "an hour late": ({"before": {"date": formatdate(0, usegmt=True)}}, 400, b"RequestTimeTooSkewed"),
    "no date": ({"before": {"date": "now"}}, 400, b"The Param Date is invalid."),
    "another content type": ({"before": {"content-type": "text/plain"}}, 415, b'Content-Type "text/plain"'),
    "another version": ({"before": {"x-kms-apiversion": "1"}}, 400, b"InvalidApiVersion"),
    "another way to sign": ({"before": {"x-kms-signaturemethod": "HMAC"}}, 400, b"InvalidParam"),
    "an unknown operation": ({"before": {"x-kms-apiname": "CreateKey"}}, 400, b"InvalidApiName"),
    "no message": ({"body": b"\x08\xff"}, 400, b"InvalidParameter"),
    "too many bytes": ({"body": b"\x08\x81\x08"}, 400, b"InvalidParameter"),
    "an unknown instance": ({"host": "kst-none"}, 403, b"Forbidden.DKMSInstanceNotFound"),
    "more than 3 MB": ({"body": b"\x12" + bytes(3 << 20)}, 413, b""),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused(emulator: Emulator, tmp_path: Any, case: str) -> None:
    """With the error that is documented for it, in Protocol Buffers."""
    changes, status, said = REFUSED[case]
    found, body = send(emulator, tmp_path, **changes)
    assert (found, said in body) == (status, True), body
    assert bool(body) is bool(said)
