"""The contract, with Azure Cosmos DB: the real SDK against the emulator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from contract_tests.cosmos_emulator import by_token, emptied, running, url
from kmsbridge.contract import Backend, Failing, FailingHarness, RetriesContract, SecretsContract
from kmsbridge.emulation import Reset
from kmsbridge_azure_cosmos._abilities import SECRETS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities


class Container(FailingHarness):
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

    def fail(self, how: Failing, times: int | None = None) -> None:
        """By documented errors, or below HTTP."""
        errors = {Failing.UNAVAILABLE: "503", Failing.THROTTLED: "429/3200", Failing.DENIED: "403/5302"}
        for operation in ("GetDocument", "ExecuteBatch") if how is Failing.LOST else ("*",):
            running().fail(operation, errors.get(how, Reset()), times=times, before_applying=how is not Failing.LOST)

    def recover(self) -> None:
        """Back to normal."""
        running().clear_failures()

    def requests(self) -> int:
        """For documents."""
        return sum("/docs" in seen.path for seen in running().requests)


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
