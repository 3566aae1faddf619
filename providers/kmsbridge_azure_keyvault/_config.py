"""Which vault, and who asks: URL and options to typed settings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import NamedTuple

from kmsbridge._config import check_names
from kmsbridge._errors import invalid
from kmsbridge._names import is_portable
from kmsbridge_azure_keyvault._abilities import MANAGED_HSM, VAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping
    from typing import Any

    from kmsbridge._driver import Location
    from kmsbridge._errors import InvalidRequestError
    from kmsbridge._model import Capabilities
    from kmsbridge._names import NativeNames

class KeyVaultNames:
    """Letters, digits and hyphens, in any case: ``/`` becomes ``--``."""

    def encode(self, portable: str) -> str:
        """At most 109 characters; 127 are allowed."""
        return portable.replace("/", "--")

    def decode(self, native: str) -> str | None:
        """With ``/`` for ``--``, if that is a portable name."""
        portable = native.replace("--", "/")
        return portable if is_portable(portable) else None

    def canonical(self, native: str) -> str | None:
        """In lower case: a vault finds a name whatever its case."""
        return native.lower() if re.fullmatch(r"[0-9A-Za-z-]{1,127}", native) else None


NAMES = KeyVaultNames()

# -- who asks ---------------------------------------------------------------------------

_IDENTITY_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "default": ("client_id",),
    "environment": (),
    "workload-identity": ("client_id", "tenant_id"),
    "managed-identity": ("client_id",),
    "cli": ("tenant_id",),
    "developer-cli": ("tenant_id",),
    "powershell": ("tenant_id",),
}
"""The credentials there are, and what else may be said of each."""
_OPTIONS = {
    "credential": f"{', '.join(_IDENTITY_OPTIONS)}: who asks for tokens",
    "client_id": "of the identity, where a machine has several",
    "tenant_id": "of the identity, where a login has several",
    "authority": "https address of the token service, for private clouds and emulators",
    "ca": "file of PEM certificates to trust instead of the system's",
    "verify_challenge": "false lets an emulator at localhost ask for tokens for another service",
}


class Login(NamedTuple):
    """Which of azure-identity's credentials, and with what."""

    kind: str
    client_id: str | None
    tenant_id: str | None
    authority: str | None
    """The address of the token service; None leaves it to azure-identity."""
    ca: str | None


class Given:
    """A credential of the caller's: the same for two bridges if it is the same object."""

    __slots__ = ("credential",)

    def __init__(self, credential: object) -> None:
        self.credential = credential

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.credential is self.credential

    def __hash__(self) -> int:
        return id(self.credential)


@dataclass(frozen=True, slots=True)
class VaultSettings:
    """One vault, or one Managed HSM, and who asks it."""

    url: str
    """``https://`` and the host, with the port if there is one."""
    identity: Login | Given
    ca: str | None
    verify_challenge: bool
    capabilities: Capabilities
    secret_names: NativeNames = NAMES
    key_names: NativeNames = NAMES

    @property
    def address(self) -> Hashable:
        """The vault, and what is the same for all who share connections to it."""
        return self.url, self.ca, self.verify_challenge

    @property
    def hsm(self) -> bool:
        """Whether it is a Managed HSM."""
        return self.capabilities is MANAGED_HSM


def configure(location: Location) -> VaultSettings:
    """Check a location. No I/O.

    Raises:
        InvalidRequestError: Something in it is unknown or wrong.
    """
    host, suffix, local = _host(location)
    given = _given(location)
    ca = _text(given, "ca")
    verify = _flag(given, "verify_challenge")
    if not verify and not local:
        raise invalid(
            "verify_challenge can be switched off for localhost only",
            "options.verify_challenge",
            remediation="Leave it out: a vault's own address passes the check.",
        )
    identity = _identity(location.credential, given, _CLOUDS.get(suffix), None if ca is None else os.path.abspath(ca))
    capabilities = MANAGED_HSM if suffix.startswith("managedhsm.") else VAULT
    return VaultSettings(f"https://{host}", identity, None if ca is None else os.path.abspath(ca), verify, capabilities)


# -- the address ------------------------------------------------------------------------

_CLOUDS: Mapping[str, str | None] = {
    "vault.azure.net": None,
    "managedhsm.azure.net": None,
    "vault.azure.cn": "https://login.chinacloudapi.cn",
    "managedhsm.azure.cn": "https://login.chinacloudapi.cn",
    "vault.usgovcloudapi.net": "https://login.microsoftonline.us",
    "managedhsm.usgovcloudapi.net": "https://login.microsoftonline.us",
}
"""What the addresses of vaults end in, and the token service of that cloud; None is azure-identity's choice."""
_NAME = r"(?=[a-z0-9-]{3,24}(?:\.|\Z))[a-z](?:-?[a-z0-9])*"
_LOCAL = re.compile(rf"(?:{_NAME}\.((?:vault|managedhsm)\.localhost)|(localhost))(?::[1-9][0-9]{{0,4}})?")
_HINT = "Write azure-keyvault://<vault>, or the whole host, such as my-vault.vault.azure.net."


def _host(location: Location) -> tuple[str, str, bool]:
    """The host with its port, what it ends in, and whether it is this machine."""
    host = location.host.lower() if location.host.isascii() else ""  # a letter beyond ASCII may become one of it
    if location.path not in ("", "/"):
        raise invalid("the URL of a vault has no path", "url", remediation=_HINT)
    if (local := _LOCAL.fullmatch(host)) is not None:
        return host, local[1] or local[2], True
    name, dot, suffix = host.partition(".")
    if not re.fullmatch(_NAME, name):
        raise invalid(
            "the name of a vault has 3 to 24 letters, digits and single hyphens, and starts with a letter",
            "url",
            remediation=_HINT,
        )
    if not dot:
        return f"{name}.vault.azure.net", "vault.azure.net", False
    if suffix not in _CLOUDS:
        known = ", ".join(f"<vault>.{known}" for known in _CLOUDS)
        raise invalid(
            "this is no host of a vault", "url", remediation=f"Hosts: {known}; for emulators localhost:<port>."
        )
    return host, suffix, False


# -- options ----------------------------------------------------------------------------


def _given(location: Location) -> Mapping[str, Any]:
    """Options and URL parameters, which are the same under one name."""
    check_names(location.parameters, _OPTIONS, "URL parameter")
    check_names(location.options, _OPTIONS, "option")
    if twice := sorted(location.parameters.keys() & location.options.keys()):
        raise invalid(
            f"{twice[0]} is both in the URL and in the options", f"options.{twice[0]}", remediation="Say it once."
        )
    return {**location.options, **location.parameters}


def _identity(
    credential: object | None, given: Mapping[str, Any], authority: str | None, ca: str | None
) -> Login | Given:
    if credential is not None:
        if said := [name for name in ("credential", "client_id", "tenant_id", "authority") if name in given]:
            raise invalid(
                f"{said[0]} has no meaning beside a credential that is given",
                f"options.{said[0]}",
                remediation="Leave out credential=, or that option.",
            )
        if not callable(getattr(credential, "get_token_info", getattr(credential, "get_token", None))):
            raise invalid(
                f"credential= must be a credential of azure-identity, not {type(credential).__name__}",
                "credential",
                remediation="Give an object that has get_token, such as DefaultAzureCredential().",
            )
        return Given(credential)
    kind = given.get("credential", "default")
    if not isinstance(kind, str) or kind not in _IDENTITY_OPTIONS:
        known = ", ".join(_IDENTITY_OPTIONS)
        raise invalid(f"credential must be one of {known}", "options.credential", remediation="Leave it out for any.")
    for name in ("client_id", "tenant_id"):
        if name in given and name not in _IDENTITY_OPTIONS[kind]:
            takes = ", ".join(_IDENTITY_OPTIONS[kind]) or "neither client_id nor tenant_id"
            raise invalid(
                f"the credential {kind} takes no {name}", f"options.{name}", remediation=f"It takes {takes}."
            )
    return Login(kind, _id(given, "client_id"), _id(given, "tenant_id"), _authority(given) or authority, ca)


def _authority(given: Mapping[str, Any]) -> str | None:
    authority = _text(given, "authority")
    if authority is None:
        return None
    if not re.fullmatch(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/adfs)?", authority):
        raise _wrong("authority", "must be https://<host>")
    return authority


def _id(given: Mapping[str, Any], name: str) -> str | None:
    value = _text(given, name)
    if value is not None and not re.fullmatch(r"[A-Za-z0-9.-]{1,128}", value):
        raise _wrong(name, "must be an id, such as 00000000-0000-0000-0000-000000000000")
    return value


def _text(given: Mapping[str, Any], name: str) -> str | None:
    value = given.get(name)
    if value is not None and (not isinstance(value, str) or not value or not value.isprintable()):
        raise _wrong(name, "must be text")
    return value


def _flag(given: Mapping[str, Any], name: str) -> bool:
    value = given.get(name, True)
    if isinstance(value, str):  # in a URL everything is text
        value = {"true": True, "false": False}.get(value)
    if not isinstance(value, bool):
        raise _wrong(name, "must be true or false")
    return value


def _wrong(name: str, why: str) -> InvalidRequestError:
    return invalid(f"{name} {why}", f"options.{name}", remediation=f"It is: {_OPTIONS[name]}.")
