"""Who is let in: by the account's key, or by a token of Microsoft Entra."""

from __future__ import annotations

import base64
import hmac
import time
from email.utils import formatdate, parsedate_to_datetime
from urllib.parse import unquote

from kmsbridge.emulation import entra
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._operations import CosmosOperation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation import Request
    from kmsbridge_azure_cosmos.emulator._settings import Settings

WINDOW_SECONDS = 900
"""How far the date of a signature may be off, either way."""
COMMON = "https://cosmos.azure.com"
"""The audience that every account takes."""


class Authorizer:
    """Checks what requests are signed with.

    Args:
        key: The account's, in Base64.
        identity: Who issues tokens.
    """

    def __init__(self, key: str, identity: entra.Entra) -> None:
        self._key = base64.b64decode(key)
        self._identity = identity

    def verify(self, request: Request, settings: Settings) -> None:
        """Let a request pass, by the real clock.

        Raises:
            Refused: It is not signed, not rightly, or may not do this.
        """
        header = unquote(request.headers.get("authorization", ""))
        if not header:
            raise Refused("401/MissingAuthorization")
        fields = {name: value for name, _, value in (part.partition("=") for part in header.split("&"))}
        kind = fields.get("type")
        if kind not in ("master", "aad") or fields.get("ver") != "1.0" or not fields.get("sig"):
            raise Refused("401/MalformedAuthorization")
        if kind == "aad":
            self._verify_token(request, fields["sig"], settings)
        elif not settings.local_auth:
            raise Refused("401/5202")
        else:
            self._verify_signature(request, fields["sig"])

    def _verify_signature(self, request: Request, signature: str) -> None:
        given = request.headers.get("x-ms-date", "")
        date = given or request.headers.get("date", "")
        try:
            moment = parsedate_to_datetime(date).timestamp()
        except ValueError:
            raise Refused("401/MalformedAuthorization") from None
        payload = signed_text(request)
        computed = base64.b64encode(hmac.digest(self._key, payload.encode(), "sha256"))
        if not hmac.compare_digest(computed, signature.encode()):
            raise Refused("401/WrongKey", payload=payload)
        now = time.time()
        if abs(now - moment) > WINDOW_SECONDS:
            told = (moment, moment + WINDOW_SECONDS, now)
            start, expiry, server = (formatdate(each, usegmt=True) for each in told)
            raise Refused("403/ClockSkew", start_time=start, expiry_time=expiry, server_time=server)

    def _verify_token(self, request: Request, token: str, settings: Settings) -> None:
        told = self._identity.read(token)
        host = f"https://{request.host}"
        accepted = (COMMON, host, host.rpartition(":")[0])
        if told is None:
            raise Refused("401/5004")
        if told["aud"] not in accepted:
            raise Refused("401/5008", audience=told["aud"], accepted=host)
        if told["tid"] != entra.TENANT:
            raise Refused("401/5007", issuer=told["iss"])
        if told["nbf"] > time.time():
            raise Refused("401/5005")
        if told["exp"] <= time.time():
            raise Refused("401/5006", expired=formatdate(told["exp"], usegmt=True))
        operation = request.operation
        if isinstance(operation, CosmosOperation):
            if not operation.action:
                raise Refused("403/5300")
            if operation.name in settings.denied:
                metadata = operation.action == "readMetadata"
                scope = "/" if metadata else request.path.strip("/").partition("/docs")[0]
                raise Refused("403/5301" if metadata else "403/5302", action=operation.action, scope=scope)


def signed_text(request: Request) -> str:
    """What a key signs: verb, type of the resource, its link or that of the feed it is in, and the date."""
    segments = [segment for segment in request.path.split("/") if segment]
    feed = len(segments) % 2
    kind = segments[-1 if feed else -2] if segments else ""
    link = "/".join(segments[:-1] if feed else segments)
    given = request.headers.get("x-ms-date", "").lower()
    date = "" if given else request.headers.get("date", "").lower()
    return f"{request.method.lower()}\n{kind.lower()}\n{link}\n{given}\n{date}\n"
