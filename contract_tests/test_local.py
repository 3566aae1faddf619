"""The contract, with the embedded store: in a file and in memory."""

from __future__ import annotations

from contextlib import contextmanager
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest.mock import patch

from kmsbridge.contract import Backend, Harness, KeysContract, SecretsContract
from kmsbridge_local import _rows

if TYPE_CHECKING:
    from collections.abc import Iterator


class _File(Harness):
    page_size = 10  # to fill a page of the usual size is left to the store in memory

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        with TemporaryDirectory() as folder, patch.object(_rows, "PAGE", self.page_size):
            yield Backend(f"local:{folder}/store.db")


class _Memory(Harness):
    page_size = 100
    every_bit = True

    @contextmanager
    def backend(self) -> Iterator[Backend]:
        yield Backend(f"memory:{token_hex(8)}")


class TestLocalSecrets(SecretsContract):
    """A database file."""

    harness = _File()


class TestMemorySecrets(SecretsContract):
    """A database in memory."""

    harness = _Memory()


class TestLocalKeys(KeysContract):
    """A database file."""

    harness = _File()


class TestMemoryKeys(KeysContract):
    """A database in memory."""

    harness = _Memory()
