"""Which vault, and who asks: URL and options to typed settings."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kmsbridge._entra._login import LOGIN_OPTIONS, ca_file, login
from kmsbridge._errors import invalid
from kmsbridge._names import is_portable
from kmsbridge._options import Options
from kmsbridge_azure_keyvault._abilities import MANAGED_HSM, VAULT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from kmsbridge._driver import Location
    from kmsbridge._entra._login import Given, Login
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

_OPTIONS = {
    **LOGIN_OPTIONS,
    "verify_challenge": "false lets an emulator at localhost ask for tokens for another service",
}


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
    options = Options(location, _OPTIONS)
    verify = options.flag("verify_challenge", default=True)
    if not verify and not local:
        raise invalid(
            "verify_challenge can be switched off for localhost only",
            "options.verify_challenge",
            remediation="Leave it out: a vault's own address passes the check.",
        )
    identity = login(options, location.credential, authority=_CLOUDS.get(suffix))
    capabilities = MANAGED_HSM if suffix.startswith("managedhsm.") else VAULT
    return VaultSettings(f"https://{host}", identity, ca_file(options), verify, capabilities)


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
