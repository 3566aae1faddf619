"""Microsoft Entra, for the emulators of backends that take its tokens: discovery, the token endpoint, the tokens.

The errors are those of Microsoft Entra ID with their AADSTS numbers; "docs" in a source is
its list of error codes at learn.microsoft.com/entra/identity-platform/reference-error-codes.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from kmsbridge.emulation._backend import Documented
from kmsbridge.emulation._message import Response
from kmsbridge.emulation._routing import Operation
from kmsbridge.emulation.jwt import Signer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge.emulation._message import Request

TENANT = "11111111-1111-4111-8111-111111111111"
"""The tenant that the backends trust."""
OTHER_TENANT = "22222222-2222-4222-8222-222222222222"
"""A tenant that issues tokens, which no backend here trusts."""
CLIENT = "33333333-3333-4333-8333-333333333333"
"""The one registered application."""
CLIENT_SECRET = "emulated-client-secret"  # noqa: S105 - opens nothing but this emulator
OBJECT = "44444444-4444-4444-8444-444444444444"
"""Its service principal."""
TOKEN_SECONDS = 3599
ENVIRONMENT: Mapping[str, str] = {
    "AZURE_TENANT_ID": TENANT,
    "AZURE_CLIENT_ID": CLIENT,
    "AZURE_CLIENT_SECRET": CLIENT_SECRET,
}
"""What azure-identity looks for."""
OPERATIONS = (
    # The address of the backend answers for them.
    Operation("InstanceDiscovery", "GET", "/common/discovery/instance", auxiliary=True),
    Operation("OpenIdConfiguration", "GET", "/{tenant}/v2.0/.well-known/openid-configuration", auxiliary=True),
    Operation("SigningKeys", "GET", "/{tenant}/discovery/v2.0/keys", auxiliary=True),
    Operation("Token", "POST", "/{tenant}/oauth2/v2.0/token", auxiliary=True),
)


@dataclass(frozen=True, slots=True)
class Refusal(Documented):
    """One AADSTS error."""

    error: str
    text: str


_TEXTS: dict[int, tuple[int, str, str]] = {
    # number: status, error, text
    700016: (400, "unauthorized_client", (
        "Application with identifier '{client}' was not found in the directory '{tenant}'. This can happen if the "
        "application has not been installed by the administrator of the tenant or consented to by any user in the "
        "tenant. You may have sent your authentication request to the wrong tenant."
    )),
    70002: (401, "invalid_client", "The client does not exist or is not enabled for consumers."),
    7000215: (401, "invalid_client", (
        "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not "
        "the client secret ID, for a secret added to app '{client}'."
    )),
    7000222: (401, "invalid_client", "The provided client secret keys for app '{client}' are expired."),
    7000218: (401, "invalid_client", (
        "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
    )),
    700025: (401, "invalid_client", (
        "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."
    )),
    700027: (401, "invalid_client", "Client assertion failed signature validation."),
    50012: (401, "invalid_client", "Authentication failed: client assertion contains an invalid signature."),
    700021: (400, "invalid_request", (
        "Client assertion application identifier doesn't match 'client_id' parameter."
    )),
    700023: (401, "invalid_client", "Client assertion audience claim does not match Realm issuer."),
    50027: (401, "invalid_client", "JWT token is invalid or malformed."),
    700024: (401, "invalid_client", "Client assertion is not within its valid time range."),
    90002: (400, "invalid_request", (
        "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into the "
        "correct cloud. Check with your subscription administrator, this may happen if there are no active "
        "subscriptions for the tenant."
    )),
    900023: (400, "invalid_request", (
        "Specified tenant identifier '{tenant}' is neither a valid DNS name, nor a valid external domain."
    )),
    90038: (400, "invalid_request", "Tenant '{tenant}' request is being redirected to the National Cloud."),
    50034: (400, "invalid_grant", "The user account does not exist in the directory '{tenant}'."),
    50020: (400, "invalid_grant", "User account from identity provider does not exist in tenant '{tenant}'."),
    50001: (400, "invalid_resource", "The resource principal named {scope} was not found in the tenant."),
    500011: (400, "invalid_resource", (
        "The resource principal named {scope} was not found in the tenant named {tenant}."
    )),
    50076: (400, "interaction_required", "You must use multi-factor authentication to access '{scope}'."),
    50079: (400, "interaction_required", "You must enroll in multi-factor authentication to access '{scope}'."),
    53003: (400, "invalid_grant", "Access has been blocked by Conditional Access policies."),
    65001: (400, "invalid_grant", "The user or administrator has not consented to use the application '{client}'."),
    70011: (400, "invalid_scope", "The provided value for the input parameter 'scope' is not valid."),
    70043: (400, "invalid_grant", "The refresh token has expired or is invalid due to sign-in frequency checks."),
    700082: (400, "invalid_grant", "The refresh token has expired due to inactivity."),
    50173: (400, "invalid_grant", "The provided grant has expired due to it being revoked."),
    50196: (400, "invalid_grant", "The server terminated an operation because it met a client request loop."),
    90033: (503, "temporarily_unavailable", "A transient error has occurred. Please try again."),
}
REFUSALS: dict[str, Refusal] = {
    f"AADSTS{number}": Refusal("docs; texts of common numbers as published in issues", status, error, text)
    for number, (status, error, text) in _TEXTS.items()
}


class Entra:
    """Issues tokens, and reads them again."""

    def __init__(self) -> None:
        self._signer = Signer()

    def apply(self, request: Request, address: str) -> Response:
        """Answer one of `OPERATIONS`; `address` is the emulator's own."""
        operation = request.operation.name if request.operation else ""
        tenant = request.params.get("tenant", "")
        if operation == "InstanceDiscovery":
            host = address.removeprefix("https://")
            return Response.json({
                "tenant_discovery_endpoint": f"{address}/{TENANT}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            })
        if not re.fullmatch(r"[0-9a-zA-Z.-]+", tenant):
            return self.refuse("AADSTS900023", request)
        if tenant.lower() not in (TENANT, OTHER_TENANT):
            return self.refuse("AADSTS90002", request)
        if operation == "OpenIdConfiguration":
            return Response.json({
                "token_endpoint": f"{address}/{tenant}/oauth2/v2.0/token",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "jwks_uri": f"{address}/{tenant}/discovery/v2.0/keys",
                "authorization_endpoint": f"{address}/{tenant}/oauth2/v2.0/authorize",
                "end_session_endpoint": f"{address}/{tenant}/oauth2/v2.0/logout",
                "response_types_supported": ["code", "token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
                "issuer": f"{address}/{tenant}/v2.0",
            })
        if operation == "SigningKeys":
            return Response.json({"keys": []})
        return self._token(request, tenant)

    def _token(self, request: Request, tenant: str) -> Response:
        form = {name: values[-1] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        scope = form.get("scope", "").split(" ")[0]
        if form.get("client_id", "").lower() != CLIENT:
            return self.refuse("AADSTS700016", request)
        if not form.get("client_secret"):
            return self.refuse("AADSTS7000218", request)
        if not hmac.compare_digest(form["client_secret"].encode(), CLIENT_SECRET.encode()):
            return self.refuse("AADSTS7000215", request)
        if not scope.endswith("/.default"):
            return self.refuse("AADSTS70011", request)
        token = self.issue(scope.removesuffix("/.default"), tenant=tenant.lower(), claims=form.get("claims"))
        lifetime = {"expires_in": TOKEN_SECONDS, "ext_expires_in": TOKEN_SECONDS}
        return Response.json(
            {"token_type": "Bearer", **lifetime, "access_token": token},
            headers={"Cache-Control": "no-store, no-cache", "Pragma": "no-cache"},
        )

    def issue(
        self, audience: str, *, tenant: str = TENANT, claims: str | None = None, seconds: float = TOKEN_SECONDS,
        not_before: float = 0,
    ) -> str:
        """A token for `audience`, valid from `not_before` seconds from now, and for so many `seconds`."""
        now = int(time.time())
        told: dict[str, Any] = {
            "aud": audience, "iss": f"https://sts.windows.net/{tenant}/", "tid": tenant, "appid": CLIENT, "oid": OBJECT,
            "iat": now, "nbf": now + int(not_before), "exp": now + int(seconds), "jti": secrets.token_hex(8),
        }
        if (claim := _claimed(claims)) is not None:
            told["claim"] = claim
        return self._signer.sign(told)

    def read(self, token: str) -> dict[str, Any] | None:
        """What a token says; None if it was not issued here."""
        return self._signer.read(token)

    def refuse(self, name: str, request: Request) -> Response:
        """The AADSTS error of that name."""
        refusal = REFUSALS[name]
        number = int(name.removeprefix("AADSTS"))
        form = parse_qs(request.body.decode("utf-8", "replace"))
        text = refusal.text.format(
            tenant=request.params.get("tenant", TENANT), client=form.get("client_id", [CLIENT])[0],
            scope=form.get("scope", [""])[0],
        )
        trace, correlation = str(uuid.uuid4()), request.headers.get("client-request-id", str(uuid.uuid4()))
        moment = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
        body = {
            "error": refusal.error,
            "error_description": f"{name}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {moment}",
            "error_codes": [number],
            "timestamp": moment,
            "trace_id": trace,
            "correlation_id": correlation,
            "error_uri": f"https://login.microsoftonline.com/error?code={number}",
        }
        return Response.json(body, status=refusal.status, headers={"x-ms-request-id": trace})


def _claimed(claims: str | None) -> str | None:
    """The number that a claims challenge asked for, if the request for the token repeats it."""
    try:
        return str(json.loads(claims or "")["access_token"]["nbf"]["value"])
    except (KeyError, TypeError, ValueError):
        return None
