"""The emulator of Alibaba Cloud KMS as the tests of the driver use it: one for all, emptied for each."""

from __future__ import annotations

import atexit
import os
import tempfile
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from kmsbridge.emulation import Emulator
from kmsbridge_alibaba_kms.emulator import AlibabaKms

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def running() -> Emulator:
    """The emulator, started by the first who asks; it ends with the process."""
    emulator = Emulator(AlibabaKms()).start()
    atexit.register(emulator.stop)
    return emulator


@cache
def authority() -> str:
    """The file with the certificate that its clients trust."""
    handle, path = tempfile.mkstemp(suffix=".pem")
    os.close(handle)
    atexit.register(os.unlink, path)
    return running().write_ca(path)


@contextmanager
def emptied(**settings: Any) -> Iterator[Emulator]:
    """The emulator without state, set up as said, and its AccessKey in the environment."""
    emulator = running()
    emulator.reset()
    emulator.configure(**settings)
    with patch.dict(os.environ, emulator.backend.environment):
        yield emulator
    emulator.clear_failures()


def url() -> str:
    """Where to connect to."""
    return f"alibaba-kms://cn-hangzhou?credential=environment&endpoint=localhost:{running().port}&ca={authority()}"
