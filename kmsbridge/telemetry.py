"""Ready-made hooks for ``on_event=``: the log of the standard library, and OpenTelemetry.

    import kmsbridge
    from kmsbridge.telemetry import LogEvents, OpenTelemetry

    bridge = kmsbridge.connect(on_event=OpenTelemetry())

Neither shows a value. The name of an item is in a span only where `OpenTelemetry` was
asked for it, and never in a metric or a log record. Nothing here is loaded unless it is
imported.
"""

from __future__ import annotations

import logging
import time
from typing import Any

TYPE_CHECKING = False
if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from kmsbridge._errors import Attempt
    from kmsbridge._telemetry import Event

__all__ = ["LogEvents", "OpenTelemetry"]

NAMESPACE = "kmsbridge"
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60)
"""Bounds of the histogram: those that the conventions have for clients, and two for calls that wait.
By its own an SDK counts milliseconds, and would put nearly all calls in one."""


class LogEvents:
    """Logs calls: what succeeded at DEBUG, an attempt that failed at INFO, a call that failed at WARNING.

    The record's attribute ``kmsbridge`` holds the same as a dict, for structured logs.

    Args:
        logger: Where to; None for the logger ``kmsbridge``.
    """

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger(NAMESPACE)

    def __call__(self, event: Event) -> None:
        """Log one event."""
        if event.attempt is not None:
            if event.code is None:
                return  # the call's own event says it
            level, what = logging.INFO, f"attempt {event.attempt} of {event.operation}"
        else:
            level, what = logging.DEBUG if event.code is None else logging.WARNING, event.operation
        if not self._logger.isEnabledFor(level):
            return
        became = "succeeded" if event.code is None else f"failed: {event.code}"
        self._logger.log(
            level, "%s %s %s after %.3f s, requests so far: %d",
            event.provider, what, became, event.elapsed, event.attempts,
            extra={NAMESPACE: {
                "provider": event.provider,
                "operation": event.operation,
                "code": None if event.code is None else event.code.value,
                "attempt": event.attempt,
                "attempts": event.attempts,
                "elapsed": event.elapsed,
                "request_ids": dict(event.request_ids),
            }},
        )  # fmt: skip


class OpenTelemetry:
    """A client span and metrics for each call, by OpenTelemetry's semantic conventions.

    A span has the call's operation for a name, ``error.type`` where it failed, and an event
    for each attempt that failed. It is made when the call has ended, with the times of the
    call, under the span that is current there. Metrics: ``kmsbridge.client.operation.duration``
    (histogram, seconds) and ``kmsbridge.client.attempts`` (counter), by provider, operation
    and ``error.type``.

    Args:
        tracer_provider: None for the global one.
        meter_provider: None for the global one.
        names: Whether spans hold the names of secrets and keys.

    Raises:
        ModuleNotFoundError: opentelemetry-api is not installed; it comes with the extra ``otel``.
    """

    def __init__(
        self,
        *,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
        names: bool = False,
    ) -> None:
        from importlib.metadata import version

        from opentelemetry import metrics, trace

        ours = version(NAMESPACE)
        self.names = names
        self._trace = trace
        self._tracer = trace.get_tracer(NAMESPACE, ours, tracer_provider)
        meter = metrics.get_meter(NAMESPACE, ours, meter_provider)
        self._duration = meter.create_histogram(
            "kmsbridge.client.operation.duration", unit="s", description="How long calls take, retries included.",
            explicit_bucket_boundaries_advisory=SECONDS,
        )  # fmt: skip
        self._attempts = meter.create_counter(
            "kmsbridge.client.attempts", unit="{attempt}", description="Attempts made for calls."
        )

    def __call__(self, event: Event) -> None:
        """Record a call that has ended; its attempts are in it."""
        if event.attempt is not None:
            return
        attributes: dict[str, Any] = {"kmsbridge.provider": event.provider, "kmsbridge.operation": event.operation}
        if event.code is not None:
            attributes["error.type"] = event.code.value
        self._duration.record(event.elapsed, attributes)
        self._attempts.add(event.attempts, attributes)
        end = time.time_ns()
        start = end - int(event.elapsed * 1e9)
        span = self._tracer.start_span(
            event.operation, kind=self._trace.SpanKind.CLIENT, start_time=start,
            attributes={**attributes, **self._of_span(event)},
        )  # fmt: skip
        self._failed(span, event.history, start)
        if event.code is not None:
            span.set_status(self._trace.StatusCode.ERROR)  # why is in error.type
        span.end(end)

    def _of_span(self, event: Event) -> dict[str, Any]:
        """What only a span holds: it has too many values for a metric."""
        found: dict[str, Any] = {"kmsbridge.attempts": event.attempts}
        found.update({f"kmsbridge.request_id.{name}": value for name, value in event.request_ids.items()})
        if event.resource is not None and event.resource.name is not None:
            found["kmsbridge.resource.type"] = event.resource.type
            found["kmsbridge.resource.name"] = event.resource.name
        return found

    def _failed(self, span: Span, history: tuple[Attempt, ...], start: int) -> None:
        """An event for each attempt that failed, at the time it did."""
        at = start
        for number, attempt in enumerate(history, 1):
            at += int(attempt.elapsed * 1e9)
            told: dict[str, Any] = {"kmsbridge.attempt": number, "error.type": attempt.code.value}
            if attempt.http_status is not None:
                told["http.response.status_code"] = attempt.http_status
            if attempt.then is not None:
                told |= {"kmsbridge.retry.action": attempt.then.value, "kmsbridge.retry.delay": attempt.delay}
            span.add_event("kmsbridge.attempt.failed", told, at)
            at += int(attempt.delay * 1e9)
