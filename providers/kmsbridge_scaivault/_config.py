"""Which ScaiVault, which tenant, and who asks: URL and options to typed settings."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from kmsbridge._config import has_port_of_tcp
from kmsbridge._errors import invalid
from kmsbridge._names import is_portable
from kmsbridge._options import Options
from kmsbridge_scaivault._abilities import ABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Hashable

    from kmsbridge._driver import Location
    from kmsbridge._model import Capabilities
    from kmsbridge._names import NativeNames

VERSIONS = "versions"
"""The last segment of the address of a secret's versions."""
BATCH = "batch"
"""The first segment of the addresses that read many secrets at once."""


class ScaiVaultNames:
    """Paths, written as portable names are, but where the service's own addresses are in the way.

    A secret ``batch/...`` or ``.../versions`` would have the address of something else. Its
    segment gets a ``_`` before it, which no portable name has.
    """

    def encode(self, portable: str) -> str:
        """Unchanged, but ``_batch`` at the beginning and ``_versions`` at the end."""
        parts = portable.split("/")
        if parts[0] == BATCH:
            parts[0] = f"_{BATCH}"
        if parts[-1] == VERSIONS:
            parts[-1] = f"_{VERSIONS}"
        return "/".join(parts)

    def decode(self, native: str) -> str | None:
        """The name that is encoded to this one."""
        parts = native.split("/")
        if parts[0] == f"_{BATCH}":
            parts[0] = BATCH
        if parts[-1] == f"_{VERSIONS}":
            parts[-1] = VERSIONS
        portable = "/".join(parts)
        return portable if is_portable(portable) and self.encode(portable) == native else None

    def canonical(self, native: str) -> str | None:
        """Unchanged: at most 10 levels of ``a-z 0-9 - _`` and 512 characters, and no address of something else."""
        if len(native) > 512 or not re.fullmatch(r"[a-z0-9_-]+(?:/[a-z0-9_-]+){0,9}", native):
            return None
        return None if native == BATCH or native.endswith(f"/{VERSIONS}") else native


NAMES = ScaiVaultNames()

# -- who asks ---------------------------------------------------------------------------

TOKEN_URL = "https://scaikey.scailabs.ai/oauth/token"  # noqa: S105 - as ScaiVault's pages have it
SCOPE = "secrets:read secrets:write secrets:list secrets:delete"

_OPTIONS = {
    "token": "a token, from the environment: ${SCAIVAULT_TOKEN}",
    "client_id": "of OAuth client credentials; else SCAIKEY_CLIENT_ID holds it",
    "client_secret": "its secret, from the environment: ${SCAIKEY_CLIENT_SECRET}",
    "token_url": f"https address of the token service; {TOKEN_URL} if not said",
    "client_auth": "post or basic: whether the token service gets id and secret in the form or in a header",
    "scope": f"what the token is asked for, separated by blanks; {SCOPE} if not said",
    "hard_delete": "true makes delete remove for good, with nothing kept for recovery",
    "ca": "file of PEM certificates to trust instead of the system's, at the token service too",
}


class Token(NamedTuple):
    """A token that was given: a personal one, or one of a session. It is what it is until it ends."""

    token: str

    def __repr__(self) -> str:
        return "<Token, not shown>"


class Client(NamedTuple):
    """OAuth client credentials, and where they are exchanged for tokens."""

    id: str
    secret: str
    token_url: str
    auth: str
    """``post`` or ``basic``."""
    scope: str
    ca: str | None

    def __repr__(self) -> str:
        return f"<Client {self.id!r}, secret not shown>"


@dataclass(frozen=True, slots=True)
class ScaiVaultSettings:
    """One ScaiVault, one tenant in it, and who asks."""

    url: str
    """``https://`` and the host, with the port if there is one."""
    tenant: str | None
    """None for the tenant that the token is of."""
    identity: Token | Client = field(repr=False)
    hard_delete: bool
    ca: str | None
    capabilities: Capabilities = ABILITIES
    secret_names: NativeNames = NAMES
    key_names: NativeNames = NAMES

    @property
    def address(self) -> Hashable:
        """Host and tenant, and what is the same for all who share connections to them."""
        return self.url, self.tenant, self.hard_delete, self.ca


_HINT = "Write scaivault://<host>[/<tenant>], such as scaivault://scaivault.scailabs.ai."
_HOST = r"(?=.{1,253}(?::|$))[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?){0,9}"
_PORT = r"(?::[1-9][0-9]{0,4})?"


def configure(location: Location) -> ScaiVaultSettings:
    """Check a location. No I/O.

    Raises:
        InvalidRequestError: Something in it is unknown or wrong.
    """
    host = location.host.lower() if location.host.isascii() else ""
    if not re.fullmatch(f"{_HOST}{_PORT}", host):
        raise invalid("the URL names no host", "url", remediation=_HINT)
    tenant = location.path.removeprefix("/").removesuffix("/") or None
    if tenant is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,128}", tenant):
        raise invalid("what follows the host must be the id of one tenant", "url", remediation=_HINT)
    options = Options(location, _OPTIONS)
    ca = options.text("ca")
    ca = None if ca is None else os.path.abspath(ca)
    return ScaiVaultSettings(
        f"https://{host}",
        tenant,
        _identity(options, location.credential, ca),
        options.flag("hard_delete", default=False),
        ca,
    )


_CLIENT = ("client_id", "client_secret", "token_url", "client_auth", "scope")


def _identity(options: Options, credential: object | None, ca: str | None) -> Token | Client:
    said = [name for name in _CLIENT if name in options]
    if credential is not None and ("token" in options or said):
        name = "token" if "token" in options else said[0]
        message = f"{name} has no meaning beside a credential that is given"
        raise invalid(message, f"options.{name}", remediation="Leave out credential=, or that option.")
    if credential is not None and not isinstance(credential, str):
        message = f"credential= must be a token as text, not {type(credential).__name__}"
        raise invalid(message, "credential", remediation="Give the token, or name a client in the options.")
    if "token" in options and said:
        message = "a token and a client are two ways to say who asks"
        raise invalid(message, f"options.{said[0]}", remediation="Leave one of them out.")
    token = credential or options.text("token")
    if token is None and not said:
        token = os.environ.get("SCAIVAULT_TOKEN", "").strip() or None
    if token is not None:
        if not re.fullmatch(r"[!-~]{1,16384}", token):
            path = "options.token" if credential is None else "credential"
            raise invalid("this is no token: it has blanks or other signs", path, remediation="Copy the whole token.")
        return Token(token)
    return _client(options, ca)


def _client(options: Options, ca: str | None) -> Client:
    id_ = options.text("client_id") or os.environ.get("SCAIKEY_CLIENT_ID", "").strip() or None
    secret = options.text("client_secret") or os.environ.get("SCAIKEY_CLIENT_SECRET", "").strip() or None
    if id_ is None or secret is None:
        raise invalid(
            "nothing says who asks: there is neither a token nor a client with its secret",
            "options.token" if id_ is None else "options.client_secret",
            remediation="Set SCAIVAULT_TOKEN, or SCAIKEY_CLIENT_ID and SCAIKEY_CLIENT_SECRET.",
        )
    for name, value in (("client_id", id_), ("client_secret", secret)):
        if not re.fullmatch(r"[ -~]{1,1024}", value):
            raise options.wrong(name, "must be printable ASCII")
    token_url = options.text("token_url") or TOKEN_URL
    named = re.fullmatch(rf"https://({_HOST}{_PORT})(?:/[A-Za-z0-9._~/-]{{0,512}})?", token_url)
    if not named or not has_port_of_tcp(named[1]):
        raise options.wrong("token_url", "must be https://<host>/<path>")
    auth = options.text("client_auth") or "post"
    if auth not in ("post", "basic"):
        raise options.wrong("client_auth", "must be post or basic")
    scope = options.text("scope") or SCOPE
    if not re.fullmatch(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*", scope) or len(scope) > 2048:
        raise options.wrong("scope", "must be scopes separated by single blanks")
    return Client(id_, secret, token_url, auth, scope, ca)
