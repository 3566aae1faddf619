"""The service: who is let in, at which region, in what state of the key, and what is answered."""

from __future__ import annotations

import re
import uuid
from typing import Any, ClassVar

from kmsbridge.emulation import Backend, Documented, Response, entra
from kmsbridge_azure_cosmos.emulator import _items, _metadata
from kmsbridge_azure_cosmos.emulator._authorization import Authorizer
from kmsbridge_azure_cosmos.emulator._call import Call, Done
from kmsbridge_azure_cosmos.emulator._catalogue import CATALOGUE
from kmsbridge_azure_cosmos.emulator._customer_key import error_of
from kmsbridge_azure_cosmos.emulator._known import Refused
from kmsbridge_azure_cosmos.emulator._operations import OPERATIONS, CosmosOperation, meant
from kmsbridge_azure_cosmos.emulator._resources import RANGE, Store
from kmsbridge_azure_cosmos.emulator._settings import REGIONAL, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmsbridge.emulation import Operation, Request

SERVICE_VERSION = "version=2.14.0.0"
_HANDLERS = {**_metadata.HANDLERS, **_items.HANDLERS}
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Cosmos(Backend[Settings]):
    """One account, with the identity service in front of it.

    ``https://localhost:<port>`` is the account; of several regions, each has an address of its own,
    ``https://<region>.documents.localhost:<port>``.
    """

    name = "azure-cosmos"
    operations: ClassVar[Sequence[Operation]] = OPERATIONS
    hosts = (f"*.{REGIONAL}",)

    key = "C2y6yDjf5/R+ob0N8A7Cgv30VRDJIWEHLM+4QDU5DE2nQ9nDuVTqobD4b8mGGyPMbIZnqyMsEcaGQy67XIw/Jw=="
    """The account's: the published one of all emulators of Cosmos DB, which opens nothing else."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self.identity = entra.Entra()
        self._authorizer = Authorizer(self.key, self.identity)
        self._start_empty()

    def _start_empty(self) -> None:
        self._store = Store()
        self._second, self._used = 0, 0.0
        self._deploy()

    def _deploy(self) -> None:
        for each in self.settings.containers:
            database, container, path = each.split("/", 2)
            self._store.deploy(database, container, f"/{path}", self.clock.now())

    def configure(self, **changes: Any) -> None:
        """Change settings; containers that are named and not there are made."""
        super().configure(**changes)
        self._deploy()

    def reset(self) -> None:
        """As at the start. Tokens that were issued stay good: their holders cannot know."""
        super().reset()
        self._start_empty()

    # -- who is let in ------------------------------------------------------------------

    def identify(self, request: Request) -> None:
        """Find the operation; of a POST to items, by its headers."""
        super().identify(request)
        request.operation = meant(request)

    def admit(self, request: Request) -> Response | None:
        """Refuse what is not signed."""
        if request.operation in entra.OPERATIONS:
            return None
        if self.settings.firewall:
            return self.answer("403/PublicNetwork", request)
        try:
            self._authorizer.verify(request, self.settings)
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        return None

    # -- what is answered ---------------------------------------------------------------

    def apply(self, request: Request) -> Response:
        """Do what is asked, or say why not."""
        operation = request.operation
        if operation in entra.OPERATIONS:
            return self.identity.apply(request, self.address)
        if not isinstance(operation, CosmosOperation):
            return self.answer("400/InvalidUrl", request)
        try:
            self._check(operation, request)
            done = _HANDLERS[operation.name](Call(request, self._store, self.settings, self.clock.now()))
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        if operation.kind == "items":
            self._used += done.units
        return self._answered(request, done)

    def _check(self, operation: CosmosOperation, request: Request) -> None:
        """What stands before the operation itself: the region, the key, and how much was asked before."""
        settings = self.settings
        if operation.kind == "account":  # the gateway answers, of any region, with or without the key
            return
        region = settings.region_of(request.host)
        if region is None or region in settings.removed:
            raise Refused("403/1008")
        if operation.writes and region != settings.writes:
            raise Refused("403/3")
        if trouble := error_of(settings.key):
            raise Refused("408" if settings.writes_time_out and operation.writes else trouble)
        if operation.kind == "items":
            self._throttle()

    def _throttle(self) -> None:
        now, limit = self.clock.now(), self.settings.request_units_per_second
        if int(now) != self._second:
            self._second, self._used = int(now), 0.0
        if limit and self._used >= limit:
            raise Refused("429/3200", retry_after_ms=max(1, round((1 - now % 1) * 1000)))

    def _answered(self, request: Request, done: Done) -> Response:
        headers = {**self._headers(request, done.units), **done.headers}
        if done.etag:
            headers["etag"] = done.etag
        if done.body is None:
            return Response(done.status, tuple(headers.items()))
        answer = Response.json(done.body, status=done.status, headers=headers)
        fixed = tuple((name, "application/json" if name == "Content-Type" else value) for name, value in answer.headers)
        return Response(answer.status, fixed, answer.body)

    # -- errors -------------------------------------------------------------------------

    @property
    def documented(self) -> Mapping[str, Documented]:
        """The catalogue: the account's errors, and the AADSTS numbers of the token endpoint."""
        return {**CATALOGUE, **entra.REFUSALS}

    def answer(self, name: str, request: Request) -> Response:
        """The error of that name, about what this request asks for."""
        return self.identity.refuse(name, request) if name in entra.REFUSALS else self._render(name, request)

    def _render(self, error: str, request: Request, /, **facts: Any) -> Response:
        headers = self._headers(request, 0.0)
        told = {**self._facts(request), "activity": headers["x-ms-activity-id"], **facts}
        return CATALOGUE[error].response(told, headers)

    def _facts(self, request: Request) -> dict[str, Any]:
        operation = request.operation
        action = operation.action if isinstance(operation, CosmosOperation) else ""
        return {
            "account": "localhost", "tenant": entra.TENANT, "oid": entra.OBJECT, "method": request.method,
            "path": request.path, "address": request.client, "action": action or "readMetadata", "scope": "/",
            "id": request.resource, "payload": "get", "near": "FROM", "start": 0, "end": 4, "number": 1001,
            "index": 1, "verb": "Replace", "issuer": "https://sts.windows.net/other/", "audience": "https://other",
            "accepted": f"https://{request.host}", "expired": "Thu, 01 Jan 2026 00:00:00 GMT",
            "start_time": "Thu, 01 Jan 2026 00:00:00 GMT", "expiry_time": "Thu, 01 Jan 2026 00:15:00 GMT",
            "server_time": "Thu, 01 Jan 2026 01:00:00 GMT",
        }  # fmt: skip

    def _headers(self, request: Request, units: float) -> dict[str, str]:
        headers = {
            "Cache-Control": "no-store, no-cache", "Pragma": "no-cache",
            "Server": "Microsoft-HTTPAPI/2.0",
            "Strict-Transport-Security": "max-age=31536000",
            "x-ms-activity-id": _activity(request), "x-ms-gatewayversion": SERVICE_VERSION,
        }  # fmt: skip
        operation = request.operation
        if isinstance(operation, CosmosOperation) and operation.kind != "account":
            headers["x-ms-serviceversion"] = SERVICE_VERSION
            headers["x-ms-request-charge"] = f"{units:g}"
            headers |= self._of_container(request.params)
        return headers

    def _of_container(self, params: Mapping[str, str]) -> dict[str, str]:
        """What clients need to keep to what they have seen."""
        database = self._store.databases.get(params.get("database", ""))
        container = None if database is None else database.containers.get(params.get("collection", ""))
        if database is None or container is None:
            return {}
        return {
            "x-ms-session-token": container.session_token, "lsn": str(container.lsn),
            "x-ms-documentdb-partitionkeyrangeid": RANGE,
            "x-ms-alt-content-path": f"dbs/{database.body['id']}/colls/{container.body['id']}",
            "x-ms-content-path": container.rid,
        }

    # -- how to use it ------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """The account's key, and what azure-identity looks for."""
        return {"AZURE_COSMOS_KEY": self.key, **entra.ENVIRONMENT}

    def profile(self, ca_file: str) -> str:
        """A container that the first call creates, by the account's key."""
        return f"azure-cosmos://{self.address.partition('//')[2]}/db/secrets?create=true&ca={ca_file}"

    @property
    def usage(self) -> str:
        """How to point kmsbridge and Microsoft's SDKs at it."""
        return f"""kmsbridge:
    export KMSBRIDGE_PROFILE="{self.profile("$SSL_CERT_FILE")}"
Python:
    CosmosClient("{self.address}", os.environ["AZURE_COSMOS_KEY"])
JavaScript:
    new CosmosClient({{ endpoint: "{self.address}", key: process.env.AZURE_COSMOS_KEY }})

The customer-managed key is taken away, and given back, by
    curl --cacert $SSL_CERT_FILE -H "X-Emulator-Token: ..." -X PATCH {self.address}/_emulator/settings \\
        -d '{{"key": "revoked"}}'"""


def _activity(request: Request) -> str:
    """The caller's own id of what it does, where it is one."""
    given = request.headers.get("x-ms-activity-id", "")
    return given.lower() if _GUID.fullmatch(given) else str(uuid.uuid4())
