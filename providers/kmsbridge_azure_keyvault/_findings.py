"""What a vault's refusal does not say, and the driver has found out by one more look.

The answer stays the vault's own; its door says what was found.
"""

from __future__ import annotations

from kmsbridge._decode import Rule
from kmsbridge._errors import Code

VERSION = "version"
"""The item is there, and only the version that was named is not."""
DELETED = "deleted"
"""The key is not there, because it is deleted and can be recovered."""
DISABLED = "disabled"
"""All versions of the key are disabled."""
EXISTS = "exists"
"""The key that is to be made is there."""
KIND = "kind"
"""A key of this kind does not do this."""
SIZE = "size"
"""A key of this kind does not take as much."""

_ABSENT = ("SecretNotFound", "KeyNotFound", None)
_REFUSED = ("KeyOperationForbidden", "Forbidden", "BadParameter", None)
_FOUND = (
    (VERSION, _ABSENT, Rule(None, Code.VERSION_NOT_FOUND)),
    (DELETED, ("KeyNotFound", None), Rule(None, Code.PENDING_DELETION)),
    (DISABLED, (None,), Rule(None, Code.DISABLED)),
    (EXISTS, (None,), Rule(None, Code.ALREADY_EXISTS)),
    (KIND, _REFUSED, Rule(None, Code.UNSUPPORTED, sentence="a key of this kind does not do this",
                          remediation="Use a key of another kind; bridge.capabilities.keys.specs says which.")),
    (SIZE, _REFUSED, Rule(None, Code.PAYLOAD_TOO_LARGE, sentence="the plaintext is larger than the key encrypts",
                          remediation="Use seal, which takes any size.")),
)  # fmt: skip
FINDINGS = tuple(rule._replace(on=code, door=door) for door, codes, rule in _FOUND for code in codes)
"""To be tried before all other rules."""
