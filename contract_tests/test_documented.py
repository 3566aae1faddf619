"""Every documented code has its documented meaning, over the wire of its service and in both modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from contract_tests import alibaba_emulator, cosmos_emulator, keyvault_emulator, scaivault_emulator
from kmsbridge import KMSError, RetryPolicy, connect, connect_async
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge_scaivault.emulator import ScaiVault
from tests.documented import rows

if TYPE_CHECKING:
    from collections.abc import Callable


class Service(NamedTuple):
    """A backend with an emulator."""

    tests: Any
    credential: Callable[[], object | None]
    read: str
    """The request by which a secret is read."""


SERVICES = {
    "azure-keyvault": Service(keyvault_emulator, lambda: None, "GetSecret"),
    "azure-cosmos": Service(cosmos_emulator, lambda: None, "GetDocument"),
    "alibaba-kms": Service(alibaba_emulator, alibaba_emulator.credential, "GetSecretValue"),
    "scaivault": Service(scaivault_emulator, lambda: ScaiVault.token, "ReadSecret"),
}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("provider", SERVICES)
async def test_a_documented_code_has_its_meaning(monkeypatch: pytest.MonkeyPatch, provider: str, mode: str) -> None:
    """Each is what a read of a secret gets, which is tried once."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.001)
    service = SERVICES[provider]
    with service.tests.emptied() as emulator:
        make = connect if mode == "sync" else connect_async
        bridge = make(service.tests.url(), credential=service.credential(), retry=RetryPolicy(attempts=1))
        async with BridgeView(bridge, Witness(Canary())) as view:
            await view.secrets.set("a", "value")
            wrong = {}
            for row in (row for row in rows() if row.provider == provider):
                emulator.clear_failures()
                emulator.fail(service.read, row.answer(), times=None)
                with pytest.raises(KMSError) as caught:
                    await view.secrets.get("a", timeout=10)
                error = caught.value
                found = (error.category, error.code, error.retry.action, error.outcome)
                if found != row.verdict:
                    wrong[row] = found
    assert wrong == {}
