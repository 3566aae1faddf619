"""Settings for all tests: how many examples Hypothesis tries, and where RSA keys come from."""

import os
import threading
import time
from collections.abc import Callable
from itertools import count
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import settings

settings.register_profile("usual", max_examples=200, deadline=None)
settings.register_profile("long", max_examples=2_000, deadline=None)
settings.load_profile("long" if os.environ.get("KMSBRIDGE_LONG") == "1" else "usual")

RSA_KEYS = 4
"""How many RSA keys of one size a test process makes; then they come round again. To make one takes up to a second."""


def _rsa_stock(make: Callable[..., Any]) -> Callable[..., Any]:
    made: dict[tuple[int, int], list[Any]] = {}
    turns = count()

    def stocked(public_exponent: int, key_size: int, backend: Any = None) -> Any:
        keys = made.setdefault((public_exponent, key_size), [])
        if len(keys) < RSA_KEYS:
            keys.append(make(public_exponent, key_size, backend))
            return keys[-1]
        if threading.current_thread() is not threading.main_thread():
            time.sleep(0.02)  # that an event loop goes on meanwhile can still be seen
        return keys[next(turns) % RSA_KEYS]

    return stocked


if os.environ.get("KMSBRIDGE_LONG") != "1":
    rsa.generate_private_key = _rsa_stock(rsa.generate_private_key)
