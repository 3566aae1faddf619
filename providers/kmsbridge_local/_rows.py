"""The rows of a secret: their columns, and how each is bound to where it stands.

A secret has a head row under a MAC, and one row per version whose box holds the value.
MAC and associated data cover every column that has a meaning, with table, format and
name, so a row that was edited, or copied from elsewhere, does not fit. The head's random
id is in its versions' data: rows of a purged secret do not fit a new one of its name.
"""

from __future__ import annotations

import hmac
from typing import NamedTuple

from kmsbridge._ciphertext import Broken
from kmsbridge_local._box import canonical, seal, subkey, unseal
from kmsbridge_local._errors import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge_local._database import Stored

_FORMAT = 1


class Keys:
    """The sub-keys of one root key in one store, each for one use."""

    def __init__(self, root_key: bytes, stored: Stored) -> None:
        self.stored = stored
        self.heads = subkey(root_key, stored.salt, "MAC of secrets")
        self.values = subkey(root_key, stored.salt, "values of secrets")


class Head(NamedTuple):
    """What is said of a secret as a whole. The fields are the columns of ``secrets``, in their order."""

    name: str
    id: str
    """32 hexadecimal digits, new for each secret, even of the same name."""
    latest: int
    """The ordinal of its latest version; they count from 1 without a gap."""
    deleted_at: int | None
    purge_at: int | None
    mac: bytes = b""

    def sealed(self, keys: Keys) -> Head:
        """The same with its MAC."""
        return self._replace(mac=self._mac(keys))

    def check(self, keys: Keys) -> None:
        """Refuse a row that this store did not write so.

        Raises:
            StoreError: The MAC does not fit.
        """
        try:
            if hmac.compare_digest(self._mac(keys), self.mac):
                return
        except (Broken, TypeError):
            pass  # a column of another type is one more way to be altered
        raise altered(self.name)

    def _mac(self, keys: Keys) -> bytes:
        fields = (_FORMAT, "secrets", self.name, self.id, self.latest, self.deleted_at, self.purge_at)
        return hmac.digest(keys.heads, canonical(fields), "sha256")


class Version(NamedTuple):
    """One version of a secret. The fields are the columns of ``secret_versions``, in their order."""

    secret: str
    """The id of its head."""
    ordinal: int
    version: str
    enabled: int
    kind: str
    """``text`` or ``bytes``: what the value was given as."""
    content_type: str | None
    tags: str
    """A JSON object."""
    created_at: int
    updated_at: int
    expires_at: int | None
    box: bytes = b""

    def sealed(self, keys: Keys, head: Head, value: bytes) -> Version:
        """The same with the value in its box."""
        return self._replace(box=seal(keys.values, value, self._associated(head)))

    def value(self, keys: Keys, head: Head) -> bytes:
        """The value; this is also what proves all other columns.

        Raises:
            StoreError: The row is not one that this store wrote for this secret.
        """
        try:
            return unseal(keys.values, self.box, self._associated(head))
        except (Broken, TypeError):
            pass  # raised below, with nothing hanging on it
        raise altered(head.name)

    def _associated(self, head: Head) -> bytes:
        return canonical((_FORMAT, "secret_versions", head.id, head.name, *self[:-1]))


def altered(name: object) -> StoreError:
    """What to raise for a row that does not fit."""
    return StoreError("RowAltered", f"a stored row of secret {ascii(name)[:110]} does not fit its seal")
