"""The contract, with Azure Key Vault: the real SDK against the emulator."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING
from unittest.mock import patch

import pytest

from kmsbridge.contract import Backend, Harness, KeysContract, SecretsContract
from kmsbridge.emulation import Emulator
from kmsbridge_azure_keyvault._config import VAULT
from kmsbridge_azure_keyvault.emulator import KeyVault

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge import Capabilities


@cache
def _running() -> tuple[Emulator, str]:
    """The emulator for all tests of this module, and the file of its authority."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    os.close(handle)
    emulator = Emulator(KeyVault()).start()
    return emulator, emulator.write_ca(path)


@pytest.fixture(scope="module", autouse=True)
def _stop() -> Iterator[None]:
    yield
    emulator, ca = _running()
    emulator.stop()
    os.unlink(ca)


class Vault(Harness):
    """One vault, emptied for each case."""

    native_name = "native---name"
    creates_once = False

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        """The clock goes on by a second with each write: a vault tells the order of versions by whole seconds."""
        emulator, ca = _running()
        emulator.reset()
        emulator.configure(write_seconds=1)
        with patch.dict(os.environ, emulator.backend.environment):
            yield Backend(url(emulator, ca))

    def capabilities(self) -> Capabilities:
        """Known without an emulator."""
        return VAULT


def url(emulator: Emulator, ca: str, host: str = "localhost") -> str:
    """Where to connect to."""
    options = f"ca={ca}&verify_challenge=false&authority={emulator.url}&credential=environment"
    return f"azure-keyvault://{host}:{emulator.port}?{options}"


class TestSecrets(SecretsContract):
    """Secrets in a vault."""

    harness = Vault()


class TestKeys(KeysContract):
    """Keys in a vault."""

    harness = Vault()
