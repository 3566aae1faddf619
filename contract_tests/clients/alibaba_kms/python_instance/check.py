"""The vendor's Python SDK for KMS instances, as it is installed, against the emulator's door of an instance.

Keys and secrets are made at the region's door, by hand: this SDK cannot, and the one that can does
not install beside it. Prints one line of JSON a step, and then the versions; fails at the first
step that does.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import urllib.request
import uuid
from functools import partial
from importlib import import_module
from importlib.metadata import version
from time import gmtime, strftime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

if TYPE_CHECKING:
    from collections.abc import Callable

# By name, because type checkers do not find them: they cannot be installed beside ours.
models: Any = import_module("sdk.models")
Client: Any = import_module("sdk.client").Client
Config: Any = import_module("openapi.models").Config
RuntimeOptions: Any = import_module("openapi_util.models").RuntimeOptions
tea: Any = import_module("Tea.exceptions")

URL, INSTANCE = os.environ["EMULATOR_URL"], "kst-emulator"
TEXT, CONTEXT = b"4111 1111", b"tenant=acme"
DIGEST = hashlib.sha256(TEXT).digest()


def connected(client_key: str) -> Any:
    """A client."""
    return Client(
        Config(
            endpoint=URL.partition("//")[2], protocol="https", client_key_content=client_key, password="",
            ca_file_path=os.environ["SSL_CERT_FILE"],
        )
    )  # fmt: skip


CLIENT = connected(os.environ["KMSBRIDGE_CLIENT_KEY"])


def passed(step: str) -> None:
    """Report that everything up to here was as it must be."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")


def equal(found: object, wanted: object) -> None:
    """Fail unless the two are the same; an assert would vanish under -O."""
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(status: int, code: str, work: Callable[[], object], kind: Any = tea.TeaException) -> None:
    """The call fails so: the SDK has read our Protocol Buffers error."""
    try:
        work()
    except tea.TeaException as error:
        equal((type(error), error.code, error.data["httpCode"]), (kind, code, status))
        equal(bool(error.message) and bool(error.data["requestId"]), True)
        passed(f"error {code}")
    else:
        raise SystemExit(f"nothing was refused with {code}")


def control(path: str, body: dict[str, Any]) -> None:
    """Steer the emulator over its control path."""
    request = urllib.request.Request(  # noqa: S310 - https, and our own
        f"{URL}/_emulator/{path}", json.dumps(body).encode(), {"X-Emulator-Token": os.environ["EMULATOR_TOKEN"]}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
        equal(answer.status, 200)


def region(operation: str, **parameters: str) -> Any:
    """An operation of the region's door."""
    asked = {
        "Action": operation, "Version": "2016-01-20", "Format": "JSON", "SignatureMethod": "HMAC-SHA1",
        "SignatureVersion": "1.0", "SignatureNonce": uuid.uuid4().hex,
        "Timestamp": strftime("%Y-%m-%dT%H:%M:%SZ", gmtime()),
        "AccessKeyId": os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"], **parameters,
    }  # fmt: skip
    canonical = "&".join(f"{quote(name, safe='~')}={quote(asked[name], safe='~')}" for name in sorted(asked))
    secret = os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"] + "&"
    signed = hmac.new(secret.encode(), f"GET&%2F&{quote(canonical, safe='~')}".encode(), hashlib.sha1).digest()
    asked["Signature"] = base64.b64encode(signed).decode()
    with urllib.request.urlopen(f"{URL}/?{urlencode(asked)}", timeout=10) as answer:  # noqa: S310 - our own
        return json.load(answer)


def secrets() -> None:
    """Reading, by version and stage."""
    region("CreateSecret", SecretName="a/b", SecretData="one é", VersionId="v1", DKMSInstanceId=INSTANCE)
    region("PutSecretValue", SecretName="a/b", SecretData="two", VersionId="v2")
    read = partial(models.GetSecretValueRequest, secret_name="a/b")
    found = CLIENT.get_secret_value(read())
    equal((found.secret_name, found.secret_data, found.version_id), ("a/b", "two", "v2"))
    equal((found.version_stages, found.secret_data_type), (["ACSCurrent"], "text"))
    passed("get")
    equal(CLIENT.get_secret_value(read(version_id="v1")).secret_data, "one é")
    equal(CLIENT.get_secret_value(read(version_stage="ACSPrevious")).version_id, "v1")
    passed("versions")
    missing = models.GetSecretValueRequest(secret_name="missing")
    refused(404, "Forbidden.ResourceNotFound", lambda: CLIENT.get_secret_value(missing))


def made(spec: str, usage: str) -> str:
    """A key of the instance."""
    told = region("CreateKey", KeySpec=spec, KeyUsage=usage, DKMSInstanceId=INSTANCE)
    id_: str = told["KeyMetadata"]["KeyId"]
    return id_


def keys() -> None:
    """Cryptography."""
    which = {"key_id": made("Aliyun_AES_256", "ENCRYPT/DECRYPT")}
    sealed = CLIENT.encrypt(models.EncryptRequest(**which, plaintext=TEXT, aad=CONTEXT))
    passed("encrypt")
    unseal = partial(models.DecryptRequest, **which, ciphertext_blob=sealed.ciphertext_blob, iv=sealed.iv)
    equal(CLIENT.decrypt(unseal(aad=CONTEXT)).plaintext, TEXT)
    passed("decrypt")
    refused(400, "InvalidParameter", lambda: CLIENT.decrypt(unseal(aad=b"another")))
    data_key = CLIENT.generate_data_key(models.GenerateDataKeyRequest(**which, number_of_bytes=24))
    opened = models.DecryptRequest(**which, ciphertext_blob=data_key.ciphertext_blob, iv=data_key.iv)
    equal((CLIENT.decrypt(opened).plaintext, len(data_key.plaintext)), (data_key.plaintext, 24))
    passed("data key")
    sealed = CLIENT.advance_encrypt(models.AdvanceEncryptRequest(**which, plaintext=TEXT, aad=CONTEXT))
    advanced = models.AdvanceDecryptRequest(
        **which, ciphertext_blob=sealed.ciphertext_blob, iv=sealed.iv, aad=CONTEXT, algorithm="AES_GCM"
    )
    found = CLIENT.advance_decrypt(advanced)
    equal((found.plaintext, found.key_version_id), (TEXT, sealed.key_version_id))
    passed("advance encrypt and decrypt")
    signer = ""
    signers = [("RSA_2048", "RSA_PSS_SHA_256"), ("RSA_2048", "RSA_PKCS1_SHA_256"), ("EC_P256", "ECDSA_SHA_256")]
    for spec, algorithm in signers:
        what = {"key_id": made(spec, "SIGN/VERIFY"), "algorithm": algorithm}
        signed = CLIENT.sign(models.SignRequest(**what, message=DIGEST, message_type="DIGEST")).signature
        signer = what["key_id"]
        for message, good in ((TEXT, True), (b"another", False)):
            asked = models.VerifyRequest(**what, message=message, message_type="RAW", signature=signed)
            equal(CLIENT.verify(asked).value, good)
    passed("sign and verify")
    pem = CLIENT.get_public_key(models.GetPublicKeyRequest(key_id=signer)).public_key
    equal(pem.startswith("-----BEGIN PUBLIC KEY-----"), True)
    passed("public key")
    equal(len(CLIENT.generate_random(models.GenerateRandomRequest(length=16)).random), 16)
    passed("random")
    region("DisableKey", KeyId=which["key_id"])
    seal = models.EncryptRequest(**which, plaintext=TEXT)
    refused(409, "Rejected.Disabled", lambda: CLIENT.encrypt(seal))
    nowhere = models.EncryptRequest(key_id="key-none", plaintext=TEXT)
    refused(404, "Forbidden.KeyNotFound", lambda: CLIENT.encrypt(nowhere))


def others() -> None:
    """Who is not let in, and how the service is."""
    random = models.GenerateRandomRequest(length=1)
    ask = partial(CLIENT.generate_random_with_options, random, RuntimeOptions(autoretry=False))
    told = {**json.loads(os.environ["KMSBRIDGE_CLIENT_KEY"]), "KeyId": "KAAP.unknown"}
    refused(404, "Unauthorized", lambda: connected(json.dumps(told)).generate_random(random))
    for code, status, kind in (
        ("SignatureNotMatch", 401, tea.TeaException),
        ("RequestTimeTooSkewed", 400, tea.TeaException),
        ("ServiceUnavailableTemporary", 503, tea.TeaException),
        ("InternalFailure", 500, tea.TeaException),
    ):
        control("failures", {"operation": "GenerateRandom", "with": code})
        refused(status, code, ask, kind)
    # Of this one the SDK makes its own class, when it has no more tries.
    control("failures", {"operation": "GenerateRandom", "with": "Rejected.Throttling"})
    refused(429, "Rejected.Throttling", ask, tea.UnretryableException)


secrets()
keys()
others()
names = ("alibabacloud-dkms-gcs", "protobuf")
sys.stdout.write(json.dumps({"versions": {name: version(name) for name in names}}) + "\n")
