"""To test a provider: every promise of kmsbridge as a test case, for any backend.

Fill in a `Harness`, subclass `SecretsContract` and `KeysContract`, and pytest collects the cases that apply
to what the provider claims; `RetriesContract` is for backends that can be made to fail.
See ``docs/testing-a-provider.md``. Needs pytest and pytest-asyncio (``pip install 'kmsbridge[pytest]'``).
"""

import pytest

pytest.register_assert_rewrite(
    "kmsbridge.contract._contract",
    "kmsbridge.contract._retries",
    "kmsbridge.contract._views",
    "kmsbridge.contract.keys",
    "kmsbridge.contract.secrets",
)

from kmsbridge.contract._contract import (  # noqa: E402 - after the rewriting of asserts
    Connect,
    Contract,
    Profile,
    needs,
    refused,
    without,
)
from kmsbridge.contract._harness import Backend, Harness  # noqa: E402
from kmsbridge.contract._retries import Failing, FailingHarness, RetriesContract  # noqa: E402
from kmsbridge.contract._views import BridgeView, KeysView, Mode, SecretsView  # noqa: E402
from kmsbridge.contract._witness import Canary, Witness  # noqa: E402
from kmsbridge.contract.keys import KeysContract  # noqa: E402
from kmsbridge.contract.secrets import SecretsContract  # noqa: E402

__all__ = [
    "Backend",
    "BridgeView",
    "Canary",
    "Connect",
    "Contract",
    "Failing",
    "FailingHarness",
    "Harness",
    "KeysContract",
    "KeysView",
    "Mode",
    "Profile",
    "RetriesContract",
    "SecretsContract",
    "SecretsView",
    "Witness",
    "needs",
    "refused",
    "without",
]
