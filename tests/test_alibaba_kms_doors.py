"""How Alibaba Cloud KMS is asked: what is signed, who signs, which connection; and that nothing of it is shown."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import os
import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlsplit

import pytest
from alibabacloud_credentials.exceptions import CredentialException
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs12,
)
from google.protobuf import descriptor_pb2
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge import (
    AuthenticationError,
    Code,
    InvalidRequestError,
    KMSError,
    PreconditionError,
    _held,
    connect,
    connect_async,
)
from kmsbridge._call import Call
from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._runtime import BLOCKING, AsyncioRuntime, drive
from kmsbridge._wire._blocking import Wire
from kmsbridge._wire._loop import AsyncWire
from kmsbridge_alibaba_kms import _messages
from kmsbridge_alibaba_kms._access_keys import AccessKeys, access_keys_of
from kmsbridge_alibaba_kms._client_key import KEY_VARIABLE, PASSWORD_VARIABLE, read_client_key
from kmsbridge_alibaba_kms._config import ClientKeyFiles, Given, Login
from kmsbridge_alibaba_kms._error_message import ErrorMessage, read_error
from kmsbridge_alibaba_kms._errors import decoder
from kmsbridge_alibaba_kms._paging import Numbered, next_page
from kmsbridge_alibaba_kms._signatures import from_der, to_der

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
KST = "kst-hzz65f176a0ogplgqu8pg"
KEY_ID, SECRET = "LTAI-id", "c4nary-access-key"
TOKEN = "c4nary-sts"
PRIVATE = rsa.generate_private_key(65537, 2048)


class Sent:
    """One request, as the wire was given it."""

    def __init__(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.method, self.headers, self.body = method, headers, body
        parts = urlsplit(url)
        self.host, self.path = parts.netloc, parts.path
        self.query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.action = headers.get("x-acs-action", "")


class Service:
    """Answers in the place of the wire, and remembers what it was asked."""

    def __init__(self) -> None:
        self.sent: list[Sent] = []
        self.answers: dict[str, Any] = {}
        self.status = 200

    def __call__(self, method: str, url: str, headers: Mapping[str, str], body: bytes = b"", **_: Any) -> Answer:
        """One answer."""
        request = Sent(method, url, headers, body)
        self.sent.append(request)
        given = self.answers.get(request.action, self.answers.get("*"))
        if isinstance(given, Exception):
            raise given
        if isinstance(given, bytes):
            return Answer(self.status, (), given)
        found = {"RequestId": "0A1B", **request.query, **(given or {})}
        return Answer(self.status, (("x-acs-request-id", "0A1B"),), json.dumps(found).encode())


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Both halves of the wire lead to it; an AccessKey is in the environment."""
    service = Service()

    async def later(*arguments: Any, **options: Any) -> Answer:
        return service(*arguments, **options)

    monkeypatch.setattr(Wire, "request", lambda _, *arguments, **options: service(*arguments, **options))
    monkeypatch.setattr(AsyncWire, "request", lambda _, *arguments, **options: later(*arguments, **options))
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", KEY_ID)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
    monkeypatch.delenv("ALIBABA_CLOUD_SECURITY_TOKEN", raising=False)
    access_keys_of(Login("environment"))._held.kept.clear()
    yield service
    access_keys_of(Login("environment"))._held.kept.clear()


URL = "alibaba-kms://cn-hangzhou?credential=environment"
GOOD = {"VersionId": "v1", "SecretData": "value", "SecretDataType": "text", "CreateTime": "2026-01-31T12:00:00Z"}


def signature_of(request: Sent, secret: str) -> str:
    """ACS3-HMAC-SHA256, by its description and not by the SDK."""
    header = request.headers["authorization"]
    found = re.fullmatch(r"ACS3-HMAC-SHA256 Credential=(.*),SignedHeaders=(.*),Signature=(.*)", header)
    assert found is not None
    headers = {**request.headers, "host": request.host}
    lines = "".join(f"{name}:{headers[name].strip()}\n" for name in found[2].split(";"))
    query = "&".join(f"{quote(k, safe='~')}={quote(v, safe='~')}" for k, v in sorted(request.query.items()))
    digest = hashlib.sha256(request.body).hexdigest()
    assert request.headers["x-acs-content-sha256"] == digest
    canonical = "\n".join([request.method, request.path, query, lines, found[2], digest])
    to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    assert found[3] == hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
    return found[2]


# -- the region's door ----------------------------------------------------------------------


@pytest.mark.parametrize("value", ["plain", "a b+c&d=e/~*é密", "", "x" * 3000])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_request_is_signed_as_the_service_wants_it(service: Service, mode: str, value: str) -> None:
    """Query, form and headers; with the parameters where the SDK puts them."""
    service.answers["PutSecretValue"] = {}
    if mode == "sync":
        with connect(URL) as bridge:
            bridge.secrets.set("a/b", value)
    else:

        async def main() -> None:
            async with connect_async(URL) as bridge:
                await bridge.secrets.set("a/b", value)

        asyncio.run(main())
    (request,) = service.sent
    signed = set(signature_of(request, SECRET).split(";"))
    assert {"host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce"} <= signed
    assert not {"user-agent", "accept"} & signed
    assert (request.method, request.host, request.path) == ("POST", "kms.cn-hangzhou.aliyuncs.com", "/")
    assert request.query.keys() == {"SecretName", "SecretDataType", "VersionId"}
    assert dict(parse_qsl(request.body.decode(), keep_blank_values=True)) == {"SecretData": value}


def test_an_sts_token_is_sent_and_signed(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the AccessKey's id beside it."""
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
    service.answers["GetSecretValue"] = GOOD
    with connect(URL) as bridge:
        bridge.secrets.get("a")
    (request,) = service.sent
    assert {"x-acs-security-token", "x-acs-accesskey-id"} <= set(signature_of(request, SECRET).split(";"))
    assert request.headers["x-acs-security-token"] == TOKEN


def test_no_two_requests_have_one_nonce(service: Service) -> None:
    """The service refuses the second."""
    service.answers["GetSecretValue"] = GOOD
    with connect(URL) as bridge:
        for _ in range(20):
            bridge.secrets.get("a")
    assert len({request.headers["x-acs-signature-nonce"] for request in service.sent}) == 20


def test_setting_twice_sets_once(service: Service) -> None:
    """Attempts of one call carry one version; other calls others, which are greater."""
    call = Call("secrets.set", None, 5.0)
    assert call.token() == call.token()
    later = Call("secrets.set", None, 5.0).token()
    assert re.fullmatch(r"[0-9a-f]{32}", later)
    service.answers["PutSecretValue"] = {}
    with connect(URL) as bridge:
        first, second = (bridge.secrets.set("a", "v").version for _ in range(2))
    assert call.token() < later < first < second
    assert [request.query["VersionId"] for request in service.sent] == [first, second]


def test_a_temporary_key_that_was_refused_is_asked_for_anew(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once in a call, and the second request carries the new one."""
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", TOKEN)
    body = b'{"Code":"InvalidAccessKeyId.NotFound","Message":"m","RequestId":"r"}'
    with connect(URL) as bridge:
        service.answers["GetSecretValue"] = GOOD
        bridge.secrets.get("a")
        service.answers["GetSecretValue"], service.status = body, 404
        monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "fresh")
        service.sent.clear()
        with pytest.raises(AuthenticationError) as caught:
            bridge.secrets.get("a")
    assert caught.value.code is Code.CREDENTIAL_REJECTED
    assert [request.headers["x-acs-security-token"] for request in service.sent] == [TOKEN, "fresh"]


@pytest.mark.parametrize("body", [
    b"", b"{}", b"null", b"[]", b'{"RequestId":"r"}', b'{"RequestId":5,"SecretName":"a"}', b"\xff", b"[" * 100_000,
    json.dumps({"SecretName": "a", **GOOD}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "b", **GOOD}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "SecretDataType": "other"}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "SecretDataType": "binary", "SecretData": "!"}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "CreateTime": "soon"}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "SecretData": None}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "VersionId": ""}).encode(),
    json.dumps({"RequestId": "r", "SecretName": "a", **GOOD, "Code": "x"}).encode(),
])  # fmt: skip
def test_a_success_without_its_secret_is_an_error(service: Service, body: bytes) -> None:
    """Never None, never a wrong value, never somebody else's."""
    service.answers["GetSecretValue"] = body
    with connect(URL) as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a")
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)


def test_versions_of_which_one_has_no_time_are_an_error(service: Service) -> None:
    """They are sorted by it."""
    listed = [{"VersionId": "1", "CreateTime": "2026-01-31T12:00:00Z"}, {"VersionId": "2"}]
    versions = [{**each, "VersionStages": {"VersionStage": []}} for each in listed]
    service.answers["ListSecretVersionIds"] = {"VersionIds": {"VersionId": versions}, "TotalCount": 2}
    with connect(URL) as bridge, pytest.raises(KMSError) as caught:
        list(bridge.secrets.versions("a"))
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)


@pytest.mark.usefixtures("service")
def test_the_sdk_does_not_log() -> None:
    """Its handlers are off, and its level is nobody's; what the application has put there stays."""
    with connect(URL) as bridge, pytest.raises(KMSError):
        bridge.secrets.get("a")
    for name in ("darabonba-core", "credentials"):
        logger = logging.getLogger(name)
        assert [handler for handler in logger.handlers if type(handler) is logging.StreamHandler] == []
    assert logging.getLogger("darabonba-core").level == logging.NOTSET


# -- who signs -------------------------------------------------------------------------------


class Credential:
    """Counts how often it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.failure: Exception | None = None

    def get_credentials(self) -> Any:
        """As a provider of alibabacloud-credentials has it."""
        self.asked += 1
        number = self.asked
        threading.Event().wait(0.01)  # so that the others come meanwhile
        if self.failure is not None:
            raise self.failure

        class Found:
            get_access_key_id = staticmethod(lambda: f"id{number}")
            get_access_key_secret = staticmethod(lambda: SECRET)
            get_security_token = staticmethod(lambda: TOKEN)
            get_provider_name = staticmethod(lambda: "default/env")

        return Found


def test_a_thousand_callers_ask_once() -> None:
    """Threads and tasks alike; then nobody for a minute."""
    credential = Credential()
    keys = AccessKeys(Given(credential))

    async def main() -> set[str]:
        runtime = AsyncioRuntime()
        call = Call("secrets.get", None, 5.0)
        return {key.id for key in await asyncio.gather(*[keys.get(runtime, call) for _ in range(1000)])}

    assert asyncio.run(main()) == {"id1"}
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(drive(keys.get(BLOCKING, Call("x", None, 5.0))).id))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (set(found), credential.asked) == ({"id1"}, 1)


def test_only_the_refused_key_is_dropped() -> None:
    """Of many calls refused at once, one asks for another; who has it already keeps it."""
    credential = Credential()
    keys, call = AccessKeys(Given(credential)), Call("x", None, 5.0)
    assert keys.renew() is False
    old = drive(keys.get(BLOCKING, call))
    keys.refuse(old)
    assert keys.renew() is True
    new = drive(keys.get(BLOCKING, call))
    assert keys.renew() is True
    assert drive(keys.get(BLOCKING, call)) is new
    assert credential.asked == 2
    assert "c4nary" not in f"{new!r} {new}"


def test_a_credential_that_fails_was_never_sent() -> None:
    """Whatever it raises, the error is about the credential, and shows nothing of its text."""
    credential = Credential()
    credential.failure = RuntimeError("c4nary: AccessKeySecret=c4nary")
    with pytest.raises(Refused) as caught:
        drive(AccessKeys(Given(credential)).get(BLOCKING, Call("x", None, 5.0)))
    error = decoder.decode(caught.value.answer)
    assert (error.code, error.outcome) == (Code.CREDENTIAL_UNAVAILABLE, "not_sent")
    assert "c4nary" not in f"{error.details()} {json.dumps(error.to_dict())}"


def test_without_an_access_key_nothing_is_sent(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment is read when it is needed."""
    monkeypatch.delenv("ALIBABA_CLOUD_ACCESS_KEY_ID")
    with connect(URL) as bridge, pytest.raises(AuthenticationError) as caught:
        bridge.secrets.get("a")
    assert (caught.value.code, caught.value.outcome) == (Code.CREDENTIAL_UNAVAILABLE, "not_sent")
    assert service.sent == []


def test_an_access_key_that_is_replaced_in_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a minute; also where it takes on a role, which the old one can no longer do."""
    class Role:
        def __init__(self, *, access_key_id: str, **_: object) -> None:
            self.get_credentials = Credential().get_credentials if access_key_id == "new" else self._refused

        def _refused(self) -> object:
            raise CredentialException("InvalidAccessKeyId.NotFound")

    monkeypatch.setattr("alibabacloud_credentials.provider.RamRoleArnCredentialsProvider", Role)
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "old")
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRET)
    plain, role = AccessKeys(Login("default")), AccessKeys(Login("role", "acs:ram::1:role/r"))
    assert drive(plain.get(BLOCKING, Call("x", None, 5.0))).id == "old"
    with pytest.raises(Refused):
        drive(role.get(BLOCKING, Call("x", None, 5.0)))
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "new")
    assert drive(plain.get(BLOCKING, Call("x", None, 5.0))).id == "old"
    later = time.time() + 61
    monkeypatch.setattr(_held, "time", SimpleNamespace(time=lambda: later))
    assert drive(plain.get(BLOCKING, Call("x", None, 5.0))).id == "new"
    assert drive(role.get(BLOCKING, Call("x", None, 5.0))).id == "id1"


def test_a_forked_child_asks_for_itself() -> None:
    """The lock of a flight that was under way in the parent is nobody's here."""
    keys = AccessKeys(Given(Credential()))
    flights = keys._held._flights
    flights._lock.acquire()
    try:
        keys.after_fork()
        assert keys._held._flights is not flights
        assert drive(keys.get(BLOCKING, Call("x", None, 5.0))).id == "id1"
    finally:
        flights._lock.release()


# -- the instance's door ------------------------------------------------------------------------


def client_key(data: str, **more: object) -> str:
    """The file of a client key."""
    return json.dumps({"KeyId": "KAAP.1", "PrivateKeyData": data, **more})


def p12(password: str | None) -> str:
    """As the console gives it."""
    how = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
    return base64.b64encode(pkcs12.serialize_key_and_certificates(b"key", PRIVATE, None, None, how)).decode()


def der(form: PrivateFormat, encoding: Encoding) -> bytes:
    """The private key by itself."""
    return PRIVATE.private_bytes(encoding, form, NoEncryption())


FORMS: Mapping[str, tuple[str, str]] = {
    "PKCS#12": (p12("pass word1"), "pass word1"),
    "PKCS#12, open": (p12(None), ""),
    "PKCS#1, PEM": (der(PrivateFormat.TraditionalOpenSSL, Encoding.PEM).decode(), ""),
    "PKCS#8, PEM": (der(PrivateFormat.PKCS8, Encoding.PEM).decode(), ""),
    "PKCS#1, body": (base64.b64encode(der(PrivateFormat.TraditionalOpenSSL, Encoding.DER)).decode(), ""),
    "PKCS#8, body": (base64.b64encode(der(PrivateFormat.PKCS8, Encoding.DER)).decode(), ""),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["files", "environment"])
def test_a_client_key_is_read_in_every_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, where: str
) -> None:
    """From files that nobody else can read, or from the environment."""
    data, password = FORMS[form]
    if where == "files":
        paths = [tmp_path / "key.json", tmp_path / "password"]
        for path, text in zip(paths, (client_key(data), password + "\n"), strict=True):
            path.touch(0o600)
            path.write_text(text)
        key = read_client_key(ClientKeyFiles(*map(str, paths)))
    else:
        monkeypatch.setenv(KEY_VARIABLE, client_key(data))
        monkeypatch.setenv(PASSWORD_VARIABLE, password)
        key = read_client_key(ClientKeyFiles(None, None))
    assert key.id == "KAAP.1"
    PRIVATE.public_key().verify(base64.b64decode(key.sign(b"x")), b"x", padding.PKCS1v15(), hashes.SHA256())
    assert "not shown" in repr(key)


@pytest.mark.parametrize("password", ["wrong", ""])
def test_a_wrong_password_says_so(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    """Before anything is sent; the password is not shown."""
    monkeypatch.setenv(KEY_VARIABLE, client_key(p12("right")))
    monkeypatch.setenv(PASSWORD_VARIABLE, password)
    with connect(f"alibaba-kms://cn-hangzhou?instance={KST}") as bridge, pytest.raises(AuthenticationError) as caught:
        bridge.secrets.get("a")
    assert (caught.value.code, caught.value.outcome) == (Code.CREDENTIAL_UNAVAILABLE, "not_sent")
    assert "client key" in caught.value.message


@pytest.mark.parametrize("text", [
    "", "{", "[]", "5", '{"KeyId":"a"}', client_key(""), client_key("!"), client_key("AAAA"),
    client_key(p12(None), KeyId=5),
    client_key(p12(None), KeyId="a\n"), client_key("-----BEGIN PRIVATE KEY-----"), "[" * 100_000,
])  # fmt: skip
def test_what_is_no_client_key_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """With what it should be."""
    monkeypatch.setenv(KEY_VARIABLE, text)
    with pytest.raises(InvalidRequestError) as caught:
        read_client_key(ClientKeyFiles(None, None))
    assert caught.value.remediation


def test_a_client_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    """And so is its password; a file that is not there is an error of its own."""
    path = tmp_path / "key.json"
    path.write_text(client_key(p12(None)))
    path.chmod(0o640)
    with pytest.raises(PreconditionError) as caught:
        read_client_key(ClientKeyFiles(str(path), None))
    assert "chmod 600" in caught.value.remediation
    with pytest.raises(InvalidRequestError):
        read_client_key(ClientKeyFiles(str(tmp_path / "none"), None))


@pytest.fixture
def instance(service: Service, monkeypatch: pytest.MonkeyPatch) -> Service:
    """The service, with a client key in the environment."""
    monkeypatch.setenv(KEY_VARIABLE, client_key(p12(None)))
    monkeypatch.setenv(PASSWORD_VARIABLE, "")
    return service


def test_a_request_to_an_instance_is_signed_as_it_wants_it(instance: Service) -> None:
    """By the client key, over the digest of the body and the headers that begin with x-kms-."""
    instance.answers["*"] = _messages.written("GetSecretValueResponse", {
        "SecretName": "a", "SecretData": "value", "SecretDataType": "text", "VersionId": "v1", "RequestId": "r",
        "CreateTime": "2026-01-31T12:00:00Z",
    })  # fmt: skip
    with connect(f"alibaba-kms://cn-hangzhou?instance={KST}") as bridge:
        assert bridge.secrets.get("a").value == "value"
        assert bridge.capabilities.secrets.set is False
    (request,) = instance.sent
    headers = request.headers
    assert (request.method, request.host, request.path) == ("POST", f"{KST}.cryptoservice.kms.aliyuncs.com", "/")
    assert headers["content-sha256"] == hashlib.sha256(request.body).hexdigest().upper()
    assert headers["x-kms-acccesskeyid"] == "KAAP.1"
    kms = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers) if name.startswith("x-kms-"))
    to_sign = f"POST\n{headers['content-sha256']}\n{headers['content-type']}\n{headers['date']}\n{kms}/"
    signature = base64.b64decode(headers["authorization"].removeprefix("Bearer "))
    PRIVATE.public_key().verify(signature, to_sign.encode(), padding.PKCS1v15(), hashes.SHA256())
    assert _messages.read("GetSecretValueRequest", request.body)["SecretName"] == "a"


SECRET_FIELDS: dict[str, str | bytes | int] = {
    "SecretName": "a", "SecretData": "wrong", "SecretDataType": "text", "VersionId": "v1", "RequestId": "r"
}  # fmt: skip


@pytest.mark.parametrize("body", [
    b"", b"HE", b"<html>", b'{"SecretData":"x"}', b"\xff" * 20,
    _messages.written("Error", {"StatusCode": 404, "ErrorCode": "c4nary", "ErrorMessage": "c4nary", "RequestId": "r"}),
    _messages.written("Error", {"ErrorCode": "Forbidden", "ErrorMessage": "c4nary", "RequestId": "r"}),
    _messages.written("GetSecretValueResponse", {**SECRET_FIELDS, "SecretName": "b"}),
    _messages.written("GetSecretValueResponse", {**SECRET_FIELDS, "RequestId": ""}),
    _messages.written("GetSecretValueResponse", {**SECRET_FIELDS, "VersionId": ""}),
    _messages.written("GetSecretValueResponse", {**SECRET_FIELDS, "SecretDataType": ""}),
    _messages.written("GetSecretValueResponse", SECRET_FIELDS)[:-1],
])  # fmt: skip
def test_a_success_of_an_instance_without_its_secret_is_an_error(instance: Service, body: bytes) -> None:
    """An Error that comes as a success, an empty body, another's secret: never a value."""
    instance.answers["*"] = body
    with connect(f"alibaba-kms://cn-hangzhou?instance={KST}") as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a")
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)
    assert "c4nary" not in json.dumps(caught.value.to_dict())


def test_a_known_error_that_comes_as_a_success_is_that_error(instance: Service) -> None:
    """Its field 3 is the value of a secret in the other message."""
    error: dict[str, str | bytes | int] = {
        "StatusCode": 403, "ErrorCode": "Forbidden.NoPermission", "ErrorMessage": "no", "RequestId": "r"
    }  # fmt: skip
    instance.answers["*"] = _messages.written("Error", error)
    with connect(f"alibaba-kms://cn-hangzhou?instance={KST}") as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a")
    assert caught.value.code is Code.ACCESS_DENIED


def test_a_failure_below_http_is_told(instance: Service) -> None:
    """On both doors, as the wire has it."""
    for url in (URL, f"alibaba-kms://cn-hangzhou?instance={KST}"):
        instance.answers["*"] = Refused(Answer(phase=Phase.SENT, exception=ConnectionResetError(104, "reset")))
        instance.answers["GetSecretValue"] = instance.answers["*"]
        with connect(url) as bridge, pytest.raises(KMSError) as caught:
            bridge.secrets.get("a")
        assert (caught.value.code, caught.value.outcome) == (Code.NETWORK_ERROR, "unknown")


# -- messages ---------------------------------------------------------------------------------------


def test_the_messages_are_those_of_the_file() -> None:
    """Names, numbers and types, as protobuf itself has them; nothing in the file is passed over."""
    text = (Path(_messages.__file__).with_name("kms_instance.proto")).read_text("utf-8")
    classes = _messages._classes()
    assert len(classes) == text.count("message ")
    fields = 0
    for kind in classes.values():
        described = descriptor_pb2.DescriptorProto()
        kind.DESCRIPTOR.CopyToProto(described)
        fields += len(described.field)
        for each in described.field:
            assert f" {each.name} = {each.number};" in text
    assert fields == len(re.findall(r" = \d+;", text))


@settings(max_examples=20_000 if LONG else 200)
@given(st.one_of(st.binary(max_size=100), st.binary(max_size=20).map(lambda tail: b"\x08\x94\x03\x12\x03abc" + tail)))
def test_what_protobuf_reads_we_read_alike(data: bytes) -> None:
    """Where both find an error in the same bytes, it is the same one; no message takes our reader down."""
    found = read_error(data)
    for name in ("Error", "GetSecretValueResponse", "AdvanceDecryptResponse"):
        try:
            fields = _messages.read(name, data)
        except _messages.NoMessage:
            continue
        if name == "Error" and found is not None:
            assert found == ErrorMessage(fields["StatusCode"] or found.status, *list(fields.values())[1:])
        if name == "Error" and fields["ErrorCode"] and data[0] in (0x08, 0x12, 0x1A, 0x22):
            assert found is not None


# -- signatures and pages ---------------------------------------------------------------------------


@given(st.integers(1, 2**256 - 1), st.integers(1, 2**256 - 1))
def test_an_ecdsa_signature_is_turned_round(r: int, s: int) -> None:
    """The service writes DER, everybody else r and s."""
    raw = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    assert to_der(raw) == encode_dss_signature(r, s)
    assert from_der(encode_dss_signature(r, s)) == raw


@pytest.mark.parametrize("raw", [b"", bytes(64), bytes(63), b"\x01" * 65, b"\x01" * 32 + bytes(32)])
def test_what_is_no_ecdsa_signature_is_none(raw: bytes) -> None:
    """And is not sent."""
    assert to_der(raw) is None


class Listing:
    """A service's listing by page numbers, that others change."""

    def __init__(self, count: int) -> None:
        self.names = [f"{number:03}" for number in range(count)]

    async def fetch(self, page: int) -> Numbered:
        """Pages of ten."""
        items = [(name, name) for name in self.names[page * 10 - 10 : page * 10]]
        return Numbered(items, len(self.names))


@pytest.mark.parametrize("change", ["", "insert first", "insert last", "remove first", "remove several"])
def test_a_listing_by_page_numbers_loses_and_repeats_nothing(change: str) -> None:
    """What was there from start to end is seen once, whatever others do after the first page."""
    listing = Listing(35)
    seen, cursor = drive(next_page(None, 10, listing.fetch))
    if change == "insert first":
        listing.names[:0] = ["a", "b"]
    elif change == "insert last":
        listing.names += ["x", "y"]
    elif change.startswith("remove"):
        del listing.names[: 1 if change == "remove first" else 5]
    while cursor is not None:
        items, cursor = drive(next_page(cursor, 10, listing.fetch))
        seen += items
    kept = [name for name in seen if len(str(name)) == 3]
    assert kept == [f"{number:03}" for number in range(35)]


def test_curves_are_told_apart() -> None:
    """A key of a curve that we do not know has no kind."""
    from kmsbridge_alibaba_kms._signatures import public_key

    for curve, spec in ((ec.SECP256R1(), "EC_P256"), (ec.SECP384R1(), "EC_P384"), (ec.SECP256K1(), None)):
        pem = ec.generate_private_key(curve).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert public_key(pem)[0] == spec
