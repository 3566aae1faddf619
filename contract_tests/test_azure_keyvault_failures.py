"""What Azure Key Vault can answer, and what may come in its place: each is one error, of one request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from contract_tests.bad_answers import JSON, bad_answers, raw, refusal
from contract_tests.keyvault_emulator import emptied, url
from kmsbridge import TAXONOMY, Code, KMSError, NetworkError, Outcome, RetryAction, RetryPolicy, connect, connect_async
from kmsbridge._errors import CLASS_OF
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Emulator, Garbage, Hang, Reset

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from kmsbridge.emulation import Failure

CANARY = Canary()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator, empty."""
    with emptied() as running:
        yield running


@pytest.fixture(params=["sync", "async"])
async def bridge(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """A bridge of each mode that has made a call, with secret ``a`` and key ``k``; it tries once, and is watched."""
    make = connect if request.param == "sync" else connect_async
    witness = Witness(CANARY)
    with witness.watching():
        view = BridgeView(make(url(), retry=RetryPolicy(attempts=1)), witness)
        await view.secrets.set("a", CANARY.text())
        await view.keys.create("k", "EC_P256")
        emulator.requests.reset()
        yield view
        await view.aclose()
    assert not witness.leaks


# -- every documented error -------------------------------------------------------------

VERDICTS: Mapping[Code, str] = {
    Code.UNAUTHENTICATED: "MissingToken MissingTokenOlder MissingTokenEmpty EkmUnauthorized",
    Code.TOKEN_EXPIRED: "TokenLifetime",
    Code.CREDENTIAL_REJECTED: "InvalidAudience SigningKeyUnresolved InsufficientClaims",
    Code.CLOCK_SKEW: "TokenNotYetValid",
    Code.ACCESS_DENIED: "InvalidIssuer ForbiddenByRbac AccessDenied ForbiddenByPolicy OperationNotAllowed "
    "AccessDeniedFirstParty KeyOperationForbidden ForbiddenByRbacWithoutInner AccessDeniedWithoutInner",
    Code.NETWORK_FORBIDDEN: "ForbiddenByFirewall ForbiddenByConnection PublicAccessDisabled "
    "ForbiddenByFirewallWithoutInner",
    Code.INVALID_ARGUMENT: "InvalidName InvalidProperty PropertyRequired NotBase64Url UnknownSubOperation "
    "UnknownVersionOfApi WrongCurve UndecryptableBackup ExportableUnchangeable ExportableNeedsPolicy "
    "PolicyNeedsExportable ExportableNeedsHsm PolicyNeedsVersionless PolicyImmutable HsmExportableNeedsPolicy "
    "RoleNameNotGuid InvalidSasDefinition NoPrivateKey UnreadablePkcs12 InvalidX509Properties BadArgument "
    "LengthRequired UnsupportedMediaType EkmBadRequest VaultNameNotValid",
    Code.PAYLOAD_TOO_LARGE: "OctKeyTooLarge PayloadTooLarge",
    Code.UNSUPPORTED: "ExportableNeedsPremium PurgeNotEnabled KeyManagedByKeyVault SecretManagedByKeyVault "
    "PurgeProtected MethodNotAllowed RegionNotSupported SkuNotSupported",
    Code.NOT_FOUND: "SecretNotFound SecretNotFoundShort DeletedSecretNotFound KeyNotFound KeyNotFoundShort "
    "DeletedKeyNotFound CertificateNotFound PendingCertificateNotFound CertificateIssuerNotFound ContactsNotFound "
    "EkmKeyNotFound ResourceGroupNotFound",
    Code.CONTAINER_NOT_FOUND: "ResourceNotFound",
    Code.ALREADY_EXISTS: "RoleNameTaken AlreadyExists VaultAlreadyExists",
    Code.DELETED_BUT_RECOVERABLE: "ObjectIsDeletedButRecoverable ObjectIsDeletedButRecoverableWithoutInner "
    "ConflictErrorDeletedVault",
    Code.OPERATION_IN_PROGRESS: "MergeForbidden ObjectIsBeingDeleted ObjectIsBeingRecovered ConflictError "
    "CertificateOperationPending ObjectIsBeingDeletedWithoutInner",
    Code.DISABLED: "SecretDisabled KeyDisabled EkmKeyDisabled SecretDisabledWithoutInner KeyDisabledWithoutInner",
    Code.EXPIRED: "KeyExpired CertificateExpired",
    Code.WRONG_STATE: "KeyNotYetValid",
    Code.RATE_LIMITED: "Throttled ThrottledRetryAfter EkmThrottled",
    Code.SERVICE_UNAVAILABLE: "ReadOnly ServiceUnavailable EkmServiceUnavailable",
    Code.DEPENDENCY_UNAVAILABLE: "BadGatewayHtml EkmBadGateway",
    Code.TIMEOUT: "GatewayTimeout EkmRequestTimeout",
    Code.INTERNAL_ERROR: "InternalServerError EkmInternalServerError",
    Code.DECRYPTION_FAILED: "UndecryptableValue",
}
"""What each error of the emulator's catalogue means, by its source and not by the rule table."""
ACTIONS = {
    "SigningKeyUnresolved": RetryAction.REAUTHENTICATE,
    "InsufficientClaims": RetryAction.REAUTHENTICATE,
    "TokenNotYetValid": RetryAction.BACKOFF,
    "ConflictError": RetryAction.BACKOFF,
}
"""Where the advice is not that of the code."""
CASES = [(name, code) for code, names in VERDICTS.items() for name in names.split()]


def test_the_table_is_the_catalogue(emulator: Emulator) -> None:
    """No error that a vault can send is left out."""
    assert {name for name, _ in CASES} == {name for name in emulator.backend.documented if name[:6] != "AADSTS"}


@pytest.mark.parametrize(("name", "code"), CASES, ids=[name for name, _ in CASES])
async def test_a_documented_error_is_decoded(
    bridge: BridgeView, emulator: Emulator, monkeypatch: pytest.MonkeyPatch, name: str, code: Code
) -> None:
    """Code, class, advice, status, the service's own codes and its request id, from the wire."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.001)
    monkeypatch.setattr("kmsbridge_azure_keyvault._driver.PURGE_SECONDS", 0.0)
    emulator.fail("GetSecret", name, times=None)
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a")
    error, known = caught.value, emulator.backend.documented[name]
    assert error.code is code, error.details()
    assert type(error) is CLASS_OF[code]
    assert error.retry.action is ACTIONS.get(name, TAXONOMY[code].retry.action)
    assert error.http_status == known.status
    told = [getattr(known, "code", None), getattr(known, "inner", None)]
    assert set(filter(None, told)) <= set(error.provider_codes)
    assert known.status == 502 or "x-ms-request-id" in error.request_ids
    assert error.identity is not None
    assert error.identity.credential == "EnvironmentCredential"


SEEDS: Mapping[str, tuple[dict[str, Any], Code]] = {
    # azure-keyvault-common-error-codes.md and azure-keyvault-go-troubleshooting.md, as the emulator's state brings them
    "Unauthorized": ({}, Code.UNAUTHENTICATED),
    "ForbiddenByRbac": ({"denied": ("GetSecret",)}, Code.ACCESS_DENIED),
    "AccessDenied": ({"denied": ("GetSecret",), "rbac": False}, Code.ACCESS_DENIED),
    "ForbiddenByFirewall": ({"firewall": True}, Code.NETWORK_FORBIDDEN),
    "ForbiddenByConnection": ({"private": True}, Code.NETWORK_FORBIDDEN),
    "Throttled": ({"requests_per_10_seconds": 1}, Code.RATE_LIMITED),
}


@pytest.mark.parametrize("name", SEEDS)
async def test_a_state_of_the_vault_is_decoded(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """The documented reasons for a refusal, brought about as an owner of a vault would."""
    settings, code = SEEDS[name]
    emulator.configure(**settings)
    if name == "Unauthorized":
        emulator.fail("GetSecret", "MissingToken", times=None)
    if name == "Throttled":
        await bridge.secrets.get("a")
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a")
    assert caught.value.code is code
    assert name in caught.value.provider_codes


async def test_a_refused_use_of_a_key_is_decoded(bridge: BridgeView, emulator: Emulator) -> None:
    """A key whose permitted operations do not hold this one: no other kind of key would help."""
    emulator.fail("Sign", "KeyOperationForbidden")
    with pytest.raises(KMSError) as caught:
        await bridge.keys.sign("k", b"message", algorithm="ES256")
    assert caught.value.code is Code.ACCESS_DENIED
    assert caught.value.provider_codes == ("Forbidden", "KeyOperationForbidden")


@pytest.mark.parametrize("name", ["ForbiddenByRbac", "AccessDenied", "AccessDeniedWithoutInner"])
async def test_who_may_not_see_what_is_deleted_sees_the_rest(
    bridge: BridgeView, emulator: Emulator, name: str
) -> None:
    """However the vault says so, with an inner code or in words."""
    emulator.fail("GetDeletedKeys", name)
    assert [key.name async for key in bridge.keys.list()] == ["k"]


# -- one request ------------------------------------------------------------------------

PERSISTENT: Mapping[str, tuple[Failure | str, Code, Outcome]] = {
    "503": ("ServiceUnavailable", Code.SERVICE_UNAVAILABLE, Outcome.UNKNOWN),
    "429": ("ThrottledRetryAfter", Code.RATE_LIMITED, Outcome.NOT_APPLIED),
    "reset": (Reset(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "close": (Close(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "cut": (Cut(at=10), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
}
ONCE: Mapping[tuple[str, str], Callable[[BridgeView], Awaitable[object]]] = {
    ("GET", "/secrets/a/"): lambda bridge: bridge.secrets.get("a"),
    ("PUT", "/secrets/a"): lambda bridge: bridge.secrets.set("a", CANARY.text()),
    ("PATCH", "/secrets/a/"): lambda bridge: bridge.secrets.update("a", tags={"team": "a"}),
    ("DELETE", "/secrets/a"): lambda bridge: bridge.secrets.delete("a"),
    ("DELETE", "/deletedsecrets/gone"): lambda bridge: bridge.secrets.purge("gone"),
    ("POST", "/deletedsecrets/gone/recover"): lambda bridge: bridge.secrets.recover("gone"),
    ("GET", "/secrets"): lambda bridge: anext(bridge.secrets.list()),
    ("POST", "/keys/k//sign"): lambda bridge: bridge.keys.sign("k", b"message", algorithm="ES256"),
    ("POST", "/keys/k//verify"): lambda bridge: bridge.keys.verify("k", b"message", bytes(64), algorithm="ES256"),
    ("GET", "/keys/k/"): lambda bridge: bridge.keys.get("k"),
    ("DELETE", "/keys/k"): lambda bridge: bridge.keys.schedule_deletion("k"),
}
ASKED = [
    pytest.param(method, path, failure, id=f"{method} {path} {failure}")
    for method, path in ONCE
    for failure in PERSISTENT
    if (path, failure) != ("/deletedsecrets/gone", "cut")  # the answer to a purge has no body to cut
]


@pytest.mark.parametrize(("method", "path", "failure"), ASKED)
async def test_a_persistent_failure_costs_one_request(
    bridge: BridgeView, emulator: Emulator, method: str, path: str, failure: str
) -> None:
    """Neither the SDK nor a transport under it asks a second time, whatever the method; and the outcome is told."""
    await bridge.secrets.set("gone", CANARY.text())
    await bridge.secrets.delete("gone")
    emulator.requests.reset()
    what, code, outcome = PERSISTENT[failure]
    emulator.fail("*", what, times=None)
    with pytest.raises(KMSError) as caught:
        await ONCE[method, path](bridge)
    assert (caught.value.code, caught.value.outcome) == (code, outcome), caught.value.details()
    assert emulator.requests.by_path() == {(method, path): 1}
    assert caught.value.attempts == 1


@pytest.fixture(params=["sync", "async"])
async def usual(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """A bridge of each mode that tries again as usual."""
    del emulator
    view = BridgeView((connect if request.param == "sync" else connect_async)(url()), Witness(CANARY))
    yield view
    await view.aclose()


@pytest.mark.parametrize("expires", [None, datetime(2040, 1, 1, tzinfo=UTC)])
@pytest.mark.parametrize("value", ["text", b"\xff\x00"])
async def test_a_set_whose_answer_was_lost_is_shown_to_be_there(
    usual: BridgeView, emulator: Emulator, value: str | bytes, expires: datetime | None
) -> None:
    """The latest version holds exactly what was given, and was made since the call began, by the vault's clock."""
    emulator.fail("SetSecret", Reset(), before_applying=False)
    made = await usual.secrets.set("x", value, content_type="a/b", tags={"team": "a"}, expires_at=expires)
    assert [made.version] == [info.version async for info in usual.secrets.versions("x")]
    assert (await usual.secrets.get("x")).value == value
    assert emulator.requests.count("SetSecret") == 1


@pytest.mark.parametrize("change", [{"value": "b"}, {"tags": {"b": "c"}}, {"content_type": "b"}, {"before": 10}])
async def test_a_set_that_was_not_applied_is_not_shown(
    usual: BridgeView, emulator: Emulator, change: dict[str, Any]
) -> None:
    """What is there is not what was given, or was there before: the outcome stays unknown."""
    given: dict[str, Any] = {"value": "a", "tags": {"a": "b"}, "content_type": "a"}
    emulator.clock.advance(seconds=-float(change.get("before", 0)))
    await usual.secrets.set("x", **{**given, **{name: said for name, said in change.items() if name != "before"}})
    emulator.clock.reset()
    emulator.fail("SetSecret", Reset())
    with pytest.raises(KMSError) as caught:
        await usual.secrets.set("x", **given)
    assert (caught.value.code, caught.value.outcome) == (Code.NETWORK_ERROR, Outcome.UNKNOWN)
    assert len([info async for info in usual.secrets.versions("x")]) == 1


@pytest.mark.parametrize("failure", PERSISTENT)
@pytest.mark.parametrize(("operation", "path"), [("CreateKey", "/keys/new/create"), ("RotateKey", "/keys/k/rotate")])
async def test_a_persistent_failure_makes_one_key_at_most(
    bridge: BridgeView, emulator: Emulator, operation: str, path: str, failure: str
) -> None:
    """What appends a version is sent once, after a look at what is there."""
    what, code, outcome = PERSISTENT[failure]
    emulator.fail(operation, what, times=None)
    with pytest.raises(KMSError) as caught:
        await (bridge.keys.rotate("k") if operation == "RotateKey" else bridge.keys.create("new", "EC_P256"))
    assert (caught.value.code, caught.value.outcome) == (code, outcome), caught.value.details()
    assert emulator.requests.by_path() == {("POST", path): 1, ("GET", path[: path.rindex("/") + 1]): 1}


async def test_a_purge_has_no_body_to_cut(bridge: BridgeView, emulator: Emulator) -> None:
    """A success is one without a body where none belongs."""
    await bridge.secrets.delete("a")
    emulator.fail("PurgeDeletedSecret", Answer(204))
    await bridge.secrets.purge("a")


async def test_a_call_ends_at_its_deadline(bridge: BridgeView, emulator: Emulator) -> None:
    """A vault that does not answer holds nobody for longer, and may have done it."""
    emulator.fail("SetSecret", Hang(5.0))
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.set("a", CANARY.text(), timeout=0.3)
    assert (caught.value.code, caught.value.outcome) == (Code.TIMEOUT, Outcome.UNKNOWN)
    assert caught.value.elapsed < 0.6


# -- bad answers ------------------------------------------------------------------------

_ERROR = b'{"error":{"code":"Forbidden","message":"m","innererror":{"code":"AccessDenied"}}}'
BROKEN: Mapping[str, Answer] = {
    **bad_answers(_ERROR),
    "error is a string": refusal(b'{"error":"nope"}'),
    "error is a list": refusal(b'{"error":["nope"]}'),
    "error is null": refusal(b'{"error":null}'),
    "code is a number": refusal(b'{"error":{"code":403,"message":5},"code":403,"message":5}'),
    "code is an object": refusal(b'{"error":{"code":{},"message":[]},"code":{},"message":[]}'),
    "innererror is a string": refusal(b'{"error":{"code":"Forbidden","message":"m","innererror":"x"}}'),
    "2,000 inner errors": refusal(b'{"error":' + b'{"code":"c","innererror":' * 2_000 + b"{}" + b"}" * 2_001),
    "retry-after-ms garbage": refusal(_ERROR, ("x-ms-retry-after-ms", "soon"), status=429),
    "a challenge of garbage": refusal(_ERROR, ("WWW-Authenticate", 'Bearer =,,"'), status=401),
    "no challenge": refusal(_ERROR, status=401),
}
_START = b'{"value":"wrong","id":ID,"attributes":{"enabled":true'
BODIES: Mapping[str, bytes] = {
    "value is an object": b'{"value":{},"attributes":{"enabled":true},"id":ID}',
    "value is null": b'{"value":null,"attributes":{"enabled":true},"id":ID}',
    "value is missing": b'{"attributes":{"enabled":true},"id":ID}',
    "value is half a surrogate pair": b'{"value":"\\ud800","attributes":{"enabled":true},"id":ID}',
    "value is no UTF-8": b'{"value":"\xff","attributes":{"enabled":true},"id":ID}',
    "no attributes": b'{"value":"wrong","id":ID}',
    "attributes is a number": b'{"value":"wrong","attributes":5,"id":ID}',
    "enabled is text": b'{"value":"wrong","attributes":{"enabled":"true"},"id":ID}',
    "created is text": _START + b',"created":"now"}}',
    "created is endless": _START + b',"created":1e999}}',
    "created is beyond the calendar": _START + b',"created":1' + b"0" * 30 + b"}}",
    "a number of 5,000 digits": _START + b',"created":' + b"9" * 5_000 + b"}}",
    "tags is a list": _START + b'},"tags":[]}',
    "a tag is a number": _START + b'},"tags":{"a":5}}',
    "content type is a number": _START + b'},"contentType":5}',
    "Base64 that is none": b'{"value":"!","contentType":";kmsbridge=base64","attributes":{"enabled":true},"id":ID}',
    "no id": b'{"value":"wrong","attributes":{"enabled":true}}',
    "id without a version": b'{"value":"wrong","attributes":{"enabled":true},"id":"https://v/secrets/a"}',
    "another's id": b'{"value":"wrong","attributes":{"enabled":true},"id":"https://v/secrets/b/' + b"0" * 32 + b'"}',
    "100,000 brackets": b"[" * 100_000,
    "2,000 levels": b'{"value":' * 2_000 + b"1" + b"}" * 2_000,
}
_ID = b'"https://localhost/secrets/a/' + b"0" * 32 + b'"'
WIRE: Mapping[str, Failure] = {
    "not HTTP": Garbage(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "closed": Close(),
    "reset": Reset(),
    "headers, then closed": Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "a success that is cut": raw(b"200 OK\r\nContent-Type: application/json", b'{"value":"abc', 500),
    "a hang": Hang(5.0),
}


async def _failure(bridge: BridgeView, timeout: float = 5.0) -> KMSError:
    """The error of a read; nothing else may come out of it, and no value."""
    with pytest.raises(KMSError) as caught:
        await bridge.secrets.get("a", timeout=timeout)
    return caught.value


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_an_error_with_its_status(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Whatever the body, the status is not lost, and a success without a secret is none."""
    emulator.fail("GetSecret", BROKEN[name], times=None)
    error = await _failure(bridge)
    assert error.http_status == BROKEN[name].status
    if 200 <= BROKEN[name].status < 300:
        assert error.code is Code.INTERNAL_ERROR
    assert error.retry_after is None


@pytest.mark.parametrize("name", BODIES)
async def test_a_success_with_wrong_members_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Never None, never a wrong value, never somebody else's."""
    emulator.fail("GetSecret", Answer(200, JSON, BODIES[name].replace(b"ID", _ID)))
    error = await _failure(bridge)
    assert (error.code, error.http_status) == (Code.INTERNAL_ERROR, 200)
    assert (await bridge.secrets.get("a")).value == CANARY.text()


async def test_the_body_that_the_others_spoil_is_a_secret(bridge: BridgeView, emulator: Emulator) -> None:
    """So that they are refused for what is wrong with them."""
    body = b'{"value":"right","attributes":{"enabled":true,"created":1},"tags":{"a":"b"},"id":' + _ID + b"}"
    emulator.fail("GetSecret", Answer(200, JSON, body))
    assert (await bridge.secrets.get("a")).value == "right"


@pytest.mark.parametrize("name", WIRE)
async def test_what_is_no_answer_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """It may have been sent, and the call ends in time."""
    emulator.fail("GetSecret", WIRE[name])
    error = await _failure(bridge, 0.5)
    assert error.code is (Code.TIMEOUT if name == "a hang" else Code.NETWORK_ERROR)
    assert error.outcome is Outcome.UNKNOWN


KEY_BODIES: Mapping[str, bytes] = {
    "nothing": b"{}",
    "value is a number": b'{"kid":KID,"value":5}',
    "value is no base64url": b'{"kid":KID,"value":"+/"}',
    "value is impossible base64url": b'{"kid":KID,"value":"A"}',
    "no kid": b'{"value":"AAAA"}',
    "another's kid": b'{"kid":"https://v/keys/other/' + b"0" * 32 + b'","value":"AAAA"}',
    "a kid without a version": b'{"kid":"https://v/keys/k","value":"AAAA"}',
}


@pytest.mark.parametrize("name", KEY_BODIES)
async def test_a_signature_that_is_none_is_an_error(bridge: BridgeView, emulator: Emulator, name: str) -> None:
    """Nor one that another key has made."""
    body = KEY_BODIES[name].replace(b"KID", b'"https://localhost/keys/k/' + b"0" * 32 + b'"')
    emulator.fail("Sign", Answer(200, JSON, body))
    with pytest.raises(KMSError) as caught:
        await bridge.keys.sign("k", b"message", algorithm="ES256")
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)


@pytest.mark.parametrize("verdict", [b"{}", b'{"value":"true"}', b'{"value":1}', b'{"value":null}'])
async def test_a_verdict_that_is_none_is_an_error(bridge: BridgeView, emulator: Emulator, verdict: bytes) -> None:
    """True is true alone."""
    emulator.fail("Verify", Answer(200, JSON, verdict))
    with pytest.raises(KMSError) as caught:
        await bridge.keys.verify("k", b"message", bytes(64), algorithm="ES256")
    assert caught.value.code is Code.INTERNAL_ERROR


@pytest.mark.parametrize("link", [
    "https://localhost:1/secrets?$skiptoken=x", "https://evil.example/secrets", "http://localhost/secrets", "/secrets",
    "https://user@localhost/secrets", "https://[/secrets",
])
async def test_a_listing_does_not_lead_elsewhere(bridge: BridgeView, emulator: Emulator, link: str) -> None:
    """The token goes to this vault alone."""
    emulator.fail("GetSecrets", Answer(200, JSON, b'{"value":[],"nextLink":"' + link.encode() + b'"}'))
    with pytest.raises(KMSError) as caught:
        await anext(bridge.secrets.list())
    assert caught.value.code is Code.INTERNAL_ERROR


@pytest.mark.parametrize("body", [
    b"{}", b'{"value":null}', b'{"value":[5]}', b'{"value":[{}]}', b'{"value":[],"nextLink":5}',
])
async def test_a_listing_that_is_none_is_an_error(bridge: BridgeView, emulator: Emulator, body: bytes) -> None:
    """An empty listing is one that says so."""
    emulator.fail("GetSecrets", Answer(200, JSON, body))
    with pytest.raises(KMSError) as caught:
        await anext(bridge.secrets.list())
    assert caught.value.code is Code.INTERNAL_ERROR


async def test_a_vault_that_is_not_there_was_not_asked() -> None:
    """Refused connections: nothing was sent."""
    with emptied() as emulator:
        nowhere = url().replace(str(emulator.port), "1", 1)
    with connect(nowhere) as bridge, pytest.raises(NetworkError) as caught:
        bridge.secrets.get("a")
    assert caught.value.outcome is Outcome.NOT_SENT
