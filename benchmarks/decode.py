"""From a raw answer to a raised and caught error. Target: 6 µs."""

from __future__ import annotations

import json
from functools import partial
from timeit import Timer

import kmsbridge
from kmsbridge._decode import Answer, Decoder, Rule
from kmsbridge._errors import Code

ROUNDS = 7
CALLS = 20_000

HEADERS = [
    ("Content-Type", "application/json; charset=utf-8"),
    ("Cache-Control", "no-cache"),
    ("x-ms-request-id", "5f2c1c1e-6d0b-4c38-9f0b-2b3c4d5e6f70"),
    ("Retry-After", "2"),
]
RULES = [
    Rule("Forbidden", Code.ACCESS_DENIED),
    Rule("KeyOperationForbidden", Code.ACCESS_DENIED, under="Forbidden"),
    Rule("ForbiddenByFirewall", Code.NETWORK_FORBIDDEN, under="Forbidden"),
    Rule("SecretNotFound", Code.NOT_FOUND),
    Rule("Throttled", Code.RATE_LIMITED),
]


def answer(status: int, *codes: str) -> Answer:
    """An answer with nested error codes, the outermost first."""
    error: dict[str, object] = {}
    for code in reversed(codes):
        inner = {"innererror": error} if error else {}
        error = {"code": code, "message": "A sentence of the vendor's, of the usual length.", **inner}
    return Answer(status, HEADERS, json.dumps({"error": error}).encode())


CASES = {
    "404, one code": answer(404, "SecretNotFound"),
    "403, a code inside": answer(403, "Forbidden", "ForbiddenByFirewall"),
    "429, Retry-After": answer(429, "Throttled"),
    "500, unknown code": answer(500, "Surprise"),
    "502, a page of HTML": Answer(502, HEADERS, b"<html><body>Bad Gateway</body></html>"),
}


def main() -> None:
    """Print microseconds for each kind of answer, beside parsing its JSON alone."""
    decoder = Decoder("benchmark", RULES)

    def raised(case: Answer) -> None:
        try:
            raise decoder.decode(case, operation="secrets.get")
        except kmsbridge.KMSError:
            pass

    print(f"{'raw answer to caught error':28} {'us':>6} {'json alone':>11} {'ratio':>6}")
    for name, case in CASES.items():
        whole = best(Timer(partial(raised, case)))
        alone = best(Timer(case.json))
        print(f"{name:28} {whole:6.2f} {alone:11.2f} {whole / alone:6.1f}")


def best(timer: Timer) -> float:
    """The fastest of a few rounds, in microseconds a call."""
    return min(timer.repeat(ROUNDS, CALLS)) / CALLS * 1e6


main()
