"""Between the SDK and the wire: what may go through, and where to.

The SDK's retries are for a naive caller. Here nothing comes back into it but successes:
every refusal and every failure leaves it at once, as the raw answer, so that one attempt is
one request, and nothing that an exception of the SDK would hide is lost.
"""

from __future__ import annotations

import base64
import json
import re
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import AzureError

from kmsbridge._decode import MAX_BODY, Answer, Refused, http_date
from kmsbridge._wire import answer_of
from kmsbridge._wire._azure import AzureAsyncResponse, AzureAsyncTransport, AzureResponse, AzureTransport
from kmsbridge_azure_cosmos import _findings
from kmsbridge_azure_cosmos._reading import speaking, sub_status_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire


_LOOPBACK = ("localhost", "127.0.0.1")
_NO_OWNER = b"owner resource does not exist"
"""What is said of an item whose container is gone; the sub-status that tells it from one that is not there may be 0."""


class Heard:
    """What the transport has heard during one thing that was asked."""

    def __init__(self) -> None:
        self.last: Answer | None = None
        self.refused_token: str | None = None
        self.planned = False
        """Whether the SDK has taken a query apart, one for each of several partitions."""


HEARD: ContextVar[Heard] = ContextVar("kmsbridge_cosmos_heard")


class Regions:
    """Where requests go, and what leaves the SDK."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._endpoint = url
        self.account: Answer | None = None
        """The account's answer: the SDK's own looks in the background are given this one, and send nothing."""
        self.read_at: float | None = None
        """When the account was last read, by the runtime's clock; None once it has answered for items after that."""

    def held(self, request: Any) -> Answer | None:
        """Direct a request to the region that the account named; an answer, where that is known already."""
        if urlsplit(request.url).path in ("", "/"):
            return self.account
        if self._endpoint != self._url:
            request.url = self._endpoint + request.url.removeprefix(self._url)
        return None

    def passed(self, request: Any, answer: Answer) -> None:
        """Let a success through to the SDK.

        Raises:
            Refused: It is none. Of a batch, a member is none.
        """
        heard = HEARD.get(None) or Heard()
        heard.last = answer
        path, status = urlsplit(request.url).path, answer.status or 0
        if 200 <= status < 300:
            if path in ("", "/"):
                self._read(answer)
            elif "/docs" in path:
                self.read_at = None
            get = request.method == "GET"
            if get and status != 200:  # what is asked for is in the answer, or there is none
                raise Refused(answer)
            if not get and (spoken := speaking(answer)) is not answer:
                raise Refused(spoken)
            return
        sub_status = sub_status_of(answer.all("x-ms-substatus"))
        if status == 400 and sub_status == 1004:  # the SDK makes a query plan of its own, and asks again
            heard.planned = True
            return
        if status == 304 and path.rstrip("/").endswith("/pkranges"):  # the end of that list
            return
        token = unquote(request.headers.get("Authorization") or "").partition("sig=")[2]
        if status == 403 and not sub_status and expired(token, answer.header("date")):
            answer = answer._replace(door=_findings.EXPIRED)
        if status == 401 or answer.door == _findings.EXPIRED:
            heard.refused_token = token
        no_owner = status == 404 and not sub_status and _NO_OWNER in answer.body[:MAX_BODY].lower()
        if no_owner or (status == 404 and "/docs" not in path):
            answer = answer._replace(door=_findings.CONTAINER)
        raise Refused(answer)

    def _read(self, answer: Answer) -> None:
        """Note the region that the account names for writing, if it is one of the account."""
        try:
            named = json.loads(answer.body)["writableLocations"][0]["databaseAccountEndpoint"]
            self._endpoint = self._own(named)
        except (ValueError, KeyError, IndexError, TypeError, RecursionError):
            self._endpoint = self._url
        self.account = answer

    def _own(self, named: str) -> str:
        here, there = urlsplit(self._url), urlsplit(named)
        account, _, suffix = (here.hostname or "").partition(".")
        host = there.hostname or ""
        local = here.hostname in _LOOPBACK and (host in _LOOPBACK or host.endswith(".localhost"))  # RFC 6761
        regional = re.fullmatch(rf"{re.escape(account)}(?:-[a-z0-9]+)?\.{re.escape(suffix)}", host) is not None
        if there.scheme != "https" or "@" in there.netloc or not (local or regional):
            raise ValueError("the account names an address that is not its own")
        if not local and there.port not in (None, 443):
            raise ValueError("another port")
        return f"https://{there.netloc}"


def expired(token: str, date: str | None) -> bool:
    """Whether a token of Microsoft Entra was too old by the service's own clock. It is not verified, only read."""
    body = token.split(".")[1] if token.count(".") == 2 else ""
    now = http_date(date or "")
    if now is None or not body:
        return False
    try:
        said = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (ValueError, RecursionError):
        return False
    end = said.get("exp") if isinstance(said, dict) else None
    return isinstance(end, int | float) and not isinstance(end, bool) and end <= now


class Transport(AzureTransport):
    """The wire, for the SDK's sync client."""

    def __init__(self, wire: Wire, regions: Regions) -> None:
        super().__init__(wire)
        self._regions = regions

    def send(self, request: Any, **kwargs: Any) -> AzureResponse:
        """Send once."""
        if (held := self._regions.held(request)) is not None:
            return AzureResponse(request, held)
        try:
            response = super().send(request, **kwargs)
        except AzureError as error:
            if (known := answer_of(error)) is None:
                raise
        else:
            self._regions.passed(request, response.internal_response)
            return response
        raise Refused(known)


class AsyncTransport(AzureAsyncTransport):
    """The wire, for the SDK's async client."""

    def __init__(self, wire: AsyncWire, regions: Regions) -> None:
        super().__init__(wire)
        self._regions = regions

    async def send(self, request: Any, **kwargs: Any) -> AzureAsyncResponse:
        """Send once."""
        if (held := self._regions.held(request)) is not None:
            return AzureAsyncResponse(request, held)
        try:
            response = await super().send(request, **kwargs)
        except AzureError as error:
            if (known := answer_of(error)) is None:
                raise
        else:
            self._regions.passed(request, response.internal_response)
            return response
        raise Refused(known)
