"""The demo, with every backend that has an emulator."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from kmsbridge.cli import _app, _demo, _demo_cases

if TYPE_CHECKING:
    import pytest

CLOUDS = {"alibaba-kms", "azure-cosmos", "azure-keyvault", "scaivault"}
NO_KEYS = {"azure-cosmos", "scaivault"}


def test_each_cloud_does_what_it_claims(capsys: pytest.CaptureFixture[str]) -> None:
    """And its errors are those of the others; what it does not claim is refused, and no more."""
    before = dict(os.environ)
    assert _app.run(["demo", "--json"]) == 0
    demo = json.loads(capsys.readouterr().out)
    assert set(demo["backends"]) == CLOUDS | {"local", "memory"}
    assert demo["not_run"] == []
    assert os.environ == before
    for backend in CLOUDS:
        worked = {each["title"]: each["result"] for each in demo["worked"] if each["backend"] == backend}
        failed = {each["title"]: each["result"] for each in demo["mistakes"] if each["backend"] == backend}
        assert (worked.pop("application, first run"), worked.pop("application, second run")) == ("made", "found")
        assert list(worked) == [step.title for step in _demo_cases.STEPS]
        assert set(worked.values()) <= {"ok", "unsupported"}
        assert worked["set text"] == "ok"
        assert worked["seal and unseal"] == ("unsupported" if backend in NO_KEYS else "ok")
        assert list(failed) == [mistake.title for mistake in _demo_cases.MISTAKES]
        for mistake in _demo_cases.MISTAKES:
            assert failed[mistake.title] in (mistake.expected, "unsupported")
        assert failed["deleted, recoverable"] == "deleted_but_recoverable"
    assert [each["result"] for each in demo["incidents"]] == [each.expected for each in _demo_cases.INCIDENTS]


def test_a_cloud_whose_sdk_is_missing_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its emulator alone is of no use to the demo."""
    import kmsbridge_alibaba_kms
    import kmsbridge_azure_cosmos
    import kmsbridge_azure_keyvault
    import kmsbridge_scaivault

    async def missing(*_: object) -> object:
        raise ModuleNotFoundError("no SDK", name="sdk")

    for provider in (kmsbridge_alibaba_kms, kmsbridge_azure_cosmos, kmsbridge_azure_keyvault, kmsbridge_scaivault):
        monkeypatch.setattr(provider, "open", missing)
    monkeypatch.setattr("kmsbridge.cli._demo.STEPS", ())
    monkeypatch.setattr("kmsbridge.cli._demo.MISTAKES", ())
    assert _app.run(["demo", "--json"]) == 0
    demo = json.loads(capsys.readouterr().out)
    assert set(demo["not_run"]) == CLOUDS
    assert set(demo["backends"]) == {"local", "memory"}
    assert demo["incidents"] == []


def test_what_befalls_a_backend_is_decoded(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In words for people; an error that is not the expected one, or none, fails the demo."""
    revoked = _demo_cases.INCIDENTS[0]
    harmless = revoked._replace(title="nothing", settings={"key": "usable"})
    monkeypatch.setattr("kmsbridge.cli._demo.STEPS", ())
    monkeypatch.setattr("kmsbridge.cli._demo.MISTAKES", ())
    done = lambda profile, run: _demo.Result(run, profile, True, "", 0)  # noqa: E731
    monkeypatch.setattr("kmsbridge.cli._demo._application", done)
    monkeypatch.setattr("kmsbridge.cli._demo.INCIDENTS", (revoked, harmless))
    assert _app.run(["demo"]) != 0
    out = capsys.readouterr().out
    assert "azure-cosmos  key_access_revoked  customer        Give the account's identity get, wrap and unwrap" in out
    assert "nothing                                        azure-cosmos  FAILED: not_found" in out
