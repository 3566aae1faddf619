"""What several test files need."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kmsbridge_scripted import Script


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[Script]:
    """A fresh script for the provider ``scripted:``, and no driver of it open before or after."""
    from kmsbridge import _registry

    monkeypatch.syspath_prepend(Path(__file__).parent)
    module = importlib.import_module("kmsbridge_scripted")
    monkeypatch.setattr(module, "SCRIPT", scripted := module.Script())
    monkeypatch.setattr(_registry, "IDLE_SECONDS", 0.05)
    yield scripted
    _registry.DRIVERS.close_process()
