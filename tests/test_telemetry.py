"""The ready-made hooks: what they tell, and what they do not."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.metrics import Meter, MeterProvider, NoOpMeterProvider
from opentelemetry.trace import NonRecordingSpan, NoOpTracerProvider, SpanKind, StatusCode, TracerProvider

import kmsbridge
from kmsbridge import TAXONOMY, Code, KMSError, RetryAction
from kmsbridge._decode import Answer, Refused
from kmsbridge.telemetry import LogEvents, OpenTelemetry

if TYPE_CHECKING:
    from tests.conftest import FakeTime
    from tests.kmsbridge_scripted import Script

CANARY = "c4nary"
NAME = "billing/db-password"
PAGE = Path(__file__).parent.parent / "docs" / "retries.md"


class Instrument:
    """A counter or a histogram that keeps what it is given."""

    def __init__(self, name: str, unit: str, bounds: tuple[float, ...]) -> None:
        self.name, self.unit, self.bounds = name, unit, bounds
        self.seen: list[tuple[float, dict[str, Any]]] = []

    def add(self, amount: float, attributes: dict[str, Any]) -> None:
        """As a counter."""
        self.seen.append((amount, dict(attributes)))

    record = add


class Meters(MeterProvider):
    """Keeps all instruments."""

    def __init__(self) -> None:
        self.made: list[Instrument] = []

    def get_meter(self, *arguments: Any, **options: Any) -> Meter:
        """One that makes what is kept."""
        meter: Any = NoOpMeterProvider().get_meter(*arguments, **options)

        def make(
            name: str, unit: str = "", explicit_bucket_boundaries_advisory: tuple[float, ...] = (), **_: Any
        ) -> Instrument:
            self.made.append(Instrument(name, unit, explicit_bucket_boundaries_advisory))
            return self.made[-1]

        meter.create_histogram = meter.create_counter = make
        found: Meter = meter
        return found


class Span(NonRecordingSpan):
    """A span that keeps what it is told."""

    def __init__(self, name: str, options: dict[str, Any]) -> None:
        super().__init__(NoOpTracerProvider().get_tracer("x").start_span("x").get_span_context())
        self.name, self.options = name, options
        self.events: list[tuple[str, dict[str, Any], int]] = []
        self.status: tuple[object, ...] = ()
        self.ended: int | None = None

    def add_event(self, name: str, attributes: Any = None, timestamp: int | None = None) -> None:
        """Kept."""
        self.events.append((name, dict(attributes), timestamp or 0))

    def set_status(self, status: Any, description: str | None = None) -> None:
        """Kept."""
        self.status = (status, description)

    def end(self, end_time: int | None = None) -> None:
        """Kept."""
        self.ended = end_time


class Spans(TracerProvider):
    """Keeps all spans."""

    def __init__(self) -> None:
        self.made: list[Span] = []

    def get_tracer(self, *arguments: Any, **options: Any) -> Any:
        """One that makes what is kept."""
        tracer: Any = NoOpTracerProvider().get_tracer(*arguments, **options)

        def start(name: str, **options: Any) -> Span:
            self.made.append(Span(name, options))
            return self.made[-1]

        tracer.start_span = start
        return tracer


def two_calls(script: Script, hook: Any) -> KMSError:
    """One that succeeds, one that fails three times; the error of the second."""

    async def down(*_: object) -> None:
        raise Refused(Answer(503, (("x-ms-request-id", "id-1"),)))

    script.on["set"] = down
    with kmsbridge.connect("scripted://a", on_event=hook) as bridge:
        bridge.secrets.get(NAME)
        with pytest.raises(KMSError) as caught:
            bridge.secrets.set(NAME, CANARY)
    return caught.value


def test_calls_are_logged(script: Script, fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """A success at DEBUG, what failed at INFO and WARNING; structured logs get the same as data."""
    del fake_time
    caplog.set_level(logging.DEBUG, "kmsbridge")
    two_calls(script, LogEvents())
    told = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "kmsbridge"]
    assert [level for level, _ in told] == ["DEBUG", "INFO", "INFO", "INFO", "WARNING"]
    assert re.fullmatch(r"scripted secrets\.get succeeded after \d+\.\d{3} s, requests so far: 1", told[0][1])
    assert told[2][1].startswith("scripted attempt 2 of secrets.set failed: service_unavailable after ")
    assert told[4][1].startswith("scripted secrets.set failed: service_unavailable after ")
    record: Any = caplog.records[-1]
    assert record.kmsbridge["code"] == "service_unavailable"
    assert record.kmsbridge["attempts"] == 3
    everything = json.dumps([vars(each) for each in caplog.records], default=repr)
    assert NAME not in everything
    assert CANARY not in everything


def test_another_logger_may_be_told(script: Script, fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """And its level decides."""
    del fake_time
    logger = logging.getLogger("app.vault")
    caplog.set_level(logging.WARNING, "app.vault")
    two_calls(script, LogEvents(logger))
    assert [record.levelname for record in caplog.records if record.name == "app.vault"] == ["WARNING"]


@pytest.mark.parametrize("names", [False, True])
def test_calls_become_spans_and_metrics(script: Script, fake_time: FakeTime, names: bool) -> None:
    """A client span with the times of the call, an event for each failed attempt; a duration and a count."""
    del fake_time
    spans, meters = Spans(), Meters()
    error = two_calls(script, OpenTelemetry(tracer_provider=spans, meter_provider=meters, names=names))
    good, bad = spans.made
    assert (good.name, bad.name) == ("secrets.get", "secrets.set")
    assert good.options["kind"] is SpanKind.CLIENT
    assert (good.events, good.status) == ([], ())
    assert bad.status == (StatusCode.ERROR, None)
    told = bad.options["attributes"]
    assert (told["error.type"], told["kmsbridge.attempts"], told["kmsbridge.request_id.x-ms-request-id"]) == (
        "service_unavailable", 3, "id-1",
    )
    assert told.get("kmsbridge.resource.name") == (NAME if names else None)
    assert bad.ended is not None
    assert (bad.ended - bad.options["start_time"]) / 1e9 == pytest.approx(error.elapsed, abs=1e-3)
    assert [each["kmsbridge.attempt"] for _, each, _ in bad.events] == [1, 2, 3]
    assert {name for name, _, _ in bad.events} == {"kmsbridge.attempt.failed"}
    assert bad.events[0][1]["http.response.status_code"] == 503
    assert bad.events[0][1]["kmsbridge.retry.action"] == "backoff"
    assert bad.options["start_time"] <= bad.events[0][2] <= bad.events[1][2] <= bad.ended + 1_000
    duration, attempts = meters.made
    assert (duration.name, duration.unit) == ("kmsbridge.client.operation.duration", "s")
    assert (attempts.name, attempts.unit) == ("kmsbridge.client.attempts", "{attempt}")
    assert list(duration.bounds) == sorted(duration.bounds)
    assert sum(bound < 1 for bound in duration.bounds) > 5  # they count seconds: most calls take less than one
    labels = {"kmsbridge.provider": "scripted", "kmsbridge.operation": "secrets.set"}
    assert attempts.seen[1] == (3, {**labels, "error.type": "service_unavailable"})
    assert [set(each) for _, each in duration.seen] == [set(labels), {*labels, "error.type"}]
    shown = repr([vars(each) for each in (*spans.made, *meters.made)])
    assert CANARY not in shown
    assert (NAME in shown) is names


def test_nothing_is_loaded_that_is_not_used() -> None:
    """Neither logging nor OpenTelemetry comes with ``import kmsbridge``."""
    code = "import sys, kmsbridge; print([name for name in ('logging', 'opentelemetry') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_page_of_retries_is_what_the_code_does() -> None:
    """Its table has every code that is tried again, how, and how often; and the policy's members."""
    page = PAGE.read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+?) \|$", page, re.MULTILINE)
    once = {RetryAction.REAUTHENTICATE, RetryAction.REFRESH, RetryAction.POLL}
    wanted = {}
    for code in Code:
        retry = TAXONOMY[code].retry
        often = "1 at most" if retry.limit == 1 or retry.action in once else "as the policy says"
        if retry.action is not RetryAction.NEVER:
            wanted[code.value] = (retry.action.value, often)
    assert {code: (action, often) for code, action, often in rows if code in wanted} == wanted
    policy = kmsbridge.RetryPolicy()
    for name, default in policy._asdict().items():
        assert f"| `{name}` | {str(default).lower().removesuffix('.0')} |" in page


NAMES = {
    "Azure Key Vault": "azure_keyvault", "Azure Cosmos DB": "azure_cosmos", "Alibaba Cloud KMS": "alibaba_kms",
    "ScaiVault": "scaivault", "local": "local",
}  # fmt: skip


def test_the_page_names_what_is_sent_once() -> None:
    """For every provider there is."""
    rows = re.findall(r"^\| ([\w ]+) \| ((?:`\w+\.\w+`(?:, )?)+|as Key Vault) \|$", PAGE.read_text(), re.MULTILINE)
    told = {name: set(re.findall(r"`(.+?)`", operations)) for name, operations in rows if name in NAMES}
    told["local"] = told["Azure Key Vault"]
    providers = {path.name for path in (PAGE.parent.parent / "providers").glob("kmsbridge_*")}
    assert {f"kmsbridge_{name}" for name in NAMES.values()} == providers
    for name, provider in NAMES.items():
        assert told[name] == import_module(f"kmsbridge_{provider}._driver")._NOT_REPEATABLE, name


def test_the_programs_of_the_page_run() -> None:
    """Each by itself, as it stands."""
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        subprocess.run([sys.executable, "-W", "error", "-c", block], check=True, capture_output=True)
