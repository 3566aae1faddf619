"""The vendor's Python SDK, as it is installed, against the emulator.

Prints one line of JSON a step, and then the versions; fails at the first step that does.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import urllib.request
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import HttpResponseError
from azure.identity import ClientSecretCredential
from azure.keyvault.keys import KeyClient, KeyOperation
from azure.keyvault.keys.crypto import CryptographyClient, EncryptionAlgorithm, KeyWrapAlgorithm, SignatureAlgorithm
from azure.keyvault.secrets import SecretClient

if TYPE_CHECKING:
    from collections.abc import Callable

URL = os.environ["EMULATOR_URL"]
CREDENTIAL = ClientSecretCredential(
    os.environ["AZURE_TENANT_ID"], os.environ["AZURE_CLIENT_ID"], os.environ["AZURE_CLIENT_SECRET"],
    authority=URL, disable_instance_discovery=True,
)
SECRETS = SecretClient(URL, CREDENTIAL, verify_challenge_resource=False)
KEYS = KeyClient(URL, CREDENTIAL, verify_challenge_resource=False)
VALUE = b"4111 1111"
DIGEST = hashlib.sha256(VALUE).digest()


def passed(step: str) -> None:
    """Report that everything up to here was as it must be."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")


def equal(found: object, wanted: object) -> None:
    """Fail unless the two are the same; an assert would vanish under -O."""
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(status: int, code: str, inner: str, work: Callable[[], object]) -> None:
    """The call fails so, and the SDK's error tells the innermost code."""
    try:
        work()
    except HttpResponseError as error:
        equal(error.status_code, status)
        equal(error.error and (error.error.code, error.error.innererror), (code, {"code": inner}))
        passed(f"error {inner}")
    else:
        raise SystemExit(f"nothing was refused with {inner}")


def control(path: str, body: dict[str, Any]) -> None:
    """Steer the emulator over its control path."""
    request = urllib.request.Request(  # noqa: S310 - https, and our own
        f"{URL}/_emulator/{path}", json.dumps(body).encode(), {"X-Emulator-Token": os.environ["EMULATOR_TOKEN"]}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
        equal(answer.status, 200)


def secrets() -> None:
    """The life of a secret."""
    SECRETS.set_secret("python", "one", tags={"team": "a"}, content_type="text/plain")
    passed("set")
    secret = SECRETS.get_secret("Python")
    equal((secret.value, secret.properties.tags), ("one", {"team": "a"}))
    passed("get")
    for number in range(30):
        SECRETS.set_secret(f"page-{number}", "x")
    equal(len(list(SECRETS.list_properties_of_secrets())), 31)
    passed("list")
    SECRETS.set_secret("python", "two")
    equal(len(list(SECRETS.list_properties_of_secret_versions("python"))), 2)
    passed("versions")
    SECRETS.begin_delete_secret("python").wait()
    equal([each.name for each in SECRETS.list_deleted_secrets()], ["python"])
    passed("delete")
    refused(409, "Conflict", "ObjectIsDeletedButRecoverable", lambda: SECRETS.set_secret("python", "three"))
    SECRETS.begin_recover_deleted_secret("python").wait()
    equal(SECRETS.get_secret("python").value, "two")
    passed("recover")
    SECRETS.begin_delete_secret("python").wait()
    SECRETS.purge_deleted_secret("python")
    SECRETS.set_secret("python", "again")
    passed("purge")
    SECRETS.update_secret_properties("python", enabled=False)
    refused(403, "Forbidden", "SecretDisabled", lambda: SECRETS.get_secret("python"))


def remote(key_id: str | None) -> CryptographyClient:
    """What a key can do."""
    return CryptographyClient(key_id or "", CREDENTIAL, verify_challenge_resource=False)


def keys() -> None:
    """What keys are for."""
    key = KEYS.create_rsa_key("python", size=2048)
    equal(key.key_type, "RSA")
    passed("create key")
    # A client that may not read the public key has the service do everything.
    control("failures", {"operation": "GetKey", "with": "ForbiddenByRbac", "times": None})
    cipher = remote(key.id).encrypt(EncryptionAlgorithm.rsa_oaep_256, VALUE)
    equal(len(cipher.ciphertext), 256)
    passed("encrypt")
    equal(remote(key.id).decrypt(EncryptionAlgorithm.rsa_oaep_256, cipher.ciphertext).plaintext, VALUE)
    passed("decrypt")
    wrapped = remote(key.id).wrap_key(KeyWrapAlgorithm.rsa_oaep, DIGEST)
    equal(remote(key.id).unwrap_key(KeyWrapAlgorithm.rsa_oaep, wrapped.encrypted_key).key, DIGEST)
    passed("wrap")
    pairs = ((SignatureAlgorithm.ps256, key), (SignatureAlgorithm.es256, KEYS.create_ec_key("python-ec")))
    signed = [(algorithm, each, remote(each.id).sign(algorithm, DIGEST).signature) for algorithm, each in pairs]
    passed("sign")
    for algorithm, each, signature in signed:
        equal(remote(each.id).verify(algorithm, DIGEST, signature).is_valid, True)
        wrong = bytes([signature[0] ^ 1]) + signature[1:]
        equal(remote(each.id).verify(algorithm, DIGEST, wrong).is_valid, False)
    passed("verify")
    only = KEYS.create_rsa_key("python-wrap", key_operations=[KeyOperation.wrap_key, KeyOperation.unwrap_key])
    refused(403, "Forbidden", "KeyOperationForbidden", lambda: remote(only.id).sign(SignatureAlgorithm.rs256, DIGEST))
    KEYS.update_key_properties("python", enabled=False)
    refused(
        403, "Forbidden", "KeyDisabled",
        lambda: remote(key.id).decrypt(EncryptionAlgorithm.rsa_oaep_256, cipher.ciphertext),
    )
    control("failures", {"operation": "GetSecret", "with": "ForbiddenByRbac"})
    refused(403, "Forbidden", "ForbiddenByRbac", lambda: SECRETS.get_secret("page-1"))


secrets()
keys()
names = ("azure-keyvault-secrets", "azure-keyvault-keys", "azure-identity")
sys.stdout.write(json.dumps({"versions": {name: version(name) for name in names}}) + "\n")
