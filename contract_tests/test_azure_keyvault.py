"""The contract, with Azure Key Vault and Managed HSM: the real SDK against the emulator."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from contract_tests.keyvault_emulator import emptied, shared, url
from contract_tests.shared_emulator import FailingEmulator
from kmsbridge.contract import (
    Backend,
    Failing,
    Harness,
    KeysContract,
    RetriesContract,
    SecretsContract,
)
from kmsbridge_azure_keyvault._abilities import MANAGED_HSM, VAULT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities
    from kmsbridge.emulation._recorder import Seen


class Vault(Harness):
    """One vault, emptied for each case.

    Its clock goes on by a second with each write: a vault tells the order of versions by whole seconds.
    """

    native_name = "native---name"
    creates_once = False

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """The vault at localhost."""
        with emptied(write_seconds=1):
            yield Backend(url())

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return VAULT


class FailingVault(Vault, FailingEmulator):
    """The same vault, made to fail."""

    shared = shared
    errors: ClassVar = {
        Failing.UNAVAILABLE: "ServiceUnavailable",
        Failing.THROTTLED: "ThrottledRetryAfter",
        Failing.DENIED: "ForbiddenByRbac",
    }

    def counts(self, seen: Seen) -> bool:
        """Challenges and tokens are not."""
        return seen.operation not in ("", "Challenge", "Token")


class ManagedHsm(Vault):
    """One Managed HSM."""

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """Under a name of its own, by which it is known for an HSM."""
        with emptied(write_seconds=1):
            yield Backend(url("some-hsm.managedhsm.localhost"))

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return MANAGED_HSM


class TestSecrets(SecretsContract):
    """Secrets in a vault."""

    harness = Vault()


class TestKeys(KeysContract):
    """Keys in a vault."""

    harness = Vault()


class TestHsmSecrets(SecretsContract):
    """An HSM has none, and says so."""

    harness = ManagedHsm()


class TestHsmKeys(KeysContract):
    """Keys in a Managed HSM: AES keys too, which bind a context."""

    harness = ManagedHsm()


class TestRetries(RetriesContract):
    """What may pass is tried again."""

    harness = FailingVault()
