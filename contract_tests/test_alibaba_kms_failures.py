"""What may come in the place of an answer of Alibaba Cloud KMS, at both doors: each is one error, of one request."""

from __future__ import annotations

import json
import logging
from copy import deepcopy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from contract_tests import alibaba_emulator
from contract_tests.bad_answers import JSON, bad_answers, refusal
from kmsbridge import Code, KMSError, NetworkError, Outcome, RetryPolicy, connect, connect_async
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Close, Cut, Emulator, Garbage, Hang, Reset
from kmsbridge_alibaba_kms import _messages
from kmsbridge_alibaba_kms.emulator import AlibabaKms

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping

    from kmsbridge.emulation import Failure
    from kmsbridge_alibaba_kms.emulator._state import Account

# A connection that a failure below HTTP has broken may reach the garbage collector before it is closed.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <s:ResourceWarning")

CANARY = Canary()
VALUE = "s3cret"
REQUEST_ID = "0a1b2c3d-0000-4000-8000-000000000000"
PROTOBUF = "application/x-protobuf"
SECRET: Mapping[str, str] = {
    "SecretName": "a", "VersionId": "v", "SecretData": "wrong", "SecretDataType": "text", "RequestId": REQUEST_ID
}  # fmt: skip
"""A success, with another value than the emulator has."""


def protobuf(**fields: str) -> bytes:
    """That success at an instance's door, with these fields for others."""
    return _messages.written("GetSecretValueResponse", {**SECRET, **fields})


def error(code: str, status: int, words: str = "m") -> bytes:
    """An error of an instance's door."""
    fields: dict[str, str | bytes | int] = {"StatusCode": status, "ErrorCode": code, "ErrorMessage": words}
    return _messages.written("Error", {**fields, "RequestId": REQUEST_ID})


DOORS: Mapping[str, Callable[[int | None, str | None], str]] = {
    "openapi": alibaba_emulator.url,
    "instance": alibaba_emulator.instance_url,
}


VECTORS = Path(__file__).parent.parent / "tests" / "vectors" / "alibaba-kms.jsonl"


def bridged(
    mode: str, door: str, witness: Witness, port: int | None = None, ca: str | None = None, attempts: int = 3
) -> BridgeView:
    """A bridge through one door: of an instance, without an AccessKey."""
    credential = alibaba_emulator.credential() if door == "openapi" else None
    connecting = connect if mode == "sync" else connect_async
    retry = RetryPolicy(attempts=attempts)
    return BridgeView(connecting(DOORS[door](port, ca), credential=credential, retry=retry), witness)


def furnish(port: int | None = None, ca: str | None = None) -> None:
    """Make a secret and a deleted one, and two keys for each door."""
    key = alibaba_emulator.credential()
    for door, url in (("openapi", alibaba_emulator.url), ("instance", alibaba_emulator.both_url)):
        with connect(url(port, ca), credential=key) as bridge:
            bridge.keys.create(f"{door}/aes", "AES_256")
            bridge.keys.create(f"{door}/ec", "EC_P256")
            if door == "instance":
                for name in ("a", "gone"):  # the region's door reads them too
                    bridge.secrets.set(name, VALUE)
                bridge.secrets.delete("gone")


@cache
def furnished() -> Account:
    """What the account has then."""
    with alibaba_emulator.emptied() as running, alibaba_emulator.admitted():
        furnish()
        assert isinstance(running.backend, AlibabaKms)
        return running.backend._account


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """Furnished, and asked for nothing yet."""
    account = furnished()
    with alibaba_emulator.emptied() as running, alibaba_emulator.admitted():
        assert isinstance(running.backend, AlibabaKms)
        running.backend._account = replace(account, secrets=deepcopy(account.secrets))
        yield running


class Through(NamedTuple):
    """A bridge, and through which door it goes."""

    view: BridgeView
    door: str


@pytest.fixture(params=[(door, mode) for door in DOORS for mode in ("sync", "async")], ids="-".join)
async def through(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[Through]:
    """A bridge of each mode through each door that has made a call; it is watched for the canary."""
    door, mode = request.param
    witness = Witness(CANARY)
    with witness.watching():
        view = bridged(mode, door, witness)
        assert (await view.secrets.get("a")).value == VALUE
        emulator.requests.reset()
        yield Through(view, door)
        await view.aclose()
    assert not witness.leaks


@pytest.fixture(params=["sync", "async"])
async def region(request: pytest.FixtureRequest, emulator: Emulator) -> AsyncIterator[BridgeView]:
    """The same through the region's door alone, which does more; the keys have been used."""
    witness = Witness(CANARY)
    with witness.watching():
        view = bridged(request.param, "openapi", witness)
        await view.keys.encrypt("openapi/aes", b"x")
        await view.keys.verify("openapi/ec", b"x", b"\1" * 64, algorithm="ES256")
        emulator.requests.reset()
        yield view
        await view.aclose()
    assert not witness.leaks


# -- one request ------------------------------------------------------------------------

_DOWN = b'{"Code":"ServiceUnavailableTemporary","Message":"m","RequestId":"r"}'
PERSISTENT: Mapping[str, tuple[Failure, Code, Outcome]] = {
    "503": (Answer(503, JSON, _DOWN), Code.SERVICE_UNAVAILABLE, Outcome.NOT_APPLIED),
    "503, a page": (Answer(503, (), b"<html></html>"), Code.SERVICE_UNAVAILABLE, Outcome.UNKNOWN),
    "reset": (Reset(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "close": (Close(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "cut": (Cut(at=10), Code.NETWORK_ERROR, Outcome.UNKNOWN),
    "no HTTP": (Garbage(), Code.NETWORK_ERROR, Outcome.UNKNOWN),
}
ONCE: Mapping[str, Callable[[BridgeView], Awaitable[object]]] = {
    "GetSecretValue": lambda bridge: bridge.secrets.get("a"),
    "PutSecretValue": lambda bridge: bridge.secrets.set("a", CANARY.text()),
    "ListSecrets": lambda bridge: anext(bridge.secrets.list()),
    "DeleteSecret": lambda bridge: bridge.secrets.delete("a"),
    "RestoreSecret": lambda bridge: bridge.secrets.recover("gone"),
    "Encrypt": lambda bridge: bridge.keys.encrypt("openapi/aes", CANARY.bytes()),
    "DescribeKey": lambda bridge: bridge.keys.get("openapi/aes"),
    "AsymmetricVerify": lambda bridge: bridge.keys.verify("openapi/ec", b"message", b"\1" * 64, algorithm="ES256"),
}


@pytest.mark.parametrize("failure", PERSISTENT)
@pytest.mark.parametrize("operation", ONCE)
async def test_an_attempt_is_one_request(
    region: BridgeView, emulator: Emulator, operation: str, failure: str
) -> None:
    """Neither the SDK nor a transport under it asks a second time; and the outcome is told."""
    what, code, outcome = PERSISTENT[failure]
    emulator.fail("*", what, times=None)
    with pytest.raises(KMSError) as caught:
        await ONCE[operation](region)
    assert (caught.value.code, caught.value.outcome) == (code, outcome), caught.value.details()
    assert {seen.operation for seen in emulator.requests} == {operation}
    assert len(emulator.requests) == caught.value.attempts


async def test_a_thousand_calls_share_a_connection(through: Through, emulator: Emulator) -> None:
    """In both modes, at both doors; fewer at the one where each is signed by RSA."""
    calls = 1_000 if through.door == "openapi" else 200
    for _ in range(calls):
        await through.view.secrets.get("a")
    assert len(emulator.requests) == calls
    assert len({seen.connection for seen in emulator.requests}) == 1


async def test_a_call_ends_at_its_deadline(through: Through, emulator: Emulator) -> None:
    """A service that does not answer holds nobody for longer."""
    emulator.fail("GetSecretValue", Hang(5.0), times=None)
    with pytest.raises(KMSError) as caught:
        await through.view.secrets.get("a", timeout=0.3)
    assert (caught.value.code, caught.value.outcome) == (Code.TIMEOUT, Outcome.UNKNOWN)


# -- nothing of a plaintext ------------------------------------------------------------------

ENCRYPT = {"openapi": "Encrypt", "instance": "AdvanceEncrypt"}
"""What an AES key encrypts by, at each door."""
ECHO: Mapping[str, Answer] = {
    "openapi": Answer(
        400,
        JSON,
        json.dumps({"Code": "SignatureDoesNotMatch", "Message": f"POST&Plaintext%3D{CANARY.token}"}).encode(),
    ),
    "instance": Answer(401, (("Content-Type", PROTOBUF),), error("SignatureNotMatch", 401, f"of {CANARY.token}")),
}
LOST: Mapping[str, tuple[Mapping[str, Failure], Code]] = {
    "a reset": (dict.fromkeys(DOORS, Reset()), Code.NETWORK_ERROR),
    "a timeout": (dict.fromkeys(DOORS, Hang(5.0)), Code.TIMEOUT),
    "a refusal that repeats it": (ECHO, Code.CREDENTIAL_REJECTED),
}
LOUD = ("urllib3", "urllib3.connectionpool", "aiohttp.client", "aiohttp.internal", "asyncio", "kmsbridge")


@pytest.mark.parametrize("kind", LOST)
async def test_a_failed_encryption_leaves_no_trace(through: Through, emulator: Emulator, kind: str) -> None:
    """At the region's door the plaintext is in the URL. It is in no error, log at DEBUG, repr, pickle or traceback."""
    view, door = through
    await view.keys.encrypt(f"{door}/aes", CANARY.bytes())
    assert all(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in LOUD)
    failures, code = LOST[kind]
    emulator.fail(ENCRYPT[door], failures[door], times=None)
    with pytest.raises(KMSError) as caught:
        await view.keys.encrypt(f"{door}/aes", CANARY.bytes(), timeout=0.5)
    assert caught.value.code is code
    assert emulator.requests.count(ENCRYPT[door]) >= 2
    assert view.witness.canary.find(caught.value.details()) is None


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("door", DOORS)
async def test_a_refused_connection_leaves_no_trace(tmp_path: Path, mode: str, door: str) -> None:
    """The service goes away between two encryptions: nothing was sent, and nothing of what was to be sent is told."""
    witness, mortal = Witness(CANARY), Emulator(AlibabaKms())
    with mortal, witness.watching(), alibaba_emulator.admitted(mortal):
        where = (mortal.port, mortal.write_ca(str(tmp_path / "ca.pem")))
        furnish(*where)
        view = bridged(mode, door, witness, *where)
        await view.keys.encrypt(f"{door}/aes", CANARY.bytes())
        mortal.stop()
        assert all(logging.getLogger(name).isEnabledFor(logging.DEBUG) for name in LOUD)
        with pytest.raises(NetworkError) as caught:
            await view.keys.encrypt(f"{door}/aes", CANARY.bytes())
        assert caught.value.outcome is Outcome.NOT_SENT
        with pytest.raises(NetworkError):
            await view.secrets.get("a")
        await view.aclose()
    assert not witness.leaks


# -- bad answers ------------------------------------------------------------------------

_ERROR = b'{"Code":"Forbidden.NoPermission","Message":"m","RequestId":"r","HostId":"h"}'
_BINARY = (("Content-Type", PROTOBUF),)
BROKEN: Mapping[str, Answer] = {
    **bad_answers(_ERROR),
    "XML": refusal(b"<Error><Code>Forbidden.NoPermission</Code></Error>", ("Content-Type", "text/xml")),
    "truncated XML": refusal(b"<Error><Code>Forbidden", ("Content-Type", "text/xml")),
    "code is a number": refusal(b'{"Code":403,"Message":5}'),
    "code is an object": refusal(b'{"Code":{},"Message":[]}'),
    "code is empty": refusal(b'{"Code":"","Message":""}'),
    "a wait of garbage": refusal(_ERROR, *JSON, ("x-acs-retry-after", "soon"), ("Retry-After", "soon"), status=429),
    "a negative wait": refusal(_ERROR, *JSON, ("x-acs-retry-after", "-5"), status=429),
    # Protocol Buffers, at either door
    "a truncated varint": refusal(b"\x08\xff", *_BINARY),
    "an endless varint": refusal(b"\x08" + b"\xff" * 20, *_BINARY),
    "2 GB announced": refusal(b"\x12\xff\xff\xff\xff\x07abc", *_BINARY),
    "a negative length": refusal(b"\x12" + b"\xff" * 9 + b"\x01", *_BINARY),
    "a wrong wire type": refusal(b"\x10\x05" + error("Forbidden.NoPermission", 403), *_BINARY),
    "unknown fields": refusal(error("Forbidden.NoPermission", 403) + b"\x98\x06\x01\x2a\x01x", *_BINARY),
    "a negative status": refusal(error("Forbidden.NoPermission", -1), *_BINARY),
    "a group": refusal(error("Forbidden.NoPermission", 403) + b"\x2b\x2c", *_BINARY),
    "an Error that is cut": refusal(error("Forbidden.NoPermission", 403)[:10], *_BINARY),
    "an Error, labelled JSON": refusal(error("Forbidden.NoPermission", 403)),
    "an empty 413": Answer(413, _BINARY),
    "8 MB of Error": refusal(error("Forbidden.NoPermission", 403, "x" * (8 << 20)), *_BINARY),
    "success, two bytes": Answer(200, _BINARY, b"HE"),
    "success, an Error unknown": Answer(200, _BINARY, error(CANARY.token, 403, CANARY.token)),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_is_an_error_with_its_status(through: Through, emulator: Emulator, name: str) -> None:
    """Whatever the body, the status is not lost, and a success without a secret is none."""
    emulator.fail("GetSecretValue", BROKEN[name], times=None)
    with pytest.raises(KMSError) as caught:
        await through.view.secrets.get("a", timeout=5.0)
    assert caught.value.http_status == BROKEN[name].status
    if 200 <= BROKEN[name].status < 300:
        assert caught.value.code is Code.INTERNAL_ERROR
    assert caught.value.retry_after is None


READABLE = [
    name
    for name, answer in BROKEN.items()
    if b"Forbidden.NoPermission" in answer.body and answer.status in (403, 429) and name != "an Error that is cut"
]


@pytest.mark.parametrize("name", READABLE)
async def test_an_error_that_can_be_read_is_read(through: Through, emulator: Emulator, name: str) -> None:
    """In whichever form it comes, at either door, whatever its status."""
    emulator.fail("GetSecretValue", BROKEN[name], times=None)
    with pytest.raises(KMSError) as caught:
        await through.view.secrets.get("a", timeout=5.0)
    assert caught.value.code is Code.ACCESS_DENIED


def seeded() -> Iterator[tuple[str, int, str, str]]:
    """Code, status and words of each published error that came as JSON, and what it is here."""
    for line in VECTORS.read_text().splitlines():
        row = json.loads(line)
        answer = row["answer"]
        if str(answer.get("body", "")).startswith('{"') and "operation" not in answer:
            said = json.loads(answer["body"])
            if said.keys() >= {"Code", "Message"} and answer.get("http_status", 0) >= 400:
                yield said["Code"], answer["http_status"], said["Message"], row["verdict"]["code"]


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("door", DOORS)
async def test_published_errors_mean_the_same_at_both_doors(emulator: Emulator, mode: str, door: str) -> None:
    """As JSON at the region's, as Protocol Buffers at an instance's: whole answers, over the wire."""
    view = bridged(mode, door, Witness(CANARY), attempts=1)
    found, wanted = [], []
    for code, status, words, meant in seeded():
        body = json.dumps({"Code": code, "Message": words, "RequestId": REQUEST_ID}).encode()
        answers = {"openapi": (JSON, body), "instance": (_BINARY, error(code, status, words))}
        emulator.fail("GetSecretValue", Answer(status, *answers[door]))
        with pytest.raises(KMSError) as caught:
            await view.secrets.get("a")
        wanted.append((code, words, status, meant))
        found.append((code, words, caught.value.http_status, caught.value.code.value))
        assert REQUEST_ID in caught.value.request_ids.values()
    await view.aclose()
    assert [pair for pair in zip(found, wanted, strict=True) if pair[0] != pair[1]] == []
    assert len(found) > 50


_GOOD = {**SECRET, "CreateTime": "2026-01-31T12:00:00Z"}
BODIES: Mapping[str, dict[str, Any]] = {
    "no value": {"SecretData": None},
    "the value is an object": {"SecretData": {}},
    "Base64 that is none": {"SecretDataType": "binary", "SecretData": "!"},
    "a type that is none": {"SecretDataType": "other"},
    "no type": {"SecretDataType": None},
    "no version": {"VersionId": None},
    "another's name": {"SecretName": "b"},
    "no name": {"SecretName": None},
    "no request id": {"RequestId": None},
    "an error's code": {"Code": "x"},
    "a time that is text": {"CreateTime": "now"},
    "a time that is a number": {"CreateTime": 5},
    "a time beyond the calendar": {"CreateTime": "2026-13-31T12:00:00Z"},
}


@pytest.mark.parametrize("name", BODIES)
async def test_a_success_with_wrong_members_is_an_error(region: BridgeView, emulator: Emulator, name: str) -> None:
    """Never None, never a wrong value, never somebody else's."""
    emulator.fail("GetSecretValue", Answer(200, JSON, json.dumps({**_GOOD, **BODIES[name]}).encode()), times=None)
    with pytest.raises(KMSError) as caught:
        await region.secrets.get("a")
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)


MESSAGES: Mapping[str, bytes] = {
    "another's name": protobuf(SecretName="b"),
    "no name": protobuf(SecretName=""),
    "no version": protobuf(VersionId=""),
    "no type": protobuf(SecretDataType=""),
    "no request id": protobuf(RequestId=""),
    "Base64 that is none": protobuf(SecretDataType="binary", SecretData="!"),
    "cut": protobuf()[:-3],
    "no UTF-8": protobuf().replace(b"wrong", b"\xff" * 5),
    "JSON": json.dumps(_GOOD).encode(),
}


@pytest.mark.parametrize("name", MESSAGES)
@pytest.mark.parametrize("mode", ["sync", "async"])
async def test_a_message_with_wrong_fields_is_an_error(emulator: Emulator, mode: str, name: str) -> None:
    """The same, of an instance's door."""
    emulator.fail("GetSecretValue", Answer(200, _BINARY, MESSAGES[name]), times=None)
    view = bridged(mode, "instance", Witness(CANARY))
    with pytest.raises(KMSError) as caught:
        await view.secrets.get("a")
    await view.aclose()
    assert (caught.value.code, caught.value.http_status) == (Code.INTERNAL_ERROR, 200)


async def test_what_the_others_spoil_is_a_secret(through: Through, emulator: Emulator) -> None:
    """So that they are refused for what is wrong with them."""
    bodies = {"openapi": json.dumps(_GOOD).encode(), "instance": protobuf()}
    emulator.fail("GetSecretValue", Answer(200, JSON, bodies[through.door]))
    assert (await through.view.secrets.get("a")).value == "wrong"


WIRE: Mapping[str, Failure] = {
    "not HTTP": Garbage(b"SSH-2.0-OpenSSH_9.0\r\n"),
    "closed": Close(),
    "reset": Reset(),
    "headers, then closed": Garbage(b"HTTP/1.1 200 OK\r\nContent-Type: app"),
    "a success that is cut": Garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n\x0a\x01a"),
    "a hang": Hang(5.0),
}


@pytest.mark.parametrize("name", WIRE)
async def test_what_is_no_answer_is_an_error(through: Through, emulator: Emulator, name: str) -> None:
    """It may have been sent, and the call ends in time."""
    emulator.fail("GetSecretValue", WIRE[name], times=None)
    with pytest.raises(KMSError) as caught:
        await through.view.secrets.get("a", timeout=0.5)
    assert caught.value.code is (Code.TIMEOUT if name == "a hang" else Code.NETWORK_ERROR)
    assert caught.value.outcome is Outcome.UNKNOWN
