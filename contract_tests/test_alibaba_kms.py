"""The contract, with Alibaba Cloud KMS: the real SDK against the emulator."""

from __future__ import annotations

import json
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, ClassVar
from unittest.mock import patch

import pytest

from contract_tests.alibaba_emulator import admitted, both_url, credential, emptied, instance_url, running, shared, url
from contract_tests.shared_emulator import FailingEmulator
from kmsbridge import Code, KeySpec, KMSError, NotFoundError, Secret
from kmsbridge.contract import (
    Backend,
    BridgeView,
    Canary,
    Failing,
    Harness,
    KeysContract,
    RetriesContract,
    SecretsContract,
    refused,
)
from kmsbridge.emulation import Answer
from kmsbridge_alibaba_kms._abilities import BOTH, INSTANCE, REGION
from kmsbridge_alibaba_kms.emulator import AlibabaKms
from kmsbridge_alibaba_kms.emulator._state import DAY

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from kmsbridge import Capabilities

KEPT = 10
"""Versions of a secret."""
_GOOD: Mapping[str, str] = {"SecretName": "a", "VersionId": "v", "SecretData": "x", "SecretDataType": "text"}
_ERROR: Mapping[str, object] = {
    "SecretName": "b", "Code": "Forbidden.ResourceNotFound", "Message": "m", "HttpStatus": 404
}  # fmt: skip
BATCHES: Mapping[str, Mapping[str, object]] = {
    "nothing": {},
    "one is missing": {"SecretValues": [_GOOD]},
    "another's": {"SecretValues": [_GOOD, {**_GOOD, "SecretName": "c"}]},
    "one too many": {"SecretValues": [_GOOD, {**_GOOD, "SecretName": "c"}], "Errors": [_ERROR]},
    "no value": {"SecretValues": [{**_GOOD, "SecretData": None}], "Errors": [_ERROR]},
    "no list": {"SecretValues": {"a": _GOOD}, "Errors": [_ERROR]},
    "no code": {"SecretValues": [_GOOD], "Errors": [{**_ERROR, "Code": ""}]},
    "no status": {"SecretValues": [_GOOD], "Errors": [{**_ERROR, "HttpStatus": None}]},
}
"""Answers to a batch of two that are not as they must be."""


class Region(Harness):
    """The door of one region, its account emptied for each case."""

    page_size = 12
    """It is 100 and 20: a page is asked for, and shorter ones save a thousand requests."""
    native_name = "alias/Native_Name"

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """By its AccessKey."""
        pages = {"_paging.SIZE": self.page_size, "_keys.PAGE": self.page_size}
        with ExitStack() as stack:
            for name, size in pages.items():
                stack.enter_context(patch(f"kmsbridge_alibaba_kms.{name}", size))
            stack.enter_context(emptied(version_seconds=1))
            yield self.opened(stack)

    def opened(self, stack: ExitStack) -> Backend:
        """Where to connect to, and who asks there."""
        del stack
        return Backend(url(), credential())

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return REGION


class FailingRegion(Region, FailingEmulator):
    """The same, made to fail."""

    shared = shared
    errors: ClassVar = {
        Failing.UNAVAILABLE: "ServiceUnavailableTemporary",
        Failing.THROTTLED: "Rejected.Throttling",
        Failing.DENIED: "Forbidden.NoPermission",
    }


class Instance(Region):
    """The same, and the door of an instance beside it: there keys are used and secrets are read."""

    def opened(self, stack: ExitStack) -> Backend:
        """By its AccessKey, and a client key."""
        stack.enter_context(admitted())
        return Backend(both_url(), credential())

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return BOTH


class InstanceAlone(Instance):
    """That door alone, without an AccessKey."""

    def opened(self, stack: ExitStack) -> Backend:
        """By a client key."""
        stack.enter_context(admitted())
        return Backend(instance_url())

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return INSTANCE


class Secrets(SecretsContract):
    """Secrets."""

    async def test_versions_go_over_more_than_one_page(self, bridge: BridgeView, canary: Canary) -> None:
        """They cannot: the service keeps 10, which is less than a page, and drops the oldest."""
        written = [(await bridge.secrets.set("some/name", canary.text())).version for _ in range(KEPT + 1)]
        listed = [info.version async for info in bridge.secrets.versions("some/name")]
        assert listed == written[:0:-1]


class TestSecrets(Secrets):
    """At the door of the region."""

    harness = Region()

    async def test_many_are_read_by_one_request(self, bridge: BridgeView, canary: Canary) -> None:
        """And each that cannot be has its own error, as a `get` of it."""
        for name in ("a", "b", "gone"):
            await bridge.secrets.set(name, canary.text(name))
        await bridge.secrets.delete("gone")
        running().requests.reset()
        found = await bridge.secrets.get_many(["a", "missing", "gone", "b"])
        assert [getattr(found[name], "value", None) for name in ("a", "b")] == [canary.text("a"), canary.text("b")]
        for name, code in (("missing", "Forbidden.ResourceNotFound"), ("gone", "Rejected.ResourceInDeleteWindow")):
            error = found[name]
            assert isinstance(error, KMSError)
            assert (error.code, error.provider_codes, error.operation) == (Code.NOT_FOUND, (code,), "secrets.get")
        assert [seen.operation for seen in running().requests] == ["BatchGetSecretValue"]

    async def test_a_refusal_says_which_right_is_missing(self, bridge: BridgeView) -> None:
        """By a policy that denies, or by none that allows; who it was, and the encoded message, are private."""
        running().configure(denied=["GetSecretValue"])
        with refused(Code.ACCESS_DENIED) as info:
            await bridge.secrets.get("some/name")
        said = {field.path: field.reason for field in info.value.fields}
        assert (said["AuthAction"], said["NoPermissionType"]) == ("kms:GetSecretValue", "ImplicitDeny")
        for private in ("1000000000000001", "200000000000000001", "AQFohtp4"):
            assert private not in info.value.details()

    async def test_who_may_read_one_by_one_reads_many(self, bridge: BridgeView, canary: Canary) -> None:
        """The right to read several at once is another."""
        for name in ("a", "b"):
            await bridge.secrets.set(name, canary.text(name))
        running().configure(denied=["BatchGetSecretValue"])
        found = await bridge.secrets.get_many(["a", "missing", "b"])
        assert [getattr(found[name], "value", None) for name in ("a", "b")] == [canary.text("a"), canary.text("b")]
        assert isinstance(found["missing"], NotFoundError)
        running().configure(denied=["BatchGetSecretValue", "GetSecretValue"])
        found = await bridge.secrets.get_many(["a", "b"])
        assert [getattr(found[name], "code", None) for name in ("a", "b")] == [Code.ACCESS_DENIED] * 2

    @pytest.mark.parametrize("absent", [{}, {"SecretValues": None, "Errors": None}])
    async def test_a_list_of_a_batch_that_is_empty_may_be_missing(
        self, bridge: BridgeView, absent: Mapping[str, None]
    ) -> None:
        """All are accounted for by the other; an error needs no words."""
        missing = [{"SecretName": name, "Code": "Forbidden.ResourceNotFound", "HttpStatus": 404} for name in "ab"]
        values = [{**_GOOD, "SecretName": name} for name in "ab"]
        for body in ({"SecretValues": values}, {"Errors": missing}):
            answer = json.dumps({"RequestId": "r", **absent, **body}).encode()
            running().fail("BatchGetSecretValue", Answer(200, (("Content-Type", "application/json"),), answer))
            found = await bridge.secrets.get_many(["a", "b"])
            kinds = (Secret,) * 2 if "SecretValues" in body else (NotFoundError,) * 2
            assert tuple(type(found[name]) for name in "ab") == kinds

    @pytest.mark.parametrize("kind", BATCHES)
    async def test_a_batch_must_be_about_what_was_asked_for(self, bridge: BridgeView, kind: str) -> None:
        """Else nothing of it counts."""
        body = json.dumps({"RequestId": "r", "SecretValues": [], "Errors": [], **BATCHES[kind]}).encode()
        running().fail("BatchGetSecretValue", Answer(200, (("Content-Type", "application/json"),), body), times=None)
        found = await bridge.secrets.get_many(["a", "b"])
        assert [getattr(found[name], "code", None) for name in ("a", "b")] == [Code.INTERNAL_ERROR] * 2


class TestInstanceSecrets(Secrets):
    """Of an instance: written at the region's door, read at its own."""

    harness = Instance()

    async def test_a_secret_is_read_at_the_door_of_its_instance(self, bridge: BridgeView, canary: Canary) -> None:
        """Over a connection of its own; it is made at the region's."""
        await bridge.secrets.set("some/name", canary.text())
        assert (await bridge.secrets.get("some/name")).value == canary.text()
        by = {seen.operation: seen.connection for seen in running().requests}
        assert by["PutSecretValue"] == by["CreateSecret"] != by["GetSecretValue"]


class TestInstanceAloneSecrets(SecretsContract):
    """What only the region's door can do is not offered, and not done."""

    harness = InstanceAlone()


class TestInstanceAloneKeys(KeysContract):
    """The same of keys."""

    harness = InstanceAlone()


class TestKeys(KeysContract):
    """Keys, by their aliases."""

    harness = Region()

    async def test_a_half_made_key_that_another_gave_up_is_no_key(self, bridge: BridgeView) -> None:
        """Two have found it; one was too late for the alias and let it be deleted, and so is the other."""
        running().fail("CreateAlias", "Rejected.PendingDeletion", before_applying=False)
        with refused(Code.ALREADY_EXISTS):
            await bridge.keys.create("some/key", KeySpec.AES_256)


    async def test_a_version_is_made_once_in_seven_days(self, bridge: BridgeView) -> None:
        """The service has one code for this and for keys of which none is made; the driver tells them apart."""
        running().configure(version_days=7)
        await bridge.keys.create("some/key", KeySpec.EC_P256)
        with refused(Code.WRONG_STATE):
            await bridge.keys.rotate("some/key")
        running().clock.advance(days=8)
        made = await bridge.keys.rotate("some/key")
        assert (await bridge.keys.get("some/key")).version == made.version

    async def test_versions_that_the_service_makes_are_used(self, bridge: BridgeView, canary: Canary) -> None:
        """By a policy of the key: what the older one encrypted is decrypted."""
        first = await bridge.keys.create("some/key", KeySpec.AES_256)
        old = await bridge.keys.encrypt("some/key", canary.bytes())
        backend = running().backend
        assert isinstance(backend, AlibabaKms)
        (key,) = backend._account.keys.values()
        key.rotates_every, key.rotates = 7 * DAY, key.created + 7 * DAY
        running().clock.advance(days=8)
        new = await bridge.keys.encrypt("some/key", canary.bytes())
        assert old.version == first.version != new.version
        for sealed in (old, new):
            assert await bridge.keys.decrypt("some/key", sealed) == canary.bytes()
        assert [each.version async for each in bridge.keys.versions("some/key")] == [new.version, old.version]


class TestInstanceKeys(KeysContract):
    """Keys of an instance."""

    harness = Instance()

    async def test_a_key_is_used_at_the_door_of_its_instance(self, bridge: BridgeView, canary: Canary) -> None:
        """It is made at the region's."""
        await bridge.keys.create("some/key", KeySpec.AES_256)
        sealed = await bridge.keys.encrypt("some/key", canary.bytes())
        assert await bridge.keys.decrypt("some/key", sealed) == canary.bytes()
        count = running().requests.count
        assert [count(each) for each in ("CreateKey", "AdvanceEncrypt", "AdvanceDecrypt", "Encrypt")] == [1, 1, 1, 0]


class TestRetries(RetriesContract):
    """What may pass is tried again."""

    harness = FailingRegion()
