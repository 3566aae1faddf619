"""The contract, with ScaiVault: the driver against the emulator, with a personal token and as a client."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar
from unittest.mock import patch

from contract_tests.scaivault_emulator import emptied, running, shared, url
from contract_tests.shared_emulator import FailingEmulator
from kmsbridge import Code
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
from kmsbridge_scaivault import _secrets
from kmsbridge_scaivault._abilities import ABILITIES
from kmsbridge_scaivault.emulator import ScaiVault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities

KEPT = 10
"""Versions of a secret, where the service is not told otherwise."""


class Tenant(Harness):
    """The tenant of a personal token, emptied for each case."""

    page_size = 10  # fewer than the driver asks for, and as good to see a second page
    native_name = "native_name"

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """By its token."""
        with emptied(), patch.object(_secrets, "PAGE", self.page_size):
            yield Backend(url(), ScaiVault.token)

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return ABILITIES


class FailingTenant(Tenant, FailingEmulator):
    """The tenant, made to fail."""

    shared = shared
    errors: ClassVar = {
        Failing.UNAVAILABLE: "service_unavailable",
        Failing.THROTTLED: "rate_limited",
        Failing.DENIED: "access_denied",
    }


class TestSecrets(SecretsContract):
    """Secrets of a tenant."""

    harness = Tenant()

    async def test_versions_go_over_more_than_one_page(self, bridge: BridgeView, canary: Canary) -> None:
        """They cannot: the service keeps 10, which is less than a page, and drops the oldest."""
        written = [(await bridge.secrets.set("some/name", canary.text())).version for _ in range(KEPT + 1)]
        listed = [info.version async for info in bridge.secrets.versions("some/name")]
        assert listed == written[:0:-1]

    async def test_names_that_are_addresses_of_the_service_are_used(self, bridge: BridgeView, canary: Canary) -> None:
        """Each is a secret of its own, beside those whose addresses they would have."""
        names = ["batch", "batch/metadata", "a", "a/versions", "versions", "a/batch"]
        for name in names:
            await bridge.secrets.set(name, canary.text(name))
        for name in names:
            assert (await bridge.secrets.get(name)).value == canary.text(name)
            assert len([info async for info in bridge.secrets.versions(name)]) == 1
        assert sorted([info.name async for info in bridge.secrets.list()]) == sorted(names)
        assert len(await bridge.secrets.get_many(names)) == len(names)

    async def test_what_is_deleted_is_held_and_can_be_read_by_nobody(self, bridge: BridgeView, canary: Canary) -> None:
        """Until its retention is over; then the name is free."""
        await bridge.secrets.set("some/name", canary.text())
        await bridge.secrets.delete("some/name")
        with refused(Code.DELETED_BUT_RECOVERABLE):
            await bridge.secrets.set("some/name", canary.text())
        running().clock.advance(days=31)
        assert (await bridge.secrets.set("some/name", canary.text())).version == "1"
        running().clock.reset()


class TestKeys(KeysContract):
    """There are none, and it says so."""

    harness = Tenant()


class TestRetries(RetriesContract):
    """What may pass is tried again."""

    harness = FailingTenant()
