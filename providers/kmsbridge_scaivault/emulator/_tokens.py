"""Who calls: personal tokens, and those that a client's credentials are exchanged for at ScaiKey."""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote_plus

from kmsbridge.emulation import Response
from kmsbridge.emulation.jwt import Signer
from kmsbridge_scaivault.emulator._catalogue import TOKEN_ERRORS
from kmsbridge_scaivault.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request
    from kmsbridge_scaivault.emulator._state import Settings

PARTNER, TENANT = "ptn_emulator", "tnt_emulator"
OTHER_TENANT = "tnt_other"
"""Of the same partner."""
FOREIGN_TENANT = "tnt_foreign"
"""Of another partner."""
SLUG = "emulator"
"""Of the tenant, in the address of its token endpoint."""
PERSONAL_TOKEN = "skt_emulated-personal-token"  # noqa: S105 - opens nothing but this emulator
CLIENT, CLIENT_SECRET = "emulated-client", "emulated-client-secret"
DAY = 86_400


@dataclass(frozen=True, slots=True)
class Identity:
    """A caller that has shown a token."""

    id: str
    kind: str
    tenant: str
    scopes: frozenset[str]
    expires: float
    """Seconds since 1970, by the clock of the emulated service."""


class ScaiKey:
    """Issues tokens, and reads them again."""

    def __init__(self, now: float) -> None:
        self._signer = Signer()
        self.start(now)

    def start(self, now: float) -> None:
        """From now on the personal token counts its days. What was issued stays good."""
        self._started = now

    def identity(self, authorization: str, settings: Settings, now: float) -> Identity:
        """The caller that a header is about.

        Raises:
            Refused: There is no token in it, or not a good one.
        """
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise Refused("authentication_required")
        identity = self._read(token.strip(), settings)
        if identity is None:
            raise Refused("token_invalid")
        if {token.strip(), identity.id} & set(settings.revoked):
            raise Refused("token_revoked")
        if identity.expires <= now:
            raise Refused("token_expired")
        return identity

    def _read(self, token: str, settings: Settings) -> Identity | None:
        allowed = frozenset(settings.scopes)
        if hmac.compare_digest(token.encode(), PERSONAL_TOKEN.encode()):
            expires = self._started + settings.personal_token_days * DAY
            return Identity("user:emulator", "user", TENANT, allowed, expires)
        if (claims := self._signer.read(token)) is None:
            return None
        scopes = allowed & set(str(claims["scope"]).split())
        return Identity(str(claims["sub"]), "service_account", TENANT, scopes, float(claims["exp"]))

    def issue(self, scopes: list[str], now: float, seconds: float, address: str) -> str:
        """A token of the registered client."""
        return self._signer.sign({
            "iss": f"{address}/tenants/{TENANT}", "sub": f"sa:{CLIENT}", "tenant_id": TENANT, "partner_id": PARTNER,
            "scope": " ".join(scopes), "iat": int(now), "exp": int(now + seconds), "jti": secrets.token_hex(8),
        })

    def exchange(self, request: Request, settings: Settings, now: float, address: str) -> Response:
        """Answer the token endpoint.

        The documents have it in two forms. ScaiVault's show ``/oauth/token``, with the client's
        credentials in the form; ScaiKey's show the other two paths, with HTTP Basic. Neither
        says that the other form is taken as well, so it is not.
        """
        form = dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        if request.path.rstrip("/") == "/oauth/token":
            given = (form.get("client_id", ""), form.get("client_secret", ""))
        else:
            given = _basic(request.headers.get("authorization", ""))
        known = (CLIENT, CLIENT_SECRET)
        right = [hmac.compare_digest(one.encode(), other.encode()) for one, other in zip(given, known, strict=True)]
        if not all(right) or request.params.get("slug", SLUG) != SLUG:
            return refusal("oauth.invalid_client")
        if "grant_type" not in form:
            return refusal("oauth.invalid_request")
        if form["grant_type"] != "client_credentials":
            return refusal("oauth.unsupported_grant_type")
        scopes = form.get("scope", "").split() or list(settings.scopes)
        if not set(scopes) <= set(settings.scopes):
            return refusal("oauth.invalid_scope")
        token = self.issue(scopes, now, settings.token_seconds, address)
        told = {"access_token": token, "token_type": "Bearer", "expires_in": settings.token_seconds}
        return Response.json({**told, "scope": " ".join(scopes)}, headers=_NOT_KEPT)


_NOT_KEPT = {"Cache-Control": "no-store", "Pragma": "no-cache"}


def refusal(name: str) -> Response:
    """An error of the token endpoint."""
    known = TOKEN_ERRORS[name]
    challenge = {"WWW-Authenticate": "Basic"} if known.status == 401 else {}
    told = {"error": name.partition(".")[2], "error_description": known.message}
    return Response.json(told, status=known.status, headers={**challenge, **_NOT_KEPT})


def _basic(authorization: str) -> tuple[str, str]:
    """Id and secret of a client; empty for what is neither."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        id_, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return unquote_plus(id_), unquote_plus(secret)
