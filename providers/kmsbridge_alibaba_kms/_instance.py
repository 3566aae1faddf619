"""An instance's door: the only place that speaks to it. Protocol Buffers over our wire, signed by a client key."""

from __future__ import annotations

import hashlib
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, TypeVar

from kmsbridge._decode import Answer, Refused, request_ids
from kmsbridge._errors import Identity
from kmsbridge._wire import open_wire
from kmsbridge_alibaba_kms import _findings, _messages
from kmsbridge_alibaba_kms._cryptography import OAEP, SIGNS, Made
from kmsbridge_alibaba_kms._error_message import read_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kmsbridge._call import Call
    from kmsbridge._model import Context, SignatureAlgorithm
    from kmsbridge._runtime import Runtime
    from kmsbridge_alibaba_kms._client_key import ClientKey
    from kmsbridge_alibaba_kms._config import InstanceSettings

T = TypeVar("T")

API_VERSION = "dkms-gcs-0.2"
_TYPE = "application/x-protobuf"
_SIGNED_BY = "RSA_PKCS1_SHA_256"


class Instance:
    """Makes the requests to one instance.

    Args:
        settings: Which.
        key: Who asks.
        runtime: How to wait.
    """

    def __init__(self, settings: InstanceSettings, key: ClientKey, runtime: Runtime) -> None:
        self._url = f"https://{settings.host}/"
        self._key = key
        self._runtime = runtime
        self._wire = open_wire(runtime, ca=settings.ca)

    async def exchange(
        self,
        call: Call,
        operation: str,
        fields: Mapping[str, str | bytes | int],
        read: Callable[[Mapping[str, Any]], T],
    ) -> T:
        """Make one request, and read its answer.

        Args:
            call: Whose time it takes.
            operation: Such as ``GetSecretValue``; its messages are named after it.
            fields: Of the request.
            read: Takes what it needs from the answer; ValueError where that is not there.

        Raises:
            Refused: There is no answer, it is a refusal, or it is a success without what it must hold.
        """
        body = _messages.written(f"{operation}Request", fields)
        call.identity = Identity(credential="client-key")
        answer = await self._sent(call, self._headers(operation, body), body)
        call.request_ids = request_ids(answer)
        error = read_error(answer.body)
        if answer.status == 200 and not (error is not None and (error.status or 0) >= 400):
            try:
                found = _messages.read(f"{operation}Response", answer.body)
                if found["RequestId"]:
                    return read(found)
            except (ValueError, OverflowError):
                pass  # raised below: the parser's own exception may carry the body
        raise Refused(answer)

    async def _sent(self, call: Call, headers: dict[str, str], body: bytes) -> Answer:
        try:
            request = self._wire.request("POST", self._url, headers, body, timeout=call.time_left())
            answer = await self._runtime.settle(request)
        except Refused as refused:
            known = refused.answer
        else:
            return answer._replace(door=_findings.INSTANCE)
        raise Refused(known._replace(door=_findings.INSTANCE))

    def _headers(self, operation: str, body: bytes) -> dict[str, str]:
        """Those of the request, signed as the service wants it (facts: signature of the instance's door)."""
        kms = {
            "x-kms-acccesskeyid": self._key.id,  # three c's, as the service has it
            "x-kms-apiname": operation,
            "x-kms-apiversion": API_VERSION,
            "x-kms-signaturemethod": _SIGNED_BY,
        }
        digest = hashlib.sha256(body).hexdigest().upper()
        date = formatdate(usegmt=True)
        lines = "".join(f"{name}:{value}\n" for name, value in kms.items())
        signature = self._key.sign(f"POST\n{digest}\n{_TYPE}\n{date}\n{lines}/".encode())
        return {
            **kms,
            "accept": _TYPE,
            "content-type": _TYPE,
            "content-sha256": digest,
            "date": date,
            "authorization": f"Bearer {signature}",
            "user-agent": "kmsbridge",
        }

    async def close(self) -> None:
        """Close the connections."""
        await self._runtime.settle(self._wire.close())


class InstanceCryptography:
    """The operations of an instance's door: the Advance ones for AES keys, which tell the version of the key.

    The payload of a ciphertext under an AES key is one byte with the size of the IV, the IV, and
    the service's blob.

    Args:
        instance: The door.
    """

    label = "ALIYUN-KMS-INSTANCE"
    versioned = False

    def __init__(self, instance: Instance) -> None:
        self._instance = instance

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Made:
        """The context is the associated data."""
        fields: dict[str, str | bytes | int] = {"KeyId": name, "Plaintext": plaintext, "Aad": context.encoded}
        return await self._instance.exchange(call, "AdvanceEncrypt", fields, _sealed)

    async def decrypt(self, call: Call, name: str, payload: bytes, context: Context) -> Made:
        """Under the named key alone."""
        size = payload[0]
        fields: dict[str, str | bytes | int] = {
            "KeyId": name, "Iv": payload[1 : 1 + size], "CiphertextBlob": payload[1 + size :], "Aad": context.encoded,
            "Algorithm": "AES_GCM",
        }  # fmt: skip

        def read(found: Mapping[str, Any]) -> Made:
            return Made(_text(found, "KeyId"), _text(found, "KeyVersionId"), found["Plaintext"])

        return await self._instance.exchange(call, "AdvanceDecrypt", fields, read)

    async def new_key(self, call: Call, name: str, context: Context) -> tuple[Made, bytes]:
        """Made by the service."""
        fields: dict[str, str | bytes | int] = {"KeyId": name, "NumberOfBytes": 32, "Aad": context.encoded}

        def read(found: Mapping[str, Any]) -> tuple[Made, bytes]:
            return _sealed(found), found["Plaintext"]

        return await self._instance.exchange(call, "AdvanceGenerateDataKey", fields, read)

    async def encrypt_rsa(self, call: Call, name: str, version: str, plaintext: bytes) -> Made:
        """By RSA-OAEP-256; this door knows no versions of such keys."""
        fields: dict[str, str | bytes | int] = {"KeyId": name, "Plaintext": plaintext, "Algorithm": OAEP}
        return await self._instance.exchange(call, "Encrypt", fields, _made("CiphertextBlob", version))

    async def decrypt_rsa(self, call: Call, name: str, version: str, payload: bytes) -> Made:
        """By RSA-OAEP-256."""
        fields: dict[str, str | bytes | int] = {"KeyId": name, "CiphertextBlob": payload, "Algorithm": OAEP}
        return await self._instance.exchange(call, "Decrypt", fields, _made("Plaintext", version, empty=True))

    async def sign(self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes) -> Made:
        """The signature of a digest."""
        fields: dict[str, str | bytes | int] = {
            "KeyId": name, "Algorithm": SIGNS[algorithm], "Message": digest, "MessageType": "DIGEST"
        }  # fmt: skip
        return await self._instance.exchange(call, "Sign", fields, _made("Signature", version))

    async def verify(
        self, call: Call, name: str, version: str, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> tuple[str, bool]:
        """Whether it is the signature of this digest."""
        del version
        fields: dict[str, str | bytes | int] = {
            "KeyId": name, "Algorithm": SIGNS[algorithm], "Message": digest, "MessageType": "DIGEST",
            "Signature": signature,
        }  # fmt: skip

        def read(found: Mapping[str, Any]) -> tuple[str, bool]:
            return _text(found, "KeyId"), bool(found["Value"])

        return await self._instance.exchange(call, "Verify", fields, read)

    async def public_key(self, call: Call, name: str, version: str | None) -> Made:
        """As PEM."""

        def read(found: Mapping[str, Any]) -> Made:
            return Made(_text(found, "KeyId"), version, _text(found, "PublicKey").encode())

        return await self._instance.exchange(call, "GetPublicKey", {"KeyId": name}, read)


def _text(found: Mapping[str, Any], name: str) -> str:
    if not found[name]:
        raise _messages.NoMessage("a field is missing")
    return str(found[name])


def _made(member: str, version: str, *, empty: bool = False) -> Callable[[Mapping[str, Any]], Made]:
    def read(found: Mapping[str, Any]) -> Made:
        data: bytes = found[member]
        if not data and not empty:
            raise _messages.NoMessage("a field is missing")
        return Made(_text(found, "KeyId"), version, data)

    return read


def _sealed(found: Mapping[str, Any]) -> Made:
    iv, blob = found["Iv"], found["CiphertextBlob"]
    if not blob or len(iv) > 255:
        raise _messages.NoMessage("a field is missing")
    return Made(_text(found, "KeyId"), _text(found, "KeyVersionId"), bytes([len(iv)]) + iv + blob)
