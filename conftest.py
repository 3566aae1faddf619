"""Settings for all tests: how many examples Hypothesis tries."""

import os

from hypothesis import settings

settings.register_profile("usual", max_examples=200, deadline=None)
settings.register_profile("long", max_examples=2_000, deadline=None)
settings.load_profile("long" if os.environ.get("KMSBRIDGE_LONG") == "1" else "usual")
