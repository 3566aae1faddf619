"""What several test files need."""

from __future__ import annotations

import importlib
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kmsbridge_scripted import Script


class FakeTime:
    """Time that passes only by waiting, which is over at once."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        """Let so much of it pass."""
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Programs that a test starts can be interrupted, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def fake_time(monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The time of both runtimes; retries wait as long as they may."""
    from kmsbridge import _retry, _runtime

    fake = FakeTime()

    async def sleep(_: object, seconds: float) -> None:
        fake.sleep(seconds)

    for runtime in (_runtime.BlockingRuntime, _runtime.AsyncioRuntime):
        monkeypatch.setattr(runtime, "now", staticmethod(lambda: fake.now))
        monkeypatch.setattr(runtime, "sleep", sleep)
    monkeypatch.setattr(_retry, "jitter", lambda seconds: seconds)
    return fake


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """A fresh script for the provider ``scripted:``, and no driver of it open before or after."""
    from kmsbridge import _registry, _retry

    monkeypatch.syspath_prepend(Path(__file__).parent)
    module = importlib.import_module("kmsbridge_scripted")
    monkeypatch.setattr(module, "SCRIPT", scripted := module.Script())
    monkeypatch.setattr(_registry, "IDLE_SECONDS", 0.05)
    _retry.budget_of.cache_clear()
    yield scripted
    _registry.DRIVERS.close_process()
