"""The service: who is let in, to which tenant, and what is answered."""

from __future__ import annotations

import json
import re
import secrets
from typing import Any, ClassVar

from kmsbridge.emulation import Backend, Documented, Response
from kmsbridge_scaivault.emulator import _assumed, _secrets
from kmsbridge_scaivault.emulator._catalogue import CATALOGUE, TOKEN_ERRORS
from kmsbridge_scaivault.emulator._known import Refused
from kmsbridge_scaivault.emulator._limits import Buckets
from kmsbridge_scaivault.emulator._operations import OPERATIONS, READS, TOKEN, VaultOperation
from kmsbridge_scaivault.emulator._state import Call, Secret, Settings, moment
from kmsbridge_scaivault.emulator._tokens import (
    CLIENT,
    CLIENT_SECRET,
    FOREIGN_TENANT,
    OTHER_TENANT,
    PARTNER,
    PERSONAL_TOKEN,
    SLUG,
    TENANT,
    Identity,
    ScaiKey,
    refusal,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmsbridge.emulation import Operation, Request

SERVICE_VERSION = "1.0.0"
_PARTNER_OF = {TENANT: PARTNER, OTHER_TENANT: PARTNER, FOREIGN_TENANT: "ptn_foreign"}
_IN_TENANT = re.compile(r"/v1/t/([^/]+)(/.*)")
_FAILS_WITH = {"database": "storage_error", "encryption": "encryption_error", "redis": "service_unavailable"}
"""What a request gets while something that the service needs is down; assumed."""


class ScaiVault(Backend[Settings]):
    """The secrets of two tenants of one partner, and of one tenant of another; and ScaiKey's token endpoint."""

    name = "scaivault"
    operations: ClassVar[Sequence[Operation]] = OPERATIONS

    token = PERSONAL_TOKEN
    """A personal token of a user of `tenant_id`."""
    client_id = CLIENT
    """A service account of `tenant_id`."""
    client_secret = CLIENT_SECRET
    tenant_id = TENANT
    tenant_slug = SLUG
    other_tenant_id = OTHER_TENANT
    """A tenant of the same partner."""
    foreign_tenant_id = FOREIGN_TENANT
    """A tenant of another partner, which nobody here may enter."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self._scaikey = ScaiKey(self.clock.now())
        self._start_empty()

    def _start_empty(self) -> None:
        self._tenants: dict[str, dict[str, Secret]] = {}
        self._buckets = Buckets()

    def reset(self) -> None:
        """As at the start. Tokens that were issued stay good: their holders cannot know."""
        super().reset()
        self._scaikey.start(self.clock.now())
        self._start_empty()

    # -- who is let in ------------------------------------------------------------------

    def identify(self, request: Request) -> None:
        """Find the operation; a tenant may stand before it."""
        inside = _IN_TENANT.fullmatch(request.path)
        found = self._router.match(request.method, f"/v1{inside[2]}" if inside else request.path)
        if found is None or (inside and (found[0] in TOKEN or _is_open(found[0]))):
            return
        request.operation, params = found
        request.params = {**params, **({"tenant": inside[1]} if inside else {})}
        request.resource = params.get("path", "")

    def admit(self, request: Request) -> Response | None:
        """Refuse what has no token, or a bad one."""
        if request.operation in TOKEN or _is_open(request.operation):
            return None
        try:
            self._identity(request)
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        return None

    def _identity(self, request: Request) -> Identity:
        return self._scaikey.identity(request.headers.get("authorization", ""), self.settings, self.clock.now())

    # -- what is answered ---------------------------------------------------------------

    def apply(self, request: Request) -> Response:
        """Do what is asked, or say why not."""
        operation = request.operation
        if operation in TOKEN:
            return self._scaikey.exchange(request, self.settings, self.clock.now(), self.address)
        try:
            if not isinstance(operation, VaultOperation):  # no code stands for this: what a web server says by itself
                answer = Response(404, (("Content-Type", "text/plain"),), b"404 page not found\n")
            else:
                answer = self._open(operation.name) if operation.open else self._do(operation, request)
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        return answer.with_headers(self._headers(request, _request_id()))

    def _open(self, name: str) -> Response:
        down, now = self.settings.down, moment(self.clock.now())
        if name == "Version":
            return Response.json({"version": SERVICE_VERSION})
        if name == "Health":
            return Response.json({"status": "healthy", "timestamp": now})
        checks = {part: "error" if part in down else "ok" for part in ("database", "redis", "encryption")}
        if not down:
            return Response.json({"status": "ready", "checks": checks})
        errors = [f"{part} is not available" for part in down]
        return Response.json({"status": "not_ready", "checks": checks, "errors": errors}, status=503)

    def _do(self, operation: VaultOperation, request: Request) -> Response:
        identity, settings = self._identity(request), self.settings
        if settings.maintenance:
            raise Refused("maintenance_mode")
        tenant = self._tenant(request, identity)
        call = Call(
            self._live(tenant), settings, self.clock.now(), identity,
            request.query, request.body, request.params.get("path", ""),
        )  # fmt: skip
        self._count(operation, call)
        if operation.name in settings.disabled:
            raise Refused("feature_disabled")
        for part in settings.down:
            raise Refused(_FAILS_WITH.get(part, "service_unavailable"))
        if operation.name == "WhoAmI":
            return Response.json(self._whoami(identity))
        if operation.scope not in identity.scopes:
            raise Refused("insufficient_scope", scope=operation.scope)
        return self._answered(operation.name, _secrets.HANDLERS[operation.name](call))

    def _answered(self, name: str, done: dict[str, Any] | None) -> Response:
        if done is None:
            return Response(_assumed.DELETE_STATUS)
        if "errors" in done:  # of a batch
            failed = {
                path: {"code": each.error, "message": CATALOGUE[each.error].message.format_map(each.facts)}
                for path, each in done["errors"].items()
            }
            return Response.json({**done, "errors": failed})
        return Response.json(done, status=_assumed.WRITE_STATUS if name == "WriteSecret" else 200)

    def _tenant(self, request: Request, identity: Identity) -> str:
        """By the path, else the header, else the token."""
        tenant = request.params.get("tenant") or request.headers.get("x-tenant-id") or identity.tenant
        if tenant not in _PARTNER_OF:
            raise Refused("tenant_not_found", tenant=tenant)
        if tenant != identity.tenant and not (self.settings.partner_admin and _PARTNER_OF[tenant] == PARTNER):
            raise Refused("tenant_access_denied", tenant=tenant)
        return tenant

    def _live(self, tenant: str) -> dict[str, Secret]:
        """What a tenant has, without what is past its retention."""
        there, now = self._tenants.setdefault(tenant, {}), self.clock.now()
        for path in [path for path, each in there.items() if each.gone is not None and each.gone <= now]:
            del there[path]
        return there

    def _whoami(self, identity: Identity) -> dict[str, Any]:
        return {
            "identity_id": identity.id, "identity_type": identity.kind, "display_name": "Emulator",
            "tenant_id": identity.tenant, "partner_id": PARTNER, "scopes": sorted(identity.scopes), "groups": [],
            "roles": ["partner_admin"] if self.settings.partner_admin else [], "mfa_verified_at": None,
            "token_expires_at": moment(identity.expires),
        }  # fmt: skip

    # -- limits -------------------------------------------------------------------------

    def _count(self, operation: VaultOperation, call: Call) -> None:
        """A batch read is counted as one, and as a read for each path."""
        costs = {operation.counted: 1}
        if operation.name == "BatchRead":
            costs[READS] = len(_paths(call.body))
        limits = {name: int(getattr(self.settings, name)) for name in costs}
        for name, cost in costs.items():
            if wait := self._buckets.wait(call.identity.id, name, limits[name], call.now, cost):
                raise Refused("rate_limited", wait=wait, counted=name)
        for name, cost in costs.items():
            self._buckets.take(call.identity.id, name, limits[name], call.now, cost)

    def _headers(self, request: Request, id_: str, counted: str = "") -> dict[str, str]:
        operation = request.operation
        category = counted or (operation.counted if isinstance(operation, VaultOperation) else "") or READS
        try:
            caller = self._identity(request).id
        except Refused:  # nobody's bucket is full
            caller = ""
        level = self._buckets.level(caller, category, int(getattr(self.settings, category)), self.clock.now())
        return {"X-Request-ID": id_, **level.headers}

    # -- errors -------------------------------------------------------------------------

    @property
    def documented(self) -> Mapping[str, Documented]:
        """The catalogue, by code; and the errors of the token endpoint."""
        return {**CATALOGUE, **TOKEN_ERRORS}

    def answer(self, name: str, request: Request) -> Response:
        """The error of that name, about what this request asks for."""
        return refusal(name) if name in TOKEN_ERRORS else self._render(name, request)

    def _render(self, error: str, request: Request, /, **facts: Any) -> Response:
        known, id_ = CATALOGUE[error], _request_id()
        operation = request.operation
        scope = operation.scope if isinstance(operation, VaultOperation) else ""
        about: dict[str, Any] = {
            "path": request.resource, "version": request.query.get("version", "1"), "scope": scope,
            "permission": scope.rpartition(":")[2], "tenant": request.params.get("tenant", TENANT),
            "failed_condition": error, "fields": [{"field": "data", "message": "is not valid"}], **facts,
        }  # fmt: skip
        told: dict[str, Any] = {"code": error, "message": known.message.format_map(about)}
        if known.details:
            told["details"] = {name: about[name] for name in known.details}
        headers = self._headers(request, id_, facts.get("counted", ""))
        if error == "rate_limited":  # no other is said to have it
            headers["Retry-After"] = str(facts.get("wait", 1))
        return Response.json({"error": {**told, "request_id": id_}}, status=known.status, headers=headers)

    # -- how to use it ------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """What the vendor's SDKs and CLI are documented to look for."""
        return {
            "SCAIVAULT_URL": self.address,
            "SCAIVAULT_TOKEN": self.token,
            "SCAIKEY_CLIENT_ID": self.client_id,
            "SCAIKEY_CLIENT_SECRET": self.client_secret,
        }

    def profile(self, ca_file: str) -> str:
        """The tenant of the personal token."""
        return f"scaivault://{self.address.partition('//')[2]}?ca={ca_file}"

    @property
    def usage(self) -> str:
        """How to point kmsbridge and others at it."""
        return f"""kmsbridge:
    export KMSBRIDGE_PROFILE="{self.profile("$SSL_CERT_FILE")}"
curl:
    curl --cacert "$SSL_CERT_FILE" -H "Authorization: Bearer $SCAIVAULT_TOKEN" "$SCAIVAULT_URL/v1/auth/whoami"
Tokens for a client are issued at {self.address}/oauth/token (its id and secret in the form)
and at {self.address}/api/v1/platform/oauth/token (HTTP Basic)."""


def _is_open(operation: Operation | None) -> bool:
    return isinstance(operation, VaultOperation) and operation.open


def _paths(body: bytes) -> list[Any]:
    """How many paths a batch names, before anything else is known of it."""
    try:
        paths = json.loads(body)["paths"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return []
    return paths if isinstance(paths, list) else []


def _request_id() -> str:
    return f"req_{secrets.token_hex(8)}"
