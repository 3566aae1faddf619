"""The service: who is let in, and what is answered."""

from __future__ import annotations

import uuid
from collections import deque
from functools import partial
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode

from kmsbridge.emulation import Backend, Documented, Response
from kmsbridge_alibaba_kms.emulator import _acs3, _hmac_sha1, _instance, _keys, _markup, _secrets, _tags, _uses
from kmsbridge_alibaba_kms.emulator._catalogue import AUTHENTICATION, CATALOGUE, tried
from kmsbridge_alibaba_kms.emulator._known import Refused
from kmsbridge_alibaba_kms.emulator._operations import BY_NAME, OPERATIONS, KmsOperation
from kmsbridge_alibaba_kms.emulator._signature import AccessKey, Verifier
from kmsbridge_alibaba_kms.emulator._state import Account, Call, Settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kmsbridge.emulation import Operation, Request

VERSION = "2016-01-20"
FORM = "application/x-www-form-urlencoded"
_HANDLERS = {**_secrets.HANDLERS, **_keys.HANDLERS, **_tags.HANDLERS, **_uses.HANDLERS}
_NAMES = ("SecretName", "KeyId", "AliasName")


class AlibabaKms(Backend[Settings]):
    """The secrets and keys of one account in one region.

    ``https://localhost:<port>`` is the region's door, and that of the first KMS instance for who asks as instances
    are asked; ``https://<instance>.cryptoservice.localhost:<port>`` is the door of any.
    """

    name = "alibaba-kms"
    operations: ClassVar[Sequence[Operation]] = OPERATIONS
    hosts = ("*.cryptoservice.localhost",)

    access_key = AccessKey("LTAIemulator", "emulator-secret")
    """What the account's programs sign with."""
    temporary_key = AccessKey("STS.emulator", "emulator-temporary-secret", "emulator-token")
    """The same, of a role."""

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(settings or Settings())
        self.access_point = _instance.AccessPoint()
        """Who is let in at an instance's door; its ``client_key`` is what clients sign with."""
        self._start_empty()

    def _start_empty(self) -> None:
        self._account = Account()
        self._verifier = Verifier({each.id: each for each in (self.access_key, self.temporary_key)})
        self._recent: deque[float] = deque()

    def reset(self) -> None:
        """As at the start."""
        super().reset()
        self._start_empty()

    # -- who is let in ------------------------------------------------------------------

    def identify(self, request: Request) -> None:
        """A header or a parameter names the operation; parameters are in the query, the form, or both."""
        headers = request.headers
        if self._instance_of(request):
            name = headers.get("x-kms-apiname", "")
            request.operation = BY_NAME[name] if name in _instance.NAMES and request.path == "/" else None
            return
        parameters = request.query
        if headers.get("content-type", "").partition(";")[0].strip().lower() == FORM:
            parameters |= dict(parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True))
        request.operation = BY_NAME.get(headers.get("x-acs-action") or parameters.get("Action", ""))
        if request.path != "/" or (headers.get("x-acs-version") or parameters.get("Version")) != VERSION:
            request.operation = None
        request.params = parameters
        request.resource = next((parameters[name] for name in _NAMES if name in parameters), "")

    def admit(self, request: Request) -> Response | None:
        """Refuse what is not signed, or not now, or twice."""
        try:
            if self._instance_of(request):
                self.access_point.verify(request)
            else:
                signature = _hmac_sha1 if _hmac_sha1.is_claimed(request) else _acs3
                self._verifier.verify(signature.claimed(request))
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        return None

    def _instance_of(self, request: Request) -> str:
        """The instance whose door it is, by its name, or by how it is asked; empty for the region's."""
        name, _, rest = request.host.partition(".")
        if rest.startswith("cryptoservice."):
            return name
        return next(iter(self.settings.instances), "") if "x-kms-apiname" in request.headers else ""

    # -- what is answered ---------------------------------------------------------------

    def apply(self, request: Request) -> Response:
        """Do what is asked, or say why not."""
        try:
            if instance := self._instance_of(request):
                return self._do_at(request, instance)
            done = self._do(request)
        except Refused as refused:
            return self._render(refused.error, request, **refused.facts)
        id_ = _request_id()
        root = f"{request.operation.name}Response" if request.operation else ""
        return _written(request, root, {**done, "RequestId": id_}, headers=_headers(id_))

    def _do(self, request: Request) -> dict[str, Any]:
        operation = request.operation
        if request.method not in ("GET", "POST"):
            raise Refused("UnsupportedHTTPMethod")
        if not isinstance(operation, KmsOperation) or operation.name not in _HANDLERS:
            raise Refused("InvalidApi.NotFound")
        self._throttle()
        if operation.dry_run and request.params.get("DryRun", "").lower() == "true":
            raise Refused(tried(partial(self._handled, operation, request)))
        return self._handled(operation, request)

    def _handled(self, operation: KmsOperation, request: Request) -> dict[str, Any]:
        for parameter in operation.required:
            if parameter not in request.params:
                raise Refused("MissingParameter", parameter=parameter)
        return _HANDLERS[operation.name](self._call(operation, request))

    def _do_at(self, request: Request, instance: str) -> Response:
        if not isinstance(request.operation, KmsOperation):
            raise Refused("InvalidApiName", value=request.headers.get("x-kms-apiname", ""))
        self._throttle()
        if instance not in self.settings.instances:
            raise Refused("Forbidden.DKMSInstanceNotFound")
        return _instance.apply(request.operation.name, request, self._call(request.operation, request), instance)

    def _call(self, operation: KmsOperation, request: Request) -> Call:
        if operation.name in self.settings.denied:
            raise Refused("Forbidden.NoPermission")
        if operation.name == "CreateKeyVersion":
            self.clock.advance(seconds=self.settings.version_seconds)
        now = self.clock.now()
        self._account.expire(now)
        _keys.rotate_due(self._account, now)
        return Call(self._account, self.settings, now, request.params)

    def _throttle(self) -> None:
        limit, now = self.settings.requests_per_second, self.clock.now()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if limit:
            if len(self._recent) >= limit:
                raise Refused("Rejected.Throttling")
            self._recent.append(now)

    # -- errors -------------------------------------------------------------------------

    @property
    def documented(self) -> Mapping[str, Documented]:
        """The catalogue, by code."""
        return CATALOGUE

    def answer(self, name: str, request: Request) -> Response:
        """The error of that name, about what this request asks for."""
        return self._render(name, request)

    def _render(self, error: str, request: Request, /, **facts: str) -> Response:
        known, id_ = CATALOGUE[error], _request_id()
        code = known.code or error
        required = request.operation.required if isinstance(request.operation, KmsOperation) else ()
        about = {
            "parameter": next(iter(required), "KeyId"), "signed": "emulator", "value": "emulator",
            "arn": f"acs:kms:{self.settings.region}:{self.settings.account}:key/{request.resource}", **facts,
        }  # fmt: skip
        if self._instance_of(request):
            return _instance.refusal(error, about)
        message = known.message.format_map(about)
        told: dict[str, Any] = {"Code": code, "Message": message, "RequestId": id_, "HostId": request.host}
        if error in AUTHENTICATION:  # the gateway has answered, and not KMS
            more = urlencode({"Keyword": code, "source": "PopGw"})
            root, told["Recommend"] = "Error", f"https://error-center.aliyun.com/status/search?{more}"
        else:
            more = urlencode({"q": code, "product": "Kms", "requestId": id_})
            root, told["Recommend"] = "KMS", f"https://api.aliyun.com/troubleshoot?{more}"
            told["HttpStatus"] = known.status
        if code == "Forbidden.NoPermission":
            told["AccessDeniedDetail"] = self._denied(request)
        return _written(request, root, told, status=known.status, headers={**dict(known.headers), **_headers(id_)})

    def _denied(self, request: Request) -> dict[str, str]:
        """Which right was missing, as RAM tells it (aliyun/alibaba-cloud-sdk-go#578)."""
        return {
            "AuthAction": f"kms:{request.operation.name if request.operation else ''}",
            "AuthPrincipalType": "SubUser", "AuthPrincipalDisplayName": "200000000000000001",
            "AuthPrincipalOwnerId": self.settings.account, "NoPermissionType": "ImplicitDeny",
            "PolicyType": "AccountLevelIdentityBasedPolicy", "EncodedDiagnosticMessage": "AQFohtp4aIbaeEUxMTExMTE=",
        }  # fmt: skip

    # -- how to use it ------------------------------------------------------------------

    @property
    def environment(self) -> Mapping[str, str]:
        """What Alibaba's SDKs look for; and a client key, which they take as a file or a parameter."""
        return {
            "ALIBABA_CLOUD_ACCESS_KEY_ID": self.access_key.id,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": self.access_key.secret,
            "KMSBRIDGE_CLIENT_KEY": self.access_point.client_key,
        }

    def profile(self, ca_file: str) -> str:
        """The region's door."""
        host = self.address.partition("//")[2]
        return f"alibaba-kms://{self.settings.region}?endpoint={host}&credential=environment&ca={ca_file}"

    @property
    def usage(self) -> str:
        """How to point kmsbridge and Alibaba's SDK at it."""
        host, region = self.address.partition("//")[2], self.settings.region
        instance = next(iter(self.settings.instances), "kst-...")
        return f"""kmsbridge:
    export KMSBRIDGE_PROFILE="{self.profile("$SSL_CERT_FILE")}"
kmsbridge, at the door of an instance too:
    export KMSBRIDGE_PROFILE="$KMSBRIDGE_PROFILE&instance={instance}&instance_endpoint={host}\
&instance_ca=$SSL_CERT_FILE"
Python:
    Client(Config(endpoint="{host}", region_id="{region}", ca=SSL_CERT_FILE,
        access_key_id=ACCESS_KEY_ID, access_key_secret=ACCESS_KEY_SECRET))
Python, at the door of an instance:
    Client(Config(endpoint="{host}", client_key_content=KMSBRIDGE_CLIENT_KEY, ca_file_path=SSL_CERT_FILE))"""


def _written(
    request: Request, root: str, told: Mapping[str, Any], *, status: int = 200, headers: Mapping[str, str]
) -> Response:
    """An answer as JSON, or as XML where that is asked for."""
    wanted = request.params.get("Format") or request.headers.get("accept", "")
    if wanted.lower() not in ("xml", "application/xml", "text/xml"):
        return Response.json(told, status=status, headers=headers)
    fixed = (("Content-Type", _markup.CONTENT_TYPE),)
    return Response(status, (*fixed, *headers.items()), _markup.written(root, told))


def _request_id() -> str:
    return str(uuid.uuid4())


def _headers(id_: str) -> dict[str, str]:
    return {"x-acs-request-id": id_, "x-acs-trace-id": uuid.uuid4().hex}
