"""The door of a KMS instance: Protocol Buffers, signed by the key of an application access point."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import uuid
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import NoEncryption, pkcs12

from kmsbridge.emulation import Response
from kmsbridge_alibaba_kms.emulator import _arithmetic, _messages, _secrets
from kmsbridge_alibaba_kms.emulator._catalogue import CATALOGUE
from kmsbridge_alibaba_kms.emulator._keys import find, usable, version_of
from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._material import ENCRYPT, SIGN
from kmsbridge_alibaba_kms.emulator._signature import WINDOW_SECONDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge.emulation import Request
    from kmsbridge_alibaba_kms.emulator._state import Call, Key

API_VERSION = "dkms-gcs-0.2"
CONTENT_TYPE = "application/x-protobuf"
SIGNED_BY = "RSA_PKCS1_SHA_256"
MAX_BODY = 3 << 20
MAX_PLAINTEXT = 6 * 1024
MAX_RANDOM = 1024
_HEADER = b"$\x00\x02"
"""Before what AdvanceEncrypt has made: a mark, version and padding, and AES-GCM. What follows is ours."""
_ID_BYTES = 16


class AccessPoint:
    """An application access point, and its client key; it is made when somebody asks."""

    id = "KAAP.emulator"

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    @cached_property
    def client_key(self) -> str:
        """What the client key file holds: JSON, the private key as PKCS#12 without a password."""
        data = pkcs12.serialize_key_and_certificates(b"emulator", self._key, None, None, NoEncryption())
        return json.dumps({"KeyId": self.id, "PrivateKeyData": base64.b64encode(data).decode()})

    def verify(self, request: Request) -> None:
        """Look at the headers and at the signature over them.

        Raises:
            Refused: The request is not let in.
        """
        headers = request.headers
        if (kind := headers.get("content-type", "")) != CONTENT_TYPE:
            raise Refused("InvalidContentType", value=kind)
        if headers.get("x-kms-apiversion") != API_VERSION:
            raise Refused("InvalidApiVersion", value=headers.get("x-kms-apiversion", ""))
        if headers.get("x-kms-signaturemethod") != SIGNED_BY:
            raise Refused("InvalidParam", value="x-kms-signaturemethod")
        if "x-kms-acccesskeyid" not in headers:
            raise Refused("MissingParamter")
        try:
            sent = parsedate_to_datetime(headers.get("date", "")).timestamp()
        except ValueError:
            raise Refused("InvalidParam", value="Date") from None
        if abs(time.time() - sent) > WINDOW_SECONDS:
            raise Refused("RequestTimeTooSkewed")
        if headers["x-kms-acccesskeyid"] != self.id:
            raise Refused("Unauthorized", value=headers["x-kms-acccesskeyid"])
        body = hashlib.sha256(request.body).hexdigest().upper()
        named = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-kms-"))
        to_sign = f"{request.method}\n{body}\n{kind}\n{headers['date']}\n{named}{request.target}"
        scheme, _, signature = headers.get("authorization", "").partition(" ")
        try:
            signed = base64.b64decode(signature, validate=True)
            self._key.public_key().verify(signed, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (ValueError, InvalidSignature):
            raise Refused("SignatureNotMatch") from None
        if scheme != "Bearer" or headers.get("content-sha256") != body:
            raise Refused("SignatureNotMatch")


def apply(name: str, request: Request, call: Call, instance: str) -> Response:
    """Do what an admitted request asks.

    Raises:
        Refused: It cannot be done.
    """
    if len(request.body) > MAX_BODY:
        return Response(413)
    asked = _messages.read(f"{name}Request", request.body)
    if asked is None:
        raise Refused("InvalidParameter")
    done = {**_HANDLERS[name](asked, call, instance), "RequestId": str(uuid.uuid4())}
    return Response(200, (("Content-Type", CONTENT_TYPE),), _messages.written(f"{name}Response", done))


def refusal(error: str, facts: Mapping[str, str]) -> Response:
    """A documented error, as this door writes it."""
    known = CATALOGUE[error]
    told = {
        "StatusCode": known.status, "ErrorCode": known.code or error, "RequestId": str(uuid.uuid4()),
        "ErrorMessage": known.message.format_map(facts),
    }  # fmt: skip
    return Response(known.status, (("Content-Type", CONTENT_TYPE),), _messages.written("Error", told))


# -- operations -------------------------------------------------------------------------


def _get_secret_value(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    call = call.about(SecretName=asked.SecretName, VersionId=asked.VersionId, VersionStage=asked.VersionStage)
    if _secrets.find(call).instance != instance:
        raise Refused("Forbidden.ResourceNotFound")
    found = _secrets.get(call)
    return {**found, "VersionStages": found["VersionStages"]["VersionStage"]}


def _random(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    del call, instance
    if not 1 <= asked.Length <= MAX_RANDOM:
        raise Refused("InvalidParameter")
    return {"Random": secrets.token_bytes(asked.Length)}


def _public_key(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key = _key(asked, call, instance)
    return {"KeyId": key.id, "PublicKey": _arithmetic.public_pem(key.versions[-1].material)}


def _encrypt(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key = _key(asked, call, instance, ENCRYPT)
    material = key.versions[-1].material
    if len(asked.Plaintext) > MAX_PLAINTEXT:
        raise Refused("InvalidParameter")
    if isinstance(material, bytes):
        iv, sealed = _arithmetic.seal(material, asked.Plaintext, asked.Aad, asked.Iv or None)
        return {"KeyId": key.id, "CiphertextBlob": sealed, "Iv": iv, "Algorithm": "AES_GCM"}
    sealed = _arithmetic.encrypt(material, asked.Algorithm, asked.Plaintext)
    return {"KeyId": key.id, "CiphertextBlob": sealed, "Algorithm": asked.Algorithm}


def _decrypt(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key = _key(asked, call, instance, ENCRYPT)
    material = key.versions[-1].material
    if isinstance(material, bytes):
        plain = _arithmetic.unseal(material, asked.Iv, asked.CiphertextBlob, asked.Aad)
    else:
        plain = _arithmetic.decrypt(material, asked.Algorithm, asked.CiphertextBlob)
    return {"KeyId": key.id, "Plaintext": plain, "Algorithm": asked.Algorithm or "AES_GCM"}


def _advance_encrypt(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    if len(asked.Plaintext) > MAX_PLAINTEXT:
        raise Refused("InvalidParameter")
    return _advanced(_key(asked, call, instance, ENCRYPT), asked.Plaintext, asked.Aad, asked.Iv)


def _advance_decrypt(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key, blob = _key(asked, call, instance, ENCRYPT), asked.CiphertextBlob
    start = len(_HEADER) + _ID_BYTES
    if len(blob) < start or not blob.startswith(_HEADER):
        raise Refused("InvalidParameter")
    version = version_of(key, str(uuid.UUID(bytes=blob[len(_HEADER) : start])))
    plain = _arithmetic.unseal(version.material, asked.Iv, blob[start:], asked.Aad)
    return {"KeyId": key.id, "KeyVersionId": version.id, "Plaintext": plain, "Algorithm": "AES_GCM"}


def _generate_data_key(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key, plain = _key(asked, call, instance, ENCRYPT), _data_key(asked)
    iv, sealed = _arithmetic.seal(key.versions[-1].material, plain, asked.Aad)
    return {"KeyId": key.id, "Plaintext": plain, "CiphertextBlob": sealed, "Iv": iv, "Algorithm": "AES_GCM"}


def _advance_generate_data_key(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    plain = _data_key(asked)
    return {**_advanced(_key(asked, call, instance, ENCRYPT), plain, asked.Aad, b""), "Plaintext": plain}


def _sign(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key = _key(asked, call, instance, SIGN)
    made = _arithmetic.sign(key.versions[-1].material, asked.Algorithm, _digest(asked))
    return {"KeyId": key.id, "Signature": made, "Algorithm": asked.Algorithm, "MessageType": asked.MessageType}


def _verify(asked: Any, call: Call, instance: str) -> dict[str, Any]:
    key = _key(asked, call, instance, SIGN)
    good = _arithmetic.verify(key.versions[-1].material, asked.Algorithm, _digest(asked), asked.Signature)
    return {"KeyId": key.id, "Value": good, "Algorithm": asked.Algorithm, "MessageType": asked.MessageType}


def _key(asked: Any, call: Call, instance: str, usage: str | None = None) -> Key:
    try:
        key = find(call.about(KeyId=asked.KeyId))
    except Refused:
        raise Refused("Forbidden.KeyNotFound") from None
    if key.instance != instance:
        raise Refused("Forbidden.KeyNotFound")
    if usable(key).usage != (usage or key.usage):
        raise Refused("UnsupportedOperation")
    return key


def _advanced(key: Key, plain: bytes, aad: bytes, iv: bytes) -> dict[str, Any]:
    version = key.versions[-1]
    iv, sealed = _arithmetic.seal(version.material, plain, aad, iv or None)
    blob = _HEADER + uuid.UUID(version.id).bytes + sealed
    return {"KeyId": key.id, "KeyVersionId": version.id, "CiphertextBlob": blob, "Iv": iv, "Algorithm": "AES_GCM"}


def _data_key(asked: Any) -> bytes:
    if not 0 <= asked.NumberOfBytes <= MAX_RANDOM:
        raise Refused("InvalidParameter")
    return secrets.token_bytes(asked.NumberOfBytes or 32)


def _digest(asked: Any) -> bytes:
    if asked.MessageType == "RAW":
        return hashlib.sha256(asked.Message).digest()
    digest: bytes = asked.Message or asked.Digest
    return digest


_HANDLERS: Mapping[str, Callable[[Any, Call, str], dict[str, Any]]] = {
    "GetSecretValue": _get_secret_value,
    "GenerateRandom": _random,
    "GetPublicKey": _public_key,
    "Encrypt": _encrypt,
    "Decrypt": _decrypt,
    "GenerateDataKey": _generate_data_key,
    "AdvanceEncrypt": _advance_encrypt,
    "AdvanceDecrypt": _advance_decrypt,
    "AdvanceGenerateDataKey": _advance_generate_data_key,
    "Sign": _sign,
    "Verify": _verify,
}
NAMES = frozenset(_HANDLERS)
