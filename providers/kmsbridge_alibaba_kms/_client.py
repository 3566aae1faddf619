"""The SDK's client, over our wire: it builds and signs, we send and read.

All 91 operations of the SDK go through `call_api` or `call_api_async`. Both send here, once,
and keep the raw answer on the `Exchange` that the driver gives as the SDK's runtime options:
the SDK's own transport loses the status of what is not JSON, prints whole URLs, plaintext
included, and under asyncio opens a connection for each call.
"""

from __future__ import annotations

import hashlib
import os
import time
from typing import Any, cast
from urllib.parse import quote, urlencode

from kmsbridge_alibaba_kms._logs import silenced

with silenced():
    from alibabacloud_kms20160120.client import Client as KmsClient
    from alibabacloud_tea_openapi.utils import Utils
    from alibabacloud_tea_openapi.utils_models import Config
    from darabonba.request import DaraRequest
    from darabonba.runtime import RuntimeOptions

TYPE_CHECKING = False
if TYPE_CHECKING:
    from alibabacloud_tea_openapi.utils_models import OpenApiRequest, Params

    from kmsbridge._decode import Answer
    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire
    from kmsbridge_alibaba_kms._access_keys import AccessKey

_ALGORITHM = "ACS3-HMAC-SHA256"
_NO_BODY = hashlib.sha256(b"").hexdigest()
_FORM = "application/x-www-form-urlencoded"
_UNSIGNED = {"accept": "application/json", "user-agent": "kmsbridge"}
"""What a proxy may rewrite without breaking the signature."""


class Exchange(RuntimeOptions):  # type: ignore[misc]  # the SDK has no types
    """One call's options, handed through the SDK: who signs, how long, and the answer.

    Args:
        key: Signs.
        timeout: Seconds for the request.
    """

    def __init__(self, key: AccessKey, timeout: float) -> None:
        super().__init__()
        self.key = key
        self.timeout = timeout
        self.answer: Answer | None = None

    def __repr__(self) -> str:
        return "<Exchange, not shown>"


class RawKms(KmsClient):  # type: ignore[misc]  # the SDK has no types
    """The SDK's client, which asks nobody but our wire.

    Args:
        wire: Sends.
        endpoint: Host of the region's door, with the port if there is one.
        region: Its id.
    """

    def __init__(self, wire: Wire | AsyncWire, endpoint: str, region: str) -> None:
        super().__init__(Config(endpoint=endpoint, region_id=region))
        self._wire = wire
        self._host = endpoint

    def call_api(self, params: Params, request: OpenApiRequest, runtime: RuntimeOptions) -> dict[str, Any]:
        """Send, and keep the raw answer."""
        exchange = cast("Exchange", runtime)
        url, headers, body = self._signed(params, request, exchange.key)
        wire = cast("Wire", self._wire)
        exchange.answer = wire.request(str(params.method), url, headers, body, timeout=exchange.timeout)
        return {}

    async def call_api_async(self, params: Params, request: OpenApiRequest, runtime: RuntimeOptions) -> dict[str, Any]:
        """Send, and keep the raw answer."""
        exchange = cast("Exchange", runtime)
        url, headers, body = self._signed(params, request, exchange.key)
        wire = cast("AsyncWire", self._wire)
        exchange.answer = await wire.request(str(params.method), url, headers, body, timeout=exchange.timeout)
        return {}

    def _signed(
        self, params: Params, request: OpenApiRequest, key: AccessKey
    ) -> tuple[str, dict[str, str], bytes]:
        """URL, headers and body, signed by ACS3-HMAC-SHA256 (facts: signature)."""
        form = Utils.to_form(request.body).encode() if request.body else b""
        digest = hashlib.sha256(form).hexdigest() if form else _NO_BODY
        headers = {
            "host": self._host,
            "x-acs-version": params.version,
            "x-acs-action": params.action,
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": os.urandom(16).hex(),
            "x-acs-content-sha256": digest,
        }
        if form:
            headers["content-type"] = _FORM
        if key.token is not None:
            headers["x-acs-accesskey-id"] = key.id
            headers["x-acs-security-token"] = key.token
        query = request.query or {}
        signed: Any = DaraRequest()
        signed.method, signed.pathname, signed.query, signed.headers = params.method, "/", query, headers
        authorization = Utils.get_authorization(signed, _ALGORITHM, digest, key.id, key.secret)
        url = f"https://{self._host}/"
        if query:
            url += "?" + urlencode(query, safe="~", quote_via=quote)
        return url, {**headers, **_UNSIGNED, "authorization": authorization}, form
