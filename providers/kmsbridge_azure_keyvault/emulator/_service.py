"""The service: who is let in, to which vault, and what is answered."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections import deque
from typing import Any, ClassVar

from kmsbridge.emulation import Backend, Documented, Response, entra
from kmsbridge_azure_keyvault.emulator import _keys, _secrets, _uses
from kmsbridge_azure_keyvault.emulator._address import PUBLIC, Address, address_of
from kmsbridge_azure_keyvault.emulator._catalogue import CATALOGUE
from kmsbridge_azure_keyvault.emulator._items import Refused
from kmsbridge_azure_keyvault.emulator._operations import (
    API_VERSIONS,
    HSM_API_VERSIONS,
    OPERATIONS,
    VaultOperation,
)
from kmsbridge_azure_keyvault.emulator._vault import Backups, Call, Settings, Vault

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmsbridge.emulation import Operation, Request

SUBSCRIPTION = "55555555-5555-4555-8555-555555555555"
SERVICE_VERSION = "1.9.2650.1"
WINDOW_SECONDS = 10

_HANDLERS = {**_secrets.HANDLERS, **_keys.HANDLERS, **_uses.HANDLERS}


class KeyVault(Backend[Settings]):
    """Any number of vaults and Managed HSMs, and the identity service in front of them.

    ``https://localhost:<port>`` is one vault; ``https://<name>.vault.localhost:<port>`` and
    ``https://<name>.managedhsm.localhost:<port>`` are as many more as are asked for.
    """

    name = "azure-keyvault"
    operations: ClassVar[Sequence[Operation]] = OPERATIONS
    hosts = ("*.vault.localhost", "*.managedhsm.localhost")

    tenant_id = entra.TENANT
    other_tenant_id = entra.OTHER_TENANT
    """Issues tokens that no vault trusts."""
    client_id = entra.CLIENT
    client_secret = entra.CLIENT_SECRET

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self.identity = entra.Entra()
        self._start_empty()

    def _start_empty(self) -> None:
        self._vaults: dict[Address, Vault] = {}
        self._backups = Backups()
        self._recent: deque[float] = deque()

    def reset(self) -> None:
        """As at the start. Tokens that were issued stay good: their holders cannot know."""
        super().reset()
        self._start_empty()

    # -- who is let in ------------------------------------------------------------------

    def identify(self, request: Request) -> None:
        """Find the operation, also behind the method that a POST says it stands for."""
        if request.method == "POST" and (meant := request.headers.get("x-http-method")):
            request.method = meant.upper()
        super().identify(request)

    def admit(self, request: Request) -> Response | None:
        """Refuse what has no token, or one for somebody else."""
        if request.operation in entra.OPERATIONS:
            return None
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "pop") or not token:
            return self.answer("MissingToken", request)
        told = self.identity.read(token)
        if told is None:
            return self.answer("SigningKeyUnresolved", request)
        address = self._address(request)
        if told["aud"] not in (address.resource, PUBLIC[address.hsm]):
            return self._render("InvalidAudience", request, value=told["aud"])
        if told["tid"] != entra.TENANT:
            return self._render("InvalidIssuer", request, value=told["iss"])
        if told["exp"] <= time.time():
            return self.answer("TokenLifetime", request)
        if told["nbf"] > time.time():
            return self.answer("TokenNotYetValid" if address.hsm else "TokenLifetime", request)
        wanted = self.settings.claims_challenge
        if wanted and told.get("claim") != str(wanted):
            return self.answer("InsufficientClaims", request)
        return None

    def _address(self, request: Request) -> Address:
        return address_of(request.host, hsm=self.settings.managed_hsm)

    # -- what is answered ---------------------------------------------------------------

    def apply(self, request: Request) -> Response:
        """Do what is asked, or say why not."""
        if request.operation in entra.OPERATIONS:
            return self.identity.apply(request, self.address)
        try:
            done = self._do(request)
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        answer = Response(204) if done is None else Response.json(done)
        return answer.with_headers(self._headers(request))

    def _do(self, request: Request) -> dict[str, Any] | None:
        settings, now = self.settings, self.clock.now()
        address = self._address(request)
        operation = self._operation(request, hsm=address.hsm)
        if settings.firewall:
            raise Refused("ForbiddenByFirewall")
        if settings.private:
            raise Refused("ForbiddenByConnection")
        if operation.name in settings.denied:
            raise Refused("ForbiddenByRbac" if settings.rbac else "AccessDenied")
        self._throttle(now)
        if operation.internal:
            if settings.read_only:
                raise Refused("ReadOnly")
            self.clock.advance(seconds=settings.write_seconds)
            now = self.clock.now()
        vault = self._vaults.setdefault(address, Vault())
        base = f"https://{request.host}"
        call = Call(request, vault, settings, self._backups, now, base, address.hsm, _json(request))
        return _HANDLERS[operation.name](call)

    def _operation(self, request: Request, *, hsm: bool) -> VaultOperation:
        """The operation, if the version of the API that was asked for has it."""
        known = HSM_API_VERSIONS if hsm else API_VERSIONS
        version = request.query.get("api-version", "")
        if version.partition("-preview")[0] not in known:
            raise Refused("UnknownVersionOfApi", value=version, latest=known[-1])
        operation = request.operation
        if not isinstance(operation, VaultOperation) or operation.on not in ("both", "hsm" if hsm else "vault"):
            last = request.path.rstrip("/").rpartition("/")[2]
            raise Refused("UnknownSubOperation", value=last)
        if operation.since and known.index(version.partition("-preview")[0]) < known.index(operation.since):
            raise Refused("UnknownSubOperation", value=request.path.rstrip("/").rpartition("/")[2])
        return operation

    def _throttle(self, now: float) -> None:
        limit = self.settings.requests_per_10_seconds
        while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        if limit:
            if len(self._recent) >= limit:
                raise Refused("Throttled")
            self._recent.append(now)

    # -- errors -------------------------------------------------------------------------

    @property
    def documented(self) -> Mapping[str, Documented]:
        """The catalogue: Key Vault's errors, and the AADSTS numbers of the token endpoint."""
        return {**CATALOGUE, **entra.REFUSALS}

    def answer(self, name: str, request: Request) -> Response:
        """The error of that name, about what this request asks for."""
        return self.identity.refuse(name, request) if name in entra.REFUSALS else self._render(name, request)

    def _render(self, error: str, request: Request, /, **facts: str) -> Response:
        known = CATALOGUE[error]
        headers = {**dict(known.headers), **self._headers(request)}
        if known.status == 401:
            headers |= self._challenge(request, error)
        return known.response({**self._facts(request), **facts}, headers, hsm=self._address(request).hsm)

    def _facts(self, request: Request) -> dict[str, str]:
        operation = request.operation if isinstance(request.operation, VaultOperation) else OPERATIONS[0]
        assert isinstance(operation, VaultOperation)
        kind = "Secret" if "secret" in operation.name.lower() else "Key"
        name, version = request.params.get("name", ""), request.params.get("version", "")
        verb, address = operation.verb, self._address(request)
        return {
            "kind": kind.lower(), "Kind": kind, "collection": f"{kind.lower()}s", "name": name,
            "id": f"{name}/{version}" if version else name, "value": "value", "method": request.method,
            "verb": verb, "Verb": verb[:1].upper() + verb[1:], "permission": operation.permission,
            "action": f"Microsoft.KeyVault/vaults/{operation.action}", "internal": operation.internal or operation.name,
            "vault": address.vault, "region": self.settings.region, "address": request.client,
            "appid": entra.CLIENT, "oid": entra.OBJECT, "tenant": entra.TENANT, "subscription": SUBSCRIPTION,
            "resource": address.resource, "kid": f"https://{request.host}/keys/{name}/{version}",
            "curve": "P-256", "wanted": "P-256K", "latest": API_VERSIONS[-1],
        }

    def _challenge(self, request: Request, name: str) -> dict[str, str]:
        resource = self._address(request).resource
        challenge = f'Bearer authorization="{self.address}/{entra.TENANT}", resource="{resource}"'
        if name == "InsufficientClaims":
            nbf = {"essential": True, "value": str(self.settings.claims_challenge or int(time.time()))}
            claims = base64.b64encode(json.dumps({"access_token": {"nbf": nbf}}).encode()).decode()
            challenge += f', error="insufficient_claims", claims="{claims}"'
        return {"WWW-Authenticate": challenge}

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Cache-Control": "no-cache", "Pragma": "no-cache", "Expires": "-1"}
        headers["x-ms-request-id"] = str(uuid.uuid4())
        if echoed := request.headers.get("x-ms-client-request-id", "")[:128]:
            headers["x-ms-client-request-id"] = echoed
        if self._address(request).hsm:
            return {**headers, "x-ms-server-latency": "1", "x-ms-keyvault-region": self.settings.region}
        return {
            **headers,
            "x-ms-keyvault-region": self.settings.region,
            "x-ms-keyvault-service-version": SERVICE_VERSION,
            "x-ms-keyvault-network-info": f"conn_type=Ipv4;addr={request.client};act_addr_fam=InterNetwork;",
            "X-Content-Type-Options": "nosniff",
        }

    # -- how to use it ------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """What azure-identity looks for."""
        return entra.ENVIRONMENT

    def profile(self, ca_file: str) -> str:
        """The vault of no name."""
        more = f"authority={self.address}&credential=environment&verify_challenge=false&ca={ca_file}"
        return f"azure-keyvault://{self.address.partition('//')[2]}?{more}"

    @property
    def usage(self) -> str:
        """How to point kmsbridge and Microsoft's SDKs at it."""
        port = self.address.rpartition(":")[2]
        return f"""kmsbridge:
    export KMSBRIDGE_PROFILE="{self.profile("$SSL_CERT_FILE")}"
Python:
    credential = ClientSecretCredential(TENANT_ID, CLIENT_ID, CLIENT_SECRET,
        authority="{self.address}", disable_instance_discovery=True)
    SecretClient("{self.address}", credential, verify_challenge_resource=False)
JavaScript:
    new ClientSecretCredential(TENANT_ID, CLIENT_ID, CLIENT_SECRET,
        {{ authorityHost: "{self.address}", disableInstanceDiscovery: true }})
    new SecretClient("{self.address}", credential, {{ disableChallengeResourceVerification: true }})

Where names under localhost resolve, https://<vault>.vault.localhost:{port} needs neither
switch for the challenge."""


def _json(request: Request) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body)
    except (ValueError, RecursionError):
        raise Refused("InvalidProperty") from None
    if not isinstance(body, dict):
        raise Refused("InvalidProperty")
    return body
