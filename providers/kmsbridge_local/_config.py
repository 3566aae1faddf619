"""Where a store is: URL and options to typed settings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass

from kmsbridge._config import check_names
from kmsbridge._errors import invalid
from kmsbridge._model import (
    Capabilities,
    KeyAbilities,
    KeySpec,
    SecretAbilities,
    SignatureAlgorithm,
    SpecAbilities,
)
from kmsbridge._names import IdentityNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

    from kmsbridge._driver import Location
    from kmsbridge._names import NativeNames
    from kmsbridge_local._store import Store

MAX_VALUE = 65_536
"""Bytes of a value."""
RECOVERY_DAYS = range(7, 91)
ROOT_KEY_SOURCES = ("environment", "keyring", "file")

_RSA_SIGNS = (
    SignatureAlgorithm.PS256,
    SignatureAlgorithm.PS384,
    SignatureAlgorithm.PS512,
    SignatureAlgorithm.RS256,
    SignatureAlgorithm.RS384,
    SignatureAlgorithm.RS512,
)
KEY_ABILITIES = KeyAbilities(
    create=True,
    get=True,
    list=True,
    versions=True,
    rotate=True,
    enable=True,
    disable=True,
    enable_version=True,
    schedule_deletion=True,
    deletion_days=True,
    cancel_deletion=True,
    public_key=True,
    sign=True,
    verify=True,
    encrypt=True,
    decrypt=True,
    wrap=True,
    unwrap=True,
    generate_data_key=True,
    context=True,
    tags=True,
    max_tags=15,
    min_deletion_days=RECOVERY_DAYS[0],
    max_deletion_days=RECOVERY_DAYS[-1],
    specs={
        KeySpec.AES_256: SpecAbilities(encrypt=True, context=True, max_plaintext=6_144),
        # What RSA-OAEP-256 leaves of the modulus: its size less 66 bytes (RFC 8017, 7.1.1).
        KeySpec.RSA_2048: SpecAbilities(encrypt=True, max_plaintext=190, signature_algorithms=_RSA_SIGNS),
        KeySpec.RSA_3072: SpecAbilities(encrypt=True, max_plaintext=318, signature_algorithms=_RSA_SIGNS),
        KeySpec.RSA_4096: SpecAbilities(encrypt=True, max_plaintext=446, signature_algorithms=_RSA_SIGNS),
        KeySpec.EC_P256: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES256,)),
        KeySpec.EC_P384: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES384,)),
        KeySpec.EC_P521: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES512,)),
    },
)
CAPABILITIES = Capabilities(
    keys=KEY_ABILITIES,
    secrets=SecretAbilities(
        get=True,
        set=True,
        list=True,
        versions=True,
        update=True,
        delete=True,
        deleted=True,
        recover=True,
        purge=True,
        get_version=True,
        if_absent=True,
        content_type=True,
        tags=True,
        expires_at=True,
        enabled=True,
        update_version=True,
        max_value=MAX_VALUE,
        max_binary=MAX_VALUE,
        max_tags=15,
        max_content_type=255,
    ),
)
NAMES = IdentityNames(r"[!-~](?:[ -~]{0,253}[!-~])?")
"""Printable ASCII, 1 to 255 characters, no blank at an end: no two names look alike."""

_OPTIONS = {
    "recovery_days": "7 to 90: how long a deleted secret can be recovered",
    "root_key": "environment, keyring or file: where the root key is held",
}
_MEMORY_OPTIONS = {"recovery_days": _OPTIONS["recovery_days"]}


class Memory:
    """What keeps one store in memory alive, and is its address."""

    def __init__(self) -> None:
        self.stores: dict[None, Store] = {}
        """Its store, once there is one."""


_NAMED: dict[str, Memory] = {}
"""The stores of ``memory:name``; they live as long as the process."""


@dataclass(frozen=True, slots=True)
class LocalSettings:
    """One store and how it is used."""

    place: str | Memory
    """The absolute path of the database file, or the store in memory."""
    recovery_days: int
    root_key: str | None
    """Where the root key must be held; None for environment or file, whichever has one."""
    makes_folder: bool = False
    """Whether a missing folder is made: for the path of ``local:`` alone, where none can be mistyped."""
    capabilities: Capabilities = CAPABILITIES
    secret_names: NativeNames = NAMES
    key_names: NativeNames = NAMES

    @property
    def address(self) -> Hashable:
        """The store, and what is the same for all who share an open driver of it."""
        return self.place, self.recovery_days

    @property
    def identity(self) -> Hashable:
        """Where the root key comes from."""
        return self.root_key


def configure(location: Location) -> LocalSettings:
    """Check a location. No I/O.

    Raises:
        InvalidRequestError: Something in it is unknown or wrong.
    """
    scheme, memory = location.scheme, location.scheme == "memory"
    if location.credential is not None:
        raise invalid(
            f"{scheme}: takes no credential",
            "credential",
            remediation="Leave credential= out: what opens a local store is its root key.",
        )
    if location.host:
        example = "memory:name" if memory else "local:/path/file.db or local:file.db"
        raise invalid(f"{scheme}: has no host", "url", remediation=f"Write {example}, without '//'.")
    check_names(location.parameters, {}, "URL parameter")
    check_names(location.options, _MEMORY_OPTIONS if memory else _OPTIONS, "option")
    days = location.options.get("recovery_days", RECOVERY_DAYS[-1])
    if isinstance(days, bool) or not isinstance(days, int) or days not in RECOVERY_DAYS:
        raise invalid(
            "recovery_days must be a whole number from 7 to 90",
            "options.recovery_days",
            remediation="Write a number of days without quotes, such as recovery_days = 30, or leave it out for 90.",
        )
    place = _memory(location.path) if memory else _file(location.path)
    return LocalSettings(place, days, _root_key(location.options), makes_folder=place == _file(""))


def _root_key(options: Mapping[str, Any]) -> str | None:
    source = options.get("root_key")
    if source is not None and source not in ROOT_KEY_SOURCES:
        raise invalid(
            f"root_key must be one of {', '.join(ROOT_KEY_SOURCES)}",
            "options.root_key",
            remediation='Write root_key = "file", "environment" or "keyring"; it says where the key is, never the key.',
        )
    return source


def _memory(name: str) -> Memory:
    if not name:
        return Memory()
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise invalid(
            "the name of a store in memory must be 1 to 64 letters, digits, '.', '_' or '-'",
            "url",
            remediation="Write memory:name, or memory: for a store of its own.",
        )
    return _NAMED.setdefault(name, Memory())


def _file(path: str) -> str:
    """The absolute path of a database file; a relative one starts at the working directory."""
    if not path:
        data = os.environ.get("XDG_DATA_HOME", "")
        if not os.path.isabs(data):  # as its specification has it
            data = os.path.join(os.path.expanduser("~"), ".local", "share")
        return os.path.join(data, "kmsbridge", "local.db")
    if os.path.basename(path) in ("", ".", ".."):
        raise invalid(
            "the path of a local store must end in the name of a file", "url", remediation="Write local:/path/file.db."
        )
    return os.path.abspath(os.path.expanduser(path) if path.startswith("~/") else path)
