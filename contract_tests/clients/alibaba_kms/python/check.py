"""The vendor's Python SDK, as it is installed, against the emulator's door of a region.

Prints one line of JSON a step, and then the versions; fails at the first step that does.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import sys
import urllib.request
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from alibabacloud_tea_openapi.models import Config

if TYPE_CHECKING:
    from collections.abc import Callable

URL = os.environ["EMULATOR_URL"]
DIGEST = base64.b64encode(hashlib.sha256(b"message").digest()).decode()
TEXT = base64.b64encode(b"4111 1111").decode()
CONTEXT = {"tenant": "a b+c~&=", "stage": "é"}
NAME = "billing/db-password"


def connected(**changes: Any) -> Any:
    """A client; of the account's AccessKey, unless another is said."""
    return Client(
        Config(**{
            "endpoint": URL.partition("//")[2], "region_id": "cn-hangzhou", "ca": os.environ["SSL_CERT_FILE"],
            "access_key_id": os.environ["ALIBABA_CLOUD_ACCESS_KEY_ID"],
            "access_key_secret": os.environ["ALIBABA_CLOUD_ACCESS_KEY_SECRET"], **changes,
        })
    )  # fmt: skip


CLIENT = connected()


def passed(step: str) -> None:
    """Report that everything up to here was as it must be."""
    sys.stdout.write(json.dumps({"step": step}) + "\n")


def equal(found: object, wanted: object) -> None:
    """Fail unless the two are the same; an assert would vanish under -O."""
    if found != wanted:
        raise SystemExit(f"{found!r} is not {wanted!r}")


def refused(status: int, code: str, work: Callable[[], object], kind: type[Exception] = ClientException) -> Any:
    """The call fails so, in the class that the SDK has for it; its error."""
    try:
        work()
    except kind as caught:
        error: Any = caught
        equal((type(error), error.status_code, error.code), (kind, status, code))
        equal(bool(error.request_id) and error.data["RequestId"], error.request_id)
        passed(f"error {code}")
        return error
    raise SystemExit(f"nothing was refused with {code}")


def control(path: str, body: dict[str, Any]) -> None:
    """Steer the emulator over its control path."""
    request = urllib.request.Request(  # noqa: S310 - https, and our own
        f"{URL}/_emulator/{path}", json.dumps(body).encode(), {"X-Emulator-Token": os.environ["EMULATOR_TOKEN"]}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - see above
        equal(answer.status, 200)


def get(client: Any = CLIENT, name: str = NAME, **which: Any) -> Any:
    """A secret with its value."""
    return client.get_secret_value(models.GetSecretValueRequest(secret_name=name, **which)).body


def put(value: str, version_id: str, name: str = NAME) -> Any:
    """A version of it."""
    request = models.PutSecretValueRequest(secret_name=name, secret_data=value, version_id=version_id)
    return CLIENT.put_secret_value(request).body


def secrets() -> None:
    """The life of a secret."""
    create = models.CreateSecretRequest(secret_name=NAME, secret_data="one ~+é", version_id="v1")
    CLIENT.create_secret(create)
    passed("create")
    equal((get().secret_data, get().version_id), ("one ~+é", "v1"))
    passed("get")
    put("two", "v2")
    put("two", "v2")
    equal((get().secret_data, get(version_stage="ACSPrevious").version_id), ("two", "v1"))
    passed("versions")
    refused(409, "Rejected.ResourceExist", partial(put, "other", "v2"))
    for number in range(12):
        CLIENT.create_secret(models.CreateSecretRequest(secret_name=f"page-{number}", secret_data="x", version_id="v"))
    listed = CLIENT.list_secrets(models.ListSecretsRequest(page_number=2)).body
    equal((len(listed.secret_list.secret), listed.total_count), (3, 13))
    passed("list")
    names = [models.BatchGetSecretValueRequestSecretsList(secret_name=each) for each in (NAME, "missing")]
    batch = CLIENT.batch_get_secret_value(models.BatchGetSecretValueRequest(secrets_list=names)).body
    equal([each.secret_data for each in batch.secret_values], ["two"])
    equal([(each.secret_name, each.code) for each in batch.errors], [("missing", "Forbidden.ResourceNotFound")])
    passed("get many")
    delete = models.DeleteSecretRequest(secret_name=NAME, recovery_window_in_days="7")
    CLIENT.delete_secret(delete)
    passed("delete")
    refused(409, "Rejected.ResourceInDeleteWindow", lambda: CLIENT.create_secret(create))
    CLIENT.restore_secret(models.RestoreSecretRequest(secret_name=NAME))
    equal(get().secret_data, "two")
    passed("restore")
    refused(404, "Forbidden.ResourceNotFound", partial(get, name="missing"))
    refused(400, "DryRunOperationError", partial(get, dry_run="true"))


def keys() -> None:
    """What keys are for."""
    made = CLIENT.create_key(models.CreateKeyRequest()).body.key_metadata
    CLIENT.create_alias(models.CreateAliasRequest(alias_name="alias/billing", key_id=made.key_id))
    which: Any = {"key_id": "alias/billing"}
    equal(CLIENT.describe_key(models.DescribeKeyRequest(**which)).body.key_metadata.key_id, made.key_id)
    passed("create key")
    seal = models.EncryptRequest(**which, plaintext=TEXT, encryption_context=CONTEXT)
    sealed = CLIENT.encrypt(seal).body.ciphertext_blob
    passed("encrypt")
    unseal = models.DecryptRequest(ciphertext_blob=sealed, encryption_context=CONTEXT)
    equal(CLIENT.decrypt(unseal).body.plaintext, TEXT)
    passed("decrypt")
    refused(400, "InvalidParameter", lambda: CLIENT.decrypt(models.DecryptRequest(ciphertext_blob=sealed)))
    data_key = CLIENT.generate_data_key(models.GenerateDataKeyRequest(**which, key_spec="AES_256")).body
    opened = CLIENT.decrypt(models.DecryptRequest(ciphertext_blob=data_key.ciphertext_blob)).body
    equal(opened.plaintext, data_key.plaintext)
    passed("data key")
    for spec, algorithm in (("RSA_2048", "RSA_PSS_SHA_256"), ("EC_P256", "ECDSA_SHA_256")):
        signer = CLIENT.create_key(models.CreateKeyRequest(key_spec=spec, key_usage="SIGN/VERIFY")).body.key_metadata
        what = {
            "key_id": signer.key_id, "key_version_id": signer.primary_key_version, "algorithm": algorithm,
            "digest": DIGEST,
        }  # fmt: skip
        value = CLIENT.asymmetric_sign(models.AsymmetricSignRequest(**what)).body.value
        for signature, good in ((value, True), (TEXT, False)):
            verify = models.AsymmetricVerifyRequest(**what, value=signature)
            equal(CLIENT.asymmetric_verify(verify).body.value, good)
    passed("sign and verify")
    CLIENT.disable_key(models.DisableKeyRequest(**which))
    refused(409, "Rejected.Disabled", lambda: CLIENT.encrypt(seal))


def others() -> None:
    """Who is not let in, and how the service is."""
    equal(get(connected(signature_algorithm="v2")).secret_data, "two")
    passed("older signature")
    wrong = connected(access_key_secret="wrong")
    refused(400, "SignatureDoesNotMatch", partial(get, wrong))
    control("failures", {"operation": "GetSecretValue", "with": "Rejected.ThrottlingRetryAfter"})
    equal(refused(429, "Rejected.Throttling", get, ThrottlingException).retry_after, 1000)
    control("failures", {"operation": "GetSecretValue", "with": "ServiceUnavailableTemporary"})
    refused(503, "ServiceUnavailableTemporary", get, ServerException)


async def by_async() -> None:
    """The same through aiohttp."""
    await CLIENT.put_secret_value_async(
        models.PutSecretValueRequest(secret_name=NAME, secret_data="three", version_id="v3")
    )
    answer = await CLIENT.get_secret_value_async(models.GetSecretValueRequest(secret_name=NAME))
    equal((answer.body.secret_data, answer.body.version_id), ("three", "v3"))
    passed("async")
    try:
        await CLIENT.get_secret_value_async(models.GetSecretValueRequest(secret_name="missing"))
    except ClientException as error:
        equal((error.status_code, error.code), (404, "Forbidden.ResourceNotFound"))
        passed("async error Forbidden.ResourceNotFound")


secrets()
keys()
others()
asyncio.run(by_async())
sys.stdout.write(json.dumps({"versions": {name: version(name) for name in ("alibabacloud-kms20160120",)}}) + "\n")
