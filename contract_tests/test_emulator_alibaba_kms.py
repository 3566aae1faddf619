"""The emulator of Alibaba Cloud KMS, with the vendor's own SDK: unmodified, over TLS on loopback, sync and async."""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
import http.client
import json
import logging
import ssl
import time
from typing import Any
from urllib.parse import quote, urlencode
from xml.etree import ElementTree as ET

import pytest
from alibabacloud_kms20160120 import models
from alibabacloud_kms20160120.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from alibabacloud_tea_openapi.models import Config
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kmsbridge.emulation import Emulator
from kmsbridge_alibaba_kms.emulator import AlibabaKms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# The SDK sets its logger to DEBUG when it is imported, which tests of others would meet.
logging.getLogger("darabonba-core").setLevel(logging.NOTSET)

DIGEST = hashlib.sha256(b"message").digest()
CONTEXT = {"tenant": "a b+c~&=", "stage": "é"}
OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


@pytest.fixture(scope="module")
def running() -> Iterator[Emulator]:
    """One emulator for all tests of this module."""
    with Emulator(AlibabaKms()) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def ca(running: Emulator, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file with the certificate that clients trust."""
    return running.write_ca(str(tmp_path_factory.mktemp("ca") / "ca.pem"))


@pytest.fixture
def emulator(running: Emulator) -> Iterator[Emulator]:
    """The emulator without state."""
    running.reset()
    yield running
    assert len(running._failures) == 0, "a failure was ordered and never came"
    running.reset()
    gc.collect()  # what the SDK has left is found here, and not in somebody else's test


def connected(emulator: Emulator, ca: str, **changes: Any) -> Any:
    """A client of the SDK; the account's AccessKey, unless another is said."""
    key = AlibabaKms.access_key
    options = {"access_key_id": key.id, "access_key_secret": key.secret, **changes}
    return Client(Config(endpoint=f"localhost:{emulator.port}", region_id="cn-hangzhou", ca=ca, **options))


@pytest.fixture
def client(emulator: Emulator, ca: str) -> Any:
    """A client of the account."""
    return connected(emulator, ca)


def text(data: bytes) -> str:
    """Blobs are Base64 by the caller."""
    return base64.b64encode(data).decode()


def create(client: Any, name: str = "db/password", data: str = "s3cret", version: str = "v1", **more: Any) -> Any:
    """A secret."""
    request = models.CreateSecretRequest(secret_name=name, secret_data=data, version_id=version, **more)
    return client.create_secret(request).body


def put(client: Any, data: str, version: str, **more: Any) -> Any:
    """A version of it."""
    request = models.PutSecretValueRequest(secret_name="db/password", secret_data=data, version_id=version, **more)
    return client.put_secret_value(request).body


def get(client: Any, **which: Any) -> Any:
    """A version of it with its value."""
    return client.get_secret_value(models.GetSecretValueRequest(secret_name="db/password", **which)).body


def key_of(client: Any, **more: Any) -> Any:
    """A new key."""
    return client.create_key(models.CreateKeyRequest(**more)).body.key_metadata


# -- who is let in ----------------------------------------------------------------------


def test_signatures_of_all_that_is_hard_to_write(client: Any) -> None:
    """Spaces, plus signs, tildes, letters beyond ASCII, in the query and in the form."""
    value = "a b+c~*/%&=é\n😀"
    assert create(client, data=value, description=value).request_id
    assert get(client).secret_data == value
    assert client.describe_secret(models.DescribeSecretRequest(secret_name="db/password")).body.description == value


def test_a_temporary_key_needs_its_token(emulator: Emulator, ca: str) -> None:
    """Its own, and no other's."""
    key = AlibabaKms.temporary_key
    pair = {"access_key_id": key.id, "access_key_secret": key.secret}
    assert create(connected(emulator, ca, **pair, security_token=key.token)).version_id == "v1"
    assert refusal(lambda: create(connected(emulator, ca, **pair))).code == "MissingSecurityToken"
    other = connected(emulator, ca, **pair, security_token="other")
    assert refusal(lambda: create(other)).code == "InvalidSecurityToken.Malformed"
    mixed = connected(emulator, ca, security_token=key.token)
    assert refusal(lambda: create(mixed)).code == "InvalidSecurityToken.MismatchWithAccessKey"


def refusal(call: Any, kind: type[Exception] = ClientException) -> Any:
    """The error of a call."""
    with pytest.raises(kind) as caught:
        call()
    return caught.value


def test_wrong_keys_are_refused(emulator: Emulator, ca: str) -> None:
    """By the gateway, each in its way."""
    unknown = refusal(lambda: create(connected(emulator, ca, access_key_id="LTAI-none")))
    assert (unknown.status_code, unknown.code) == (404, "InvalidAccessKeyId.NotFound")
    assert unknown.data["Recommend"].endswith("Keyword=InvalidAccessKeyId.NotFound&source=PopGw")
    wrong = refusal(lambda: create(connected(emulator, ca, access_key_secret="wrong")))
    assert (wrong.status_code, wrong.code) == (400, "SignatureDoesNotMatch")
    assert "server string to sign is:ACS3-HMAC-SHA256\n" in wrong.data["Message"]


class Raw:
    """Requests that no SDK sends: a good one, with something changed."""

    def __init__(self, emulator: Emulator, ca: str) -> None:
        self._emulator, self._context = emulator, ssl.create_default_context(cafile=ca)

    def send(
        self, *, method: str = "POST", target: str = "/?PageSize=5", action: str = "ListSecrets",
        after: dict[str, str] | None = None, before: dict[str, str] | None = None, nonce: str = "n",
    ) -> tuple[int, str]:
        """Status and code of the answer; `before` is signed, `after` is not."""
        from alibabacloud_tea_openapi.utils import Utils
        from darabonba.core import DaraRequest

        request = DaraRequest()
        request.method, request.pathname = method, "/"
        request.query = dict(part.split("=") for part in target.partition("?")[2].split("&") if part)
        empty = hashlib.sha256(b"").hexdigest()
        request.headers = {
            "host": f"localhost:{self._emulator.port}", "x-acs-action": action, "x-acs-version": "2016-01-20",
            "x-acs-date": Utils.get_timestamp(), "x-acs-signature-nonce": nonce, "x-acs-content-sha256": empty,
            **(before or {}),
        }  # fmt: skip
        key = AlibabaKms.access_key
        signed = Utils.get_authorization(request, "ACS3-HMAC-SHA256", empty, key.id, key.secret)
        headers = {**request.headers, "Authorization": signed, "Content-Length": "0", **(after or {})}
        connection = http.client.HTTPSConnection("localhost", self._emulator.port, context=self._context)
        try:
            connection.request(method, target, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read()).get("Code", "")
        finally:
            connection.close()


REFUSED: dict[str, tuple[dict[str, Any], tuple[int, str]]] = {
    "no signature": ({"after": {"Authorization": ""}}, (400, "IncompleteSignature")),
    "another algorithm": ({"after": {"Authorization": "Bearer x"}}, (400, "IncompleteSignature")),
    "an hour late": ({"before": {"x-acs-date": "2020-01-01T00:00:00Z"}}, (400, "InvalidTimeStamp.Expired")),
    "no time": ({"before": {"x-acs-date": "now"}}, (400, "InvalidTimeStamp.Format")),
    "a header changed": ({"after": {"x-acs-action": "ListKeys"}}, (400, "SignatureDoesNotMatch")),
    "a body of another digest": ({"before": {"x-acs-content-sha256": "0" * 64}}, (400, "SignatureDoesNotMatch")),
    "an unknown operation": ({"action": "ListNothing"}, (404, "InvalidApi.NotFound")),
    "another version": ({"before": {"x-acs-version": "2015-01-01"}}, (404, "InvalidApi.NotFound")),
    "another method": ({"method": "PUT"}, (403, "UnsupportedHTTPMethod")),
    "no number": ({"target": "/?PageSize=x"}, (400, "InvalidParameter")),
    "a number out of bounds": ({"target": "/?PageSize=101"}, (400, "InvalidParameter")),
    "a missing parameter": ({"action": "GetSecretValue"}, (400, "MissingParameter")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_refused(emulator: Emulator, ca: str, case: str) -> None:
    """With the code that is documented for it."""
    changes, answered = REFUSED[case]
    assert Raw(emulator, ca).send(**changes) == answered


def test_a_request_comes_once(emulator: Emulator, ca: str) -> None:
    """What the others change is good; and it is not taken again."""
    assert Raw(emulator, ca).send() == (200, "")
    assert Raw(emulator, ca).send() == (400, "SignatureNonceUsed")
    assert Raw(emulator, ca).send(nonce="another", method="GET") == (200, "")


# -- the older signature ----------------------------------------------------------------


def test_parameters_may_be_signed(emulator: Emulator, ca: str) -> None:
    """As clients did before there was version 3: in the query, and in the form."""
    old = connected(emulator, ca, signature_algorithm="v2")
    value = "a b+c~*/%&=é\n😀"
    create(old, data=value, description=value)
    assert get(old).secret_data == value
    assert refusal(lambda: create(old)).code == "Rejected.ResourceExist"
    key = AlibabaKms.temporary_key
    pair = {"access_key_id": key.id, "access_key_secret": key.secret}
    temporary = connected(emulator, ca, **pair, security_token=key.token, signature_algorithm="v2")
    assert get(temporary).secret_data == value
    untold = connected(emulator, ca, **pair, signature_algorithm="v2")
    assert refusal(lambda: get(untold)).code == "MissingSecurityToken"


def by_parameters(emulator: Emulator, ca: str, form: str = "", **changes: str) -> tuple[int, str, bytes]:
    """Status, content type and body of what is answered to ListSecrets; what is given as empty is not sent."""
    parameters = {
        "Action": "ListSecrets", "Version": "2016-01-20", "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
        "SignatureNonce": "n", "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "AccessKeyId": AlibabaKms.access_key.id, **changes,
    }  # fmt: skip
    parameters = {name: value for name, value in parameters.items() if value}
    signed = "&".join(f"{quote(name, safe='~')}={quote(parameters[name], safe='~')}" for name in sorted(parameters))
    secret = f"{AlibabaKms.access_key.secret}&".encode()
    digest = hmac.new(secret, f"POST&%2F&{quote(signed, safe='~')}".encode(), hashlib.sha1).digest()
    signature = {} if "Signature" in changes else {"Signature": text(digest)}
    query = {name: value for name, value in {**parameters, **signature}.items() if name != form}
    body = urlencode({form: parameters[form]}) if form else ""
    context = ssl.create_default_context(cafile=ca)
    connection = http.client.HTTPSConnection("localhost", emulator.port, context=context)
    try:
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Content-Length": str(len(body))}
        connection.request("POST", f"/?{urlencode(query)}", body, kind)
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()


REFUSED_PARAMETERS: dict[str, tuple[dict[str, str], tuple[int, str]]] = {
    **{f"no {name}": ({name: ""}, (400, f"Missing{name}")) for name in (
        "AccessKeyId", "Signature", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"
    )},
    "another method": ({"SignatureMethod": "HMAC-MD5"}, (400, "InvalidSignatureMethod")),
    "another version": ({"SignatureVersion": "2.0"}, (400, "InvalidSignatureMethod")),
    "an unknown key": ({"AccessKeyId": "LTAI-none"}, (404, "InvalidAccessKeyId.NotFound")),
    "an hour late": ({"Timestamp": "2020-01-01T00:00:00Z"}, (400, "InvalidTimeStamp.Expired")),
    "another's signature": ({"Signature": "AAAA"}, (400, "SignatureDoesNotMatch")),
    "an unknown operation": ({"Action": "ListNothing"}, (404, "InvalidApi.NotFound")),
    "another API": ({"Version": "2015-01-01"}, (404, "InvalidApi.NotFound")),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_PARAMETERS)
def test_what_is_wrong_with_parameters_is_refused(emulator: Emulator, ca: str, case: str) -> None:
    """With the code that is documented for it."""
    changes, answered = REFUSED_PARAMETERS[case]
    status, _, body = by_parameters(emulator, ca, **changes)
    assert (status, json.loads(body)["Code"]) == answered


def test_a_form_is_signed_with_the_query(emulator: Emulator, ca: str) -> None:
    """Each parameter may be in either; and a request comes once."""
    status, _, body = by_parameters(emulator, ca, form="PageSize", PageSize="5")
    assert (status, json.loads(body)["PageSize"]) == (200, 5)
    assert json.loads(by_parameters(emulator, ca)[2])["Code"] == "SignatureNonceUsed"


def test_answers_may_be_xml(emulator: Emulator, client: Any, ca: str) -> None:
    """Each root as the documents have it: of a success, of the service's error, of the gateway's."""
    create(client, data="<v> & é")
    asked = {"Action": "GetSecretValue", "SecretName": "db/password", "Format": "XML"}
    status, kind, body = by_parameters(emulator, ca, **asked)
    found = ET.fromstring(body)  # noqa: S314 - our own
    assert (status, kind, found.tag) == (200, "text/xml;charset=utf-8", "GetSecretValueResponse")
    assert found.findtext("SecretData") == "<v> & é"
    assert [each.text for each in found.iterfind("VersionStages/VersionStage")] == ["ACSCurrent"]
    for number, (changes, root, code) in enumerate((
        ({"SecretName": "none"}, "KMS", "Forbidden.ResourceNotFound"),
        ({"AccessKeyId": "none"}, "Error", "InvalidAccessKeyId.NotFound"),
    )):
        _, _, body = by_parameters(emulator, ca, **{**asked, "SignatureNonce": f"e{number}", **changes})
        answer = ET.fromstring(body)  # noqa: S314 - our own
        assert (answer.tag, answer.findtext("Code"), bool(answer.findtext("RequestId"))) == (root, code, True)


# -- secrets ----------------------------------------------------------------------------


def test_versions_and_stages(client: Any) -> None:
    """The newest is current, the one before it is previous, unless stages are named or moved."""
    create(client, data="one")
    assert put(client, "two", "v2").version_stages.version_stage == ["ACSCurrent"]
    assert get(client).secret_data == "two"
    assert get(client, version_stage="ACSPrevious").secret_data == "one"
    put(client, "three", "v3", version_stages='["mine"]')
    assert (get(client).version_id, get(client, version_stage="mine").version_id) == ("v2", "v3")
    move = models.UpdateSecretVersionStageRequest(
        secret_name="db/password", version_stage="ACSCurrent", move_to_version="v1", remove_from_version="v2"
    )
    client.update_secret_version_stage(move)
    assert (get(client).version_id, get(client, version_stage="ACSPrevious").version_id) == ("v1", "v2")
    remove = models.UpdateSecretVersionStageRequest(
        secret_name="db/password", version_stage="mine", remove_from_version="v3"
    )
    client.update_secret_version_stage(remove)
    assert [version for version, _ in versions(client)] == ["v2", "v1"]
    assert versions(client, "true") == [("v3", []), ("v2", ["ACSPrevious"]), ("v1", ["ACSCurrent"])]


def versions(client: Any, everything: str = "false") -> list[tuple[str, list[str]]]:
    """Newest first, with their stages."""
    request = models.ListSecretVersionIdsRequest(secret_name="db/password", include_deprecated=everything)
    listed = client.list_secret_version_ids(request).body.version_ids.version_id
    return [(each.version_id, each.version_stages.version_stage) for each in listed]


def test_a_put_is_idempotent_by_its_version(client: Any) -> None:
    """The same value changes nothing, another is refused."""
    create(client)
    put(client, "two", "v2")
    put(client, "three", "v3")
    assert put(client, "two", "v2").version_stages.version_stage == ["ACSPrevious"]
    assert get(client).secret_data == "three"
    error = refusal(lambda: put(client, "other", "v2"))
    assert (error.status_code, error.code) == (409, "Rejected.ResourceExist")


def test_ten_versions_are_kept(client: Any) -> None:
    """The oldest goes."""
    create(client)
    for number in range(2, 12):
        put(client, str(number), f"v{number}")
    assert [version for version, _ in versions(client, "true")] == [f"v{number}" for number in range(11, 1, -1)]


def test_a_deletion_has_a_window(emulator: Emulator, client: Any) -> None:
    """In it the name is taken and the secret can come back; after it there is none."""
    create(client)
    delete = models.DeleteSecretRequest(secret_name="db/password", recovery_window_in_days="7")
    assert client.delete_secret(delete).body.planned_delete_time
    for call in (lambda: get(client), lambda: create(client), lambda: client.delete_secret(delete)):
        assert refusal(call).code == "Rejected.ResourceInDeleteWindow"
    restore = models.RestoreSecretRequest(secret_name="db/password")
    client.restore_secret(restore)
    assert refusal(lambda: client.restore_secret(restore)).code == "Rejected.ResourceInUse"
    assert get(client).secret_data == "s3cret"
    client.delete_secret(delete)
    emulator.clock.advance(days=8)
    assert refusal(lambda: client.restore_secret(restore)).code == "Forbidden.ResourceNotFound"
    create(client)
    both = models.DeleteSecretRequest(
        secret_name="db/password", force_delete_without_recovery="true", recovery_window_in_days="7"
    )
    assert refusal(lambda: client.delete_secret(both)).code == "InvalidParameter"
    at_once = models.DeleteSecretRequest(secret_name="db/password", force_delete_without_recovery="True")
    client.delete_secret(at_once)
    assert refusal(lambda: get(client)).code == "Forbidden.ResourceNotFound"


def test_secrets_are_listed_by_pages_and_filtered(client: Any) -> None:
    """Ten on a page where nobody says; values are any of, keys are all of."""
    for number in range(12):
        create(client, f"s{number}", tags=json.dumps([{"TagKey": "even", "TagValue": str(number % 2 == 0)}]))
    first = client.list_secrets(models.ListSecretsRequest()).body
    assert (len(first.secret_list.secret), first.total_count) == (10, 12)
    rest = client.list_secrets(models.ListSecretsRequest(page_number=2, fetch_tags="true")).body
    assert [each.secret_name for each in rest.secret_list.secret] == ["s10", "s11"]
    assert [each.tags.tag[0].tag_value for each in rest.secret_list.secret] == ["True", "False"]
    filters = [{"Key": "SecretName", "Values": ["s1", "s2"]}, {"Key": "TagValue", "Values": ["True"]}]
    found = client.list_secrets(models.ListSecretsRequest(filters=json.dumps(filters))).body
    assert [each.secret_name for each in found.secret_list.secret] == ["s2"]


def test_several_are_read_at_once(client: Any) -> None:
    """What is wrong with one is told beside the others; up to 20, each once."""
    create(client)
    create(client, "other", data="x", version="w")
    put(client, "two", "v2")
    item = models.BatchGetSecretValueRequestSecretsList
    wanted = [item(secret_name="db/password", version_id="v1"), item(secret_name="none"), item(secret_name="other")]
    found = client.batch_get_secret_value(models.BatchGetSecretValueRequest(secrets_list=wanted)).body
    assert [(each.secret_name, each.secret_data) for each in found.secret_values] == [
        ("db/password", "s3cret"), ("other", "x"),
    ]  # fmt: skip
    assert [(each.secret_name, each.code, each.http_status) for each in found.errors] == [
        ("none", "Forbidden.ResourceNotFound", 404)
    ]
    for wrong in ([], [item(secret_name="other")] * 2, [item()], [item(secret_name=f"s{at}") for at in range(21)]):
        request = models.BatchGetSecretValueRequest(secrets_list=wrong)
        assert refusal(lambda request=request: client.batch_get_secret_value(request)).code == "InvalidParameter"


def test_a_dry_run_never_succeeds(emulator: Emulator, client: Any) -> None:
    """It says whether the call would, and does nothing; errors of state are its own."""
    create(client)
    assert refusal(lambda: get(client, dry_run="true")).code == "DryRunOperationError"
    assert get(client, dry_run="false").secret_data == "s3cret"
    assert refusal(lambda: get(client, dry_run="true", version_id="none")).code == "Forbidden.ResourceNotFound"
    key = key_of(client)
    long = models.EncryptRequest(key_id=key.key_id, plaintext=text(bytes(7000)), dry_run="true")
    assert refusal(lambda: client.encrypt(long)).code == "ValidationError"
    emulator.configure(denied=["GetSecretValue"])
    assert refusal(lambda: get(client, dry_run="true")).code == "AccessDeniedError"


async def test_the_same_by_async(client: Any) -> None:
    """Through aiohttp."""
    await client.create_secret_async(
        models.CreateSecretRequest(secret_name="db/password", secret_data="s3cret", version_id="v1")
    )
    answer = await client.get_secret_value_async(models.GetSecretValueRequest(secret_name="db/password"))
    assert answer.body.secret_data == "s3cret"
    assert answer.headers["x-acs-request-id"] == answer.body.request_id


# -- keys -------------------------------------------------------------------------------


def test_the_states_of_a_key(emulator: Emulator, client: Any) -> None:
    """As the vendor's table has them: a key that is enabled is enabled again, one that goes is not."""
    key = key_of(client)
    id_ = {"key_id": key.key_id}
    seal = models.EncryptRequest(**id_, plaintext=text(b"x"))
    for _ in range(2):
        client.disable_key(models.DisableKeyRequest(**id_))
    assert refusal(lambda: client.encrypt(seal)).code == "Rejected.Disabled"
    for _ in range(2):
        client.enable_key(models.EnableKeyRequest(**id_))
    client.schedule_key_deletion(models.ScheduleKeyDeletionRequest(**id_, pending_window_in_days=7))
    assert refusal(lambda: client.encrypt(seal)).code == "Rejected.PendingDeletion"
    assert refusal(lambda: client.enable_key(models.EnableKeyRequest(**id_))).code == "Rejected.StateModifiedFailed"
    assert client.describe_key(models.DescribeKeyRequest(**id_)).body.key_metadata.delete_date
    client.cancel_key_deletion(models.CancelKeyDeletionRequest(**id_))
    assert client.encrypt(seal).body.key_id == key.key_id
    client.schedule_key_deletion(models.ScheduleKeyDeletionRequest(**id_, pending_window_in_days=7))
    emulator.clock.advance(days=8)
    assert refusal(lambda: client.encrypt(seal)).code == "Forbidden.KeyNotFound"
    outside = key_of(client, origin="EXTERNAL")
    waiting = models.EncryptRequest(key_id=outside.key_id, plaintext=text(b"x"))
    assert refusal(lambda: client.encrypt(waiting)).code == "Rejected.PendingImport"


def test_aliases(client: Any) -> None:
    """One key each; a key is found by alias, id and ARN."""
    one, two = key_of(client), key_of(client)
    client.create_alias(models.CreateAliasRequest(alias_name="alias/a", key_id=one.key_id))
    again = models.CreateAliasRequest(alias_name="alias/a", key_id=two.key_id)
    assert refusal(lambda: client.create_alias(again)).code == "AliasAlreadyExists"
    for name in ("alias/a", one.key_id, one.arn):
        assert client.describe_key(models.DescribeKeyRequest(key_id=name)).body.key_metadata.key_id == one.key_id
    client.update_alias(models.UpdateAliasRequest(alias_name="alias/a", key_id=two.key_id))
    listed = client.list_aliases(models.ListAliasesRequest()).body.aliases.alias
    assert [(each.alias_name, each.key_id) for each in listed] == [("alias/a", two.key_id)]
    client.delete_alias(models.DeleteAliasRequest(alias_name="alias/a"))
    gone = models.DescribeKeyRequest(key_id="alias/a")
    assert refusal(lambda: client.describe_key(gone)).code == "Forbidden.AliasNotFound"


def test_tags(client: Any) -> None:
    """By the operations of KMS, and by those that all of Alibaba Cloud has."""
    key = key_of(client, tags='[{"TagKey":"a","TagValue":"1"}]')
    client.tag_resource(models.TagResourceRequest(key_id=key.key_id, tags='[{"TagKey":"b","TagValue":"2"}]'))
    tag = models.TagResourcesRequestTag(key="c", value="3")
    client.tag_resources(
        models.TagResourcesRequest(
            region_id="cn-hangzhou", resource_type="key", resource_id=[key.key_id], tag=[tag]
        )
    )
    client.untag_resource(models.UntagResourceRequest(key_id=key.key_id, tag_keys='["a"]'))
    listed = client.list_resource_tags(models.ListResourceTagsRequest(key_id=key.key_id)).body.tags.tag
    assert [(each.tag_key, each.tag_value) for each in listed] == [("b", "2"), ("c", "3")]
    wanted = models.ListTagResourcesRequest(
        region_id="cn-hangzhou", resource_type="key", tag=[models.ListTagResourcesRequestTag(key="c")]
    )
    found = client.list_tag_resources(wanted).body.tag_resources.tag_resource
    assert {each.resource_id for each in found} == {key.key_id}


# -- arithmetic -------------------------------------------------------------------------


def test_versions_are_made_when_asked_for_or_by_themselves(emulator: Emulator, client: Any) -> None:
    """Of asymmetric keys when asked, once in so many days; of symmetric ones by a policy."""
    emulator.configure(version_days=7)
    key, other = key_of(client, key_spec="EC_P256"), key_of(client)
    make = models.CreateKeyVersionRequest(key_id=key.key_id)
    assert refusal(lambda: client.create_key_version(make)).code == "Rejected.UnsupportedOperation"
    emulator.clock.advance(days=7)
    made = client.create_key_version(make).body.key_version
    described = client.describe_key(models.DescribeKeyRequest(key_id=key.key_id)).body.key_metadata
    assert described.primary_key_version == made.key_version_id
    symmetric = models.CreateKeyVersionRequest(key_id=other.key_id)
    assert refusal(lambda: client.create_key_version(symmetric)).code == "Rejected.UnsupportedOperation"
    policy = models.UpdateRotationPolicyRequest
    for wrong in ("6d", "731d", "7w", "x"):
        request = policy(key_id=other.key_id, enable_automatic_rotation=True, rotation_interval=wrong)
        assert refusal(lambda request=request: client.update_rotation_policy(request)).code == "InvalidParameter"
    asymmetric = policy(key_id=key.key_id, enable_automatic_rotation=True)
    assert refusal(lambda: client.update_rotation_policy(asymmetric)).code == "Rejected.UnsupportedOperation"
    client.update_rotation_policy(
        policy(key_id=other.key_id, enable_automatic_rotation=True, rotation_interval="168h")
    )
    emulator.clock.advance(days=7)
    client.update_rotation_policy(policy(key_id=other.key_id, enable_automatic_rotation=False))
    emulator.clock.advance(days=7)
    listed = client.list_key_versions(models.ListKeyVersionsRequest(key_id=other.key_id)).body
    assert listed.total_count == 2


def test_a_ciphertext_outlives_new_versions_and_binds_its_context(emulator: Emulator, client: Any) -> None:
    """It says under which version it is; with another context it is nothing."""
    key = key_of(client, enable_automatic_rotation=True, rotation_interval="7d")
    seal = models.EncryptRequest(key_id=key.key_id, plaintext=text(b"x"), encryption_context=CONTEXT)
    sealed = client.encrypt(seal).body
    emulator.clock.advance(days=8)
    described = client.describe_key(models.DescribeKeyRequest(key_id=key.key_id)).body.key_metadata
    assert (described.automatic_rotation, described.rotation_interval) == ("Enabled", "604800s")
    assert client.encrypt(seal).body.key_version_id == described.primary_key_version != sealed.key_version_id
    opened = client.decrypt(
        models.DecryptRequest(ciphertext_blob=sealed.ciphertext_blob, encryption_context=CONTEXT)
    ).body
    assert (base64.b64decode(opened.plaintext), opened.key_version_id) == (b"x", sealed.key_version_id)
    for context in ({}, {**CONTEXT, "stage": "e"}):
        other = models.DecryptRequest(ciphertext_blob=sealed.ciphertext_blob, encryption_context=context)
        assert refusal(lambda other=other: client.decrypt(other)).code == "InvalidParameter"


def test_sm4_keys_encrypt(client: Any) -> None:
    """As AES keys do; and what was damaged is nothing."""
    key = key_of(client, key_spec="Aliyun_SM4")
    assert (key.key_spec, key.key_usage) == ("Aliyun_SM4", "ENCRYPT/DECRYPT")
    seal = models.EncryptRequest(key_id=key.key_id, plaintext=text(b"x"), encryption_context=CONTEXT)
    sealed = base64.b64decode(client.encrypt(seal).body.ciphertext_blob)
    for blob, context in ((sealed, CONTEXT), (sealed, {}), (sealed[:-1] + bytes([sealed[-1] ^ 1]), CONTEXT)):
        request = models.DecryptRequest(ciphertext_blob=text(blob), encryption_context=context)
        if (blob, context) == (sealed, CONTEXT):
            assert base64.b64decode(client.decrypt(request).body.plaintext) == b"x"
        else:
            assert refusal(lambda request=request: client.decrypt(request)).code == "InvalidParameter"


def test_data_keys(client: Any) -> None:
    """Plain and encrypted are the same; a number of bytes wins over a kind."""
    key = key_of(client)
    made = client.generate_data_key(
        models.GenerateDataKeyRequest(key_id=key.key_id, key_spec="AES_128", number_of_bytes=20)
    ).body
    opened = client.decrypt(models.DecryptRequest(ciphertext_blob=made.ciphertext_blob)).body
    assert opened.plaintext == made.plaintext
    assert len(base64.b64decode(made.plaintext)) == 20


@pytest.mark.parametrize(
    ("spec", "algorithm"),
    [("RSA_2048", "RSA_PSS_SHA_256"), ("RSA_2048", "RSA_PKCS1_SHA_256"), ("EC_P256", "ECDSA_SHA_256"),
     ("EC_P256K", "ECDSA_SHA_256")],
)  # fmt: skip
def test_others_verify_what_is_signed(client: Any, spec: str, algorithm: str) -> None:
    """By the public key alone; and a wrong signature is an answer."""
    key = key_of(client, key_spec=spec, key_usage="SIGN/VERIFY")
    which = {"key_id": key.key_id, "key_version_id": key.primary_key_version}
    what = {**which, "algorithm": algorithm, "digest": text(DIGEST)}
    signed = client.asymmetric_sign(models.AsymmetricSignRequest(**what)).body.value
    public = load_pem_public_key(
        client.get_public_key(models.GetPublicKeyRequest(**which)).body.public_key.encode()
    )
    signature = base64.b64decode(signed)
    verify(public, algorithm, signature)
    with pytest.raises(InvalidSignature):
        verify(public, algorithm, signature[:-1] + bytes([signature[-1] ^ 1]))
    wrong = text(signature[:-1] + bytes([signature[-1] ^ 1]))
    for value, good in ((signed, True), (wrong, False), (text(b"no signature"), False)):
        assert client.asymmetric_verify(models.AsymmetricVerifyRequest(**what, value=value)).body.value is good


def verify(public: Any, algorithm: str, signature: bytes) -> None:
    """By the library, of the message whose digest was signed."""
    if isinstance(public, ec.EllipticCurvePublicKey):
        public.verify(signature, b"message", ec.ECDSA(hashes.SHA256()))
    elif algorithm == "RSA_PSS_SHA_256":
        public.verify(signature, b"message", padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    else:
        public.verify(signature, b"message", padding.PKCS1v15(), hashes.SHA256())


def test_what_others_encrypt_is_decrypted(client: Any) -> None:
    """RSA-OAEP, both ways; and a key is used for what it is made for."""
    key = key_of(client, key_spec="RSA_2048")
    which = {"key_id": key.key_id, "key_version_id": key.primary_key_version}
    pem = client.get_public_key(models.GetPublicKeyRequest(**which)).body.public_key
    public = load_pem_public_key(pem.encode())
    assert isinstance(public, rsa.RSAPublicKey)
    what = {**which, "algorithm": "RSAES_OAEP_SHA_256"}
    ours = client.asymmetric_encrypt(models.AsymmetricEncryptRequest(**what, plaintext=text(b"x"))).body
    for blob in (ours.ciphertext_blob, text(public.encrypt(b"x", OAEP))):
        opened = client.asymmetric_decrypt(models.AsymmetricDecryptRequest(**what, ciphertext_blob=blob)).body
        assert base64.b64decode(opened.plaintext) == b"x"
    long = models.AsymmetricEncryptRequest(**what, plaintext=text(bytes(191)))
    assert refusal(lambda: client.asymmetric_encrypt(long)).code == "InvalidParameter"
    sign = models.AsymmetricSignRequest(**which, algorithm="RSA_PSS_SHA_256", digest=text(DIGEST))
    assert refusal(lambda: client.asymmetric_sign(sign)).code == "UnsupportedOperation"


# -- failures ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", AlibabaKms().documented)
def test_every_documented_error_reaches_the_sdk(emulator: Emulator, client: Any, name: str) -> None:
    """With its status, code and request id, in the class that the SDK has for it."""
    known = AlibabaKms().documented[name]
    kind: type[Exception] = ServerException if known.status >= 500 else ClientException
    emulator.fail("GetSecretValue", name)
    error = refusal(lambda: get(client), ThrottlingException if name.endswith("RetryAfter") else kind)
    assert (error.status_code, error.code) == (known.status, name.removesuffix("OnKey").removesuffix("RetryAfter"))
    assert error.request_id
    assert error.data["Message"]
    assert "{" not in error.data["Message"]


def test_settings(emulator: Emulator, client: Any) -> None:
    """Permission and rate are data."""
    emulator.configure(denied=["GetSecretValue"])
    create(client)
    denied = refusal(lambda: get(client))
    assert denied.code == "Forbidden.NoPermission"
    assert denied.access_denied_detail["AuthAction"] == "kms:GetSecretValue"
    emulator.configure(denied=[], requests_per_second=1)
    codes = set()
    for _ in range(20):
        try:
            get(client)
        except ClientException as error:
            codes.add(error.code)
    assert codes == {"Rejected.Throttling"}
