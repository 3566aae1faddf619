"""The emulator of Alibaba Cloud KMS as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from contract_tests.shared_emulator import SharedEmulator, surrounded
from kmsbridge_alibaba_kms import _client_key
from kmsbridge_alibaba_kms.emulator import AlibabaKms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kmsbridge.emulation import Emulator

shared = SharedEmulator(AlibabaKms)
running, authority, emptied = shared.running, shared.authority, shared.emptied


def url(port: int | None = None, ca: str | None = None) -> str:
    """The door of the region; of this emulator, if no other is said."""
    port = running().port if port is None else port
    return f"alibaba-kms://cn-hangzhou?endpoint=localhost:{port}&ca={ca or authority()}"


INSTANCE = "kst-emulator"


def instance_url(port: int | None = None, ca: str | None = None) -> str:
    """The door of an instance alone: without an AccessKey."""
    host = f"{INSTANCE}.cryptoservice.localhost:{running().port if port is None else port}"
    return f"alibaba-kms://cn-hangzhou?instance={INSTANCE}&instance_endpoint={host}&instance_ca={ca or authority()}"


def both_url(port: int | None = None, ca: str | None = None) -> str:
    """The door of an instance beside the region's: there its keys are made, and used at its own."""
    return f"{url(port, ca)}&{instance_url(port, ca).partition('?')[2]}"


_opened = cache(_client_key._private)
"""To open a client key checks it, which takes longer than most tests: here each is opened once."""


@contextmanager
def admitted(emulator: Emulator | None = None) -> Iterator[None]:
    """The client key of the instance in the environment, and its name resolved."""
    backend = (emulator or running()).backend
    assert isinstance(backend, AlibabaKms)
    client_key = surrounded({"KMSBRIDGE_CLIENT_KEY": backend.access_point.client_key})
    with client_key, patch.object(_client_key, "_private", _opened):
        yield


@cache
def credential() -> object:
    """The AccessKey of its account; what comes from the environment is kept for the whole process."""
    provider: Any = import_module("alibabacloud_credentials.provider")
    key = AlibabaKms.access_key
    return provider.StaticAKCredentialsProvider(access_key_id=key.id, access_key_secret=key.secret)
