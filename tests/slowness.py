"""How long a decoder takes for what was made to slow it down."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kmsbridge._decode import Answer, Decoder

LIMIT = 0.05 if os.environ.get("KMSBRIDGE_LONG") == "1" else 1.0
"""Seconds: as the law has it where time is measured, generous on a machine that others use too."""


def assert_quick(decoder: Decoder, answers: Iterable[Answer]) -> None:
    """Each is decoded within the limit, in the best of three tries, with its status kept."""
    for answer in answers:
        spent = []
        for _ in range(3):
            started = time.perf_counter()
            status = decoder.decode(answer).http_status
            spent.append(time.perf_counter() - started)
            assert status == answer.status
        assert min(spent) < LIMIT
