"""Failures below HTTP, as azure-core and what is under it print them (facts: Python SDK error surface).

azure-core's own classes do not tell what was not sent: under asyncio a connection lost after
sending is a ServiceRequestError too.
"""

from __future__ import annotations

from kmsbridge._broken_connections import BROKEN_CONNECTIONS
from kmsbridge._decode import Rule
from kmsbridge._errors import Code, Outcome

_NOT_SENT, _UNKNOWN = Outcome.NOT_SENT, Outcome.UNKNOWN

# fmt: off
TRANSPORT: tuple[Rule, ...] = (
    # azure-core: BearerTokenCredentialPolicy and the challenge policy of azure-keyvault
    Rule(None, Code.INVALID_ARGUMENT, outcome=_NOT_SENT,
         says=r"authentication is not permitted for non.?TLS|URL must not contain backslashes",
         sentence="the address of the vault is not an https address", remediation="Use an https address."),
    Rule(None, Code.INVALID_ARGUMENT,
         says=r"challenge resource .{0,300}does not match|the challenge contains invalid scope|invalid challenge "
              r"(?:header|param)",
         sentence="the address asked for a token that is not for this service",
         remediation="Check the host: it must be a vault's own, under the domain of its cloud."),
    *BROKEN_CONNECTIONS,
    Rule(None, Code.NETWORK_ERROR, outcome=_UNKNOWN, says=r"\bServiceRequestError\b|max retries exceeded"),
)
"""Tried where no code and no other words say what happened."""
# fmt: on
