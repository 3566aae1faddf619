"""The contract, with the SDK of Azure Cosmos DB over an account in memory: no socket."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kmsbridge._decode import Answer, Phase
from kmsbridge.contract import Backend, Failing, FailingHarness, RetriesContract, SecretsContract
from kmsbridge_azure_cosmos._abilities import SECRETS
from tests.cosmos_account import Account, answered, in_memory, lost

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities


class Container(FailingHarness):
    """One container, new for each case."""

    page_size = 100
    native_name = "Native_Name"
    account: Account

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """An account in memory."""
        with in_memory() as self.account:
            yield Backend(self.account.url)

    def capabilities(self) -> Capabilities:
        """Known without an account."""
        return SECRETS

    def fail(self, how: Failing, times: int | None = None) -> None:
        """Requests for documents; in the place of the account, or after it."""
        left = [times]

        def due(path: str) -> bool:
            if "/docs" not in path or left[0] == 0:
                return False
            left[0] = None if left[0] is None else left[0] - 1
            return True

        broken = lost(Answer(phase=Phase.SENT, exception=ConnectionResetError()))
        answers: dict[Failing, Answer | Exception] = {
            Failing.UNAVAILABLE: answered(503, {"code": "ServiceUnavailable"}),
            Failing.THROTTLED: answered(429, {"code": "TooManyRequests"}, x_ms_substatus="3200"),
            Failing.DENIED: answered(403, {"code": "Forbidden"}, x_ms_substatus="5302"),
            Failing.RESET: broken,
        }
        if how is Failing.LOST:
            self.account.after = lambda _method, path: broken if due(path) else None
        else:
            self.account.before = lambda _method, path: answers[how] if due(path) else None

    def recover(self) -> None:
        """Answer as an account does."""
        self.account.before = lambda _method, _path: None
        self.account.after = lambda _method, _path: None

    def requests(self) -> int:
        """Of documents."""
        return sum("/docs" in path for _, path in self.account.requests)


class TestSecrets(SecretsContract):
    """Secrets in a container."""

    harness = Container()


class TestRetries(RetriesContract):
    """Retries of what a container refuses."""

    harness = Container()
