"""Which account, database and container, and who asks: URL and options to typed settings."""

from __future__ import annotations

import base64
import os
import re
from contextlib import suppress
from dataclasses import dataclass, field

from kmsbridge._entra._login import LOGIN_OPTIONS, ca_file, login
from kmsbridge._errors import invalid
from kmsbridge._names import is_portable
from kmsbridge._options import Options
from kmsbridge_azure_cosmos._abilities import SECRETS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping

    from kmsbridge._driver import Location
    from kmsbridge._entra._login import Given, Login
    from kmsbridge._model import Capabilities
    from kmsbridge._names import NativeNames


class CosmosNames:
    """Almost any text: ``/`` becomes ``:``, and what an id may not hold is escaped when it is sent."""

    def encode(self, portable: str) -> str:
        """With ``:`` for ``/``."""
        return portable.replace("/", ":")

    def decode(self, native: str) -> str | None:
        """With ``/`` for ``:``, if that is a portable name."""
        portable = native.replace(":", "/")
        return portable if "/" not in native and is_portable(portable) else None

    def canonical(self, native: str) -> str | None:
        """Unchanged: letters, digits and what a path need not escape; at most 255 characters."""
        return native if re.fullmatch(r"[A-Za-z0-9_.~:@!$'()*,;=+-]{1,255}", native) else None


NAMES = CosmosNames()

_OPTIONS = {
    **LOGIN_OPTIONS,
    "key": "the account's key, from the environment: ${COSMOS_KEY}; without it Microsoft Entra gives tokens",
    "create": "true creates the database and the container where they are not there",
    "recovery_days": "1 to 90: how long what is deleted can be recovered; 90 if not said",
}


@dataclass(frozen=True, slots=True, repr=False)
class AccountKey:
    """A key of the account."""

    key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CosmosSettings:
    """One container of one account, and who asks."""

    url: str
    """``https://`` and the host, with the port if there is one."""
    database: str
    container: str
    identity: Login | Given | AccountKey = field(repr=False)
    ca: str | None
    create: bool
    recovery_days: int
    capabilities: Capabilities = SECRETS
    secret_names: NativeNames = NAMES
    key_names: NativeNames = NAMES

    @property
    def address(self) -> Hashable:
        """The container, and what is the same for all who share connections to it."""
        return self.url, self.database, self.container, self.ca, self.create, self.recovery_days


_CLOUDS: Mapping[str, str | None] = {
    "documents.azure.com": None,
    "documents.azure.cn": "https://login.chinacloudapi.cn",
    "documents.azure.us": "https://login.microsoftonline.us",
}
"""What the addresses of accounts end in, and the token service of that cloud; None is azure-identity's choice."""
_ACCOUNT = r"[a-z0-9](?:-?[a-z0-9]){2,43}"
_PART = re.compile(r"[A-Za-z0-9_.-]{1,255}")
_HINT = "Write azure-cosmos://<account>/<database>/<container>."


def configure(location: Location) -> CosmosSettings:
    """Check a location. No I/O.

    Raises:
        InvalidRequestError: Something in it is unknown or wrong.
    """
    url, authority = _host(location.host.lower() if location.host.isascii() else "")
    parts = location.path.strip("/").split("/")
    if len(parts) != 2 or not all(_PART.fullmatch(part) and part not in (".", "..") for part in parts):
        raise invalid("the URL of an account names one database and one container", "url", remediation=_HINT)
    options = Options(location, _OPTIONS)
    days = options.text("recovery_days") or "90"
    if not re.fullmatch(r"[1-9][0-9]?", days) or int(days) > 90:
        raise options.wrong("recovery_days", 'must be text such as "30"')
    return CosmosSettings(
        url,
        parts[0],
        parts[1],
        _identity(options, location, authority),
        ca_file(options),
        options.flag("create", default=False),
        int(days),
    )


def _host(host: str) -> tuple[str, str | None]:
    if re.fullmatch(r"(?:localhost|127\.0\.0\.1)(?::[1-9][0-9]{0,4})?", host):
        return f"https://{host}", None
    name, dot, suffix = host.partition(".")
    if not re.fullmatch(_ACCOUNT, name):
        message = "the name of an account has 3 to 44 lower-case letters, digits and single hyphens"
        raise invalid(message, "url", remediation=_HINT)
    if not dot:
        return f"https://{name}.documents.azure.com", None
    if suffix not in _CLOUDS:
        known = ", ".join(f"<account>.{known}" for known in _CLOUDS)
        message = "this is no host of an account"
        raise invalid(message, "url", remediation=f"Hosts: {known}; for emulators localhost:<port>.")
    return f"https://{host}", _CLOUDS[suffix]


def _identity(options: Options, location: Location, authority: str | None) -> Login | Given | AccountKey:
    key = location.credential if isinstance(location.credential, str) else None
    if key is not None and "key" in options:
        raise invalid("the account's key is given twice", "options.key", remediation="Say it once.")
    if key is None and location.credential is None:
        key = options.text("key")
        if key is None and not any(name in options for name in ("credential", "client_id", "tenant_id", "authority")):
            key = os.environ.get("AZURE_COSMOS_KEY") or None
    if key is None:
        return login(options, location.credential, authority=authority)
    if "credential" in options:
        message = "a key and a credential are two ways to say who asks"
        raise invalid(message, "options.key", remediation="Leave one of them out.")
    raw = b""
    with suppress(ValueError):  # raised below: the decoder's own exception may carry the key
        raw = base64.b64decode(key, validate=True)
    if len(raw) < 16:
        raise invalid("the account's key is no Base64", "options.key", remediation="Copy the whole key.")
    return AccountKey(key)
