"""The client key of an application access point: who asks at an instance's door, and how requests are signed."""

from __future__ import annotations

import base64
import json
import os
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key
from cryptography.hazmat.primitives.serialization.pkcs12 import load_key_and_certificates

from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._errors import Outcome, PreconditionError, invalid
from kmsbridge_alibaba_kms import _findings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge._errors import InvalidRequestError
    from kmsbridge_alibaba_kms._config import ClientKeyFiles

KEY_VARIABLE = "KMSBRIDGE_CLIENT_KEY"
PASSWORD_VARIABLE = "KMSBRIDGE_CLIENT_KEY_PASSWORD"  # noqa: S105 - its name


class WrongPassword(Exception):
    """The client key does not open with it; or there is none, and it is needed."""


class ClientKey(NamedTuple):
    """Signs requests."""

    id: str
    private: RSAPrivateKey

    def sign(self, data: bytes) -> str:
        """RSASSA-PKCS1-v1_5 with SHA-256, as Base64."""
        return base64.b64encode(self.private.sign(data, PKCS1v15(), SHA256())).decode()

    def __repr__(self) -> str:
        return "<ClientKey, not shown>"


def read_client_key(files: ClientKeyFiles) -> ClientKey:
    """The client key, from its file or the environment.

    Raises:
        InvalidRequestError: It is not there, or is none.
        PreconditionError: Others can read a file.
        Refused: The password does not open it.
    """
    text = os.environ.get(KEY_VARIABLE, "") if files.key is None else _content(files.key, "client_key")
    if not text:
        raise invalid(
            "there is no client key for the instance",
            "options.client_key",
            remediation=f"Name its file (client_key), or put its JSON into {KEY_VARIABLE}.",
        )
    password = os.environ.get(PASSWORD_VARIABLE, "")
    if files.password is not None:
        password = _content(files.password, "client_key_password").removesuffix("\n")
    try:
        node = json.loads(text)
        id_, data = node["KeyId"], node["PrivateKeyData"]
    except (ValueError, TypeError, KeyError, RecursionError):
        id_ = data = None
    if not (isinstance(id_, str) and id_.isascii() and id_.isprintable() and id_ and isinstance(data, str) and data):
        raise _no_key()
    return ClientKey(id_, _private(data, password))


def _private(data: str, password: str) -> RSAPrivateKey:
    """PKCS#12, as the console gives it; or PKCS#1 or PKCS#8, as PEM or as the Base64 of DER."""
    key: object = None
    locked = False
    for load in _loaders(data, password.encode() or None):
        try:
            key = load()
        except (ValueError, TypeError) as error:
            locked = locked or "password" in str(error).lower()
        else:
            break
    if locked and key is None:
        raise Refused(Answer(phase=Phase.BEFORE_SEND, exception=WrongPassword(), door=_findings.CLIENT_KEY))
    if not isinstance(key, RSAPrivateKey):
        raise _no_key()
    return key


def _loaders(data: str, secret: bytes | None) -> list[Callable[[], object]]:
    if data.lstrip().startswith("-----BEGIN"):
        pem = data.strip().encode()
        return [lambda: load_pem_private_key(pem, secret if b"ENCRYPTED" in pem else None)]
    try:
        der = base64.b64decode("".join(data.split()), validate=True)
    except ValueError:
        return []
    return [lambda: load_key_and_certificates(der, secret)[0], lambda: load_der_private_key(der, None)]


def _content(path: str, option: str) -> str:
    """A file that nobody else may read."""
    problem = ""
    try:
        with open(path, "rb") as stream:
            if hasattr(os, "getuid") and os.fstat(stream.fileno()).st_mode & 0o077:
                problem = "others"
            else:
                return stream.read(1 << 20).decode()
    except (OSError, UnicodeDecodeError):
        problem = "unreadable"
    if problem == "others":
        raise PreconditionError(
            f"the file that {option} names can be read by others",
            outcome=Outcome.NOT_SENT,
            remediation="Let its owner alone read it: chmod 600.",
        )
    raise invalid(f"the file that {option} names cannot be read", f"options.{option}", remediation="Check its path.")


def _no_key() -> InvalidRequestError:
    return invalid(
        "this is no client key",
        "options.client_key",
        remediation="Give the file as the console gives it: JSON with KeyId and PrivateKeyData.",
    )
