"""The contract, with Azure Cosmos DB: the real SDK against the emulator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from contract_tests.cosmos_emulator import by_token, emptied, shared, url
from contract_tests.shared_emulator import FailingEmulator
from kmsbridge.contract import Backend, Failing, RetriesContract, SecretsContract
from kmsbridge_azure_cosmos._abilities import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities
    from kmsbridge.emulation._recorder import Seen


class Container(FailingEmulator):
    """One container, emptied for each case; by the account's key."""

    page_size = 10
    native_name = "Native_Name"

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """The container that a deployment has made."""
        with emptied(items_per_page=self.page_size):
            yield Backend(url())

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return SECRETS

    shared = shared
    errors: ClassVar = {Failing.UNAVAILABLE: "503", Failing.THROTTLED: "429/3200", Failing.DENIED: "403/5302"}
    lost = ("GetDocument", "ExecuteBatch")

    def counts(self, seen: Seen) -> bool:
        """Documents are."""
        return "/docs" in seen.path


class ByToken(Container):
    """The same container, under Microsoft Entra."""

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """By tokens of the emulator's own directory."""
        with emptied():
            yield Backend(by_token())


class TestSecrets(SecretsContract):
    """Secrets in a container."""

    harness = Container()


class TestRetries(RetriesContract):
    """What may pass is tried again."""

    harness = ByToken()
