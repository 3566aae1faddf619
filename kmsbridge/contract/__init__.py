"""To test a provider: every promise of kmsbridge as a test case, for any backend.

Fill in a `Harness`, subclass `SecretsContract`, and pytest collects the cases that apply
to what the provider claims; see ``docs/testing-a-provider.md``. Needs pytest and
pytest-asyncio (``pip install 'kmsbridge[pytest]'``).
"""

import pytest

pytest.register_assert_rewrite(
    "kmsbridge.contract._contract",
    "kmsbridge.contract._views",
    "kmsbridge.contract.secrets",
)

from kmsbridge.contract._contract import Connect, Contract, needs, refused, without  # noqa: E402 - after the rewriting of asserts
from kmsbridge.contract._harness import Backend, Harness  # noqa: E402
from kmsbridge.contract._views import BridgeView, Mode, SecretsView  # noqa: E402
from kmsbridge.contract._witness import Canary, Witness  # noqa: E402
from kmsbridge.contract.secrets import SecretsContract  # noqa: E402

__all__ = [
    "Backend",
    "BridgeView",
    "Canary",
    "Connect",
    "Contract",
    "Harness",
    "Mode",
    "SecretsContract",
    "SecretsView",
    "Witness",
    "needs",
    "refused",
    "without",
]
