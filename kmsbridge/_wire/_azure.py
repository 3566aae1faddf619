"""The wire as a transport of azure-core, for the SDKs that stand on it.

A response holds its whole body from the start, so that ``stream=True`` costs nothing and
spares the SDK's own decoding; its `internal_response` is our raw `Answer`. A failure is
azure-core's ServiceRequestError while nothing was sent, and its ServiceResponseError
later; `answer_of` finds the `Answer` in either, also after the SDK has wrapped it.

Time: ``connection_timeout`` bounds the opening of a connection, and both it and
``read_timeout`` together the whole request; `within` bounds them all from outside, also
where an SDK makes several requests for one call. ``connection_verify``,
``connection_cert`` and ``proxies`` are not looked at: the wire has its own.
"""

from __future__ import annotations

import json
import math
import re
from http.client import responses
from typing import Any, Self, TypedDict
from urllib.parse import urlencode

from azure.core.exceptions import (
    DecodeError,
    HttpResponseError,
    ServiceRequestError,
    ServiceRequestTimeoutError,
    ServiceResponseError,
    ServiceResponseTimeoutError,
)
from azure.core.pipeline.transport import AsyncHttpTransport, HttpTransport
from azure.core.pipeline.transport import HttpRequest as OldRequest
from azure.core.rest import AsyncHttpResponse, HttpRequest, HttpResponse
from azure.core.utils import case_insensitive_dict

from kmsbridge._decode import Answer, Phase, Refused
from kmsbridge._wire._request import Unsendable, time_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping
    from types import TracebackType

    from azure.core.exceptions import AzureError

    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire

CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 30.0
"""Seconds, where the SDK does not say; the second only where `within` does not say either."""

_FORM = "application/x-www-form-urlencoded"


class AzureTransport(HttpTransport[Any, "AzureResponse"]):
    """A transport of azure-core's pipelines. It does not own its wire: closing it closes nothing."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def send(self, request: HttpRequest | OldRequest, **kwargs: Any) -> AzureResponse:
        """Send a request of either of azure-core's kinds.

        Raises:
            AzureError: There is no whole answer; see `answer_of`.
        """
        try:
            return AzureResponse(request, self._wire.request(*_parts(request), **_limits(kwargs)))
        except Refused as caught:
            refused = caught
        raise _error(refused)

    def open(self) -> None:
        """Nothing: connections are opened when they are needed."""

    def close(self) -> None:
        """Nothing: the wire is its owner's to close."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass


class AzureAsyncTransport(AsyncHttpTransport[Any, "AzureAsyncResponse"]):
    """A transport of azure-core's async pipelines. It does not own its wire: closing it closes nothing."""

    def __init__(self, wire: AsyncWire) -> None:
        self._wire = wire

    async def send(self, request: HttpRequest | OldRequest, **kwargs: Any) -> AzureAsyncResponse:
        """Send a request of either of azure-core's kinds.

        Raises:
            AzureError: There is no whole answer; see `answer_of`.
        """
        try:
            return AzureAsyncResponse(request, await self._wire.request(*_parts(request), **_limits(kwargs)))
        except Refused as caught:
            refused = caught
        raise _error(refused)

    async def open(self) -> None:
        """Nothing: connections are opened when they are needed."""

    async def close(self) -> None:
        """Nothing: the wire is its owner's to close."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass


class _Limits(TypedDict):
    timeout: float
    connect_timeout: float


def _limits(kwargs: dict[str, Any]) -> _Limits:
    left = time_left()
    connect, read = kwargs.get("connection_timeout"), kwargs.get("read_timeout")
    if connect is None:  # not said, or said to be None, as azure-cosmos does for query plans
        connect = CONNECT_TIMEOUT
    if read is None:
        read = READ_TIMEOUT if left == math.inf else left
    return {"timeout": min(left, float(connect) + float(read)), "connect_timeout": float(connect)}


def _parts(request: HttpRequest | OldRequest) -> tuple[str, str, Mapping[str, str], bytes]:
    headers: Mapping[str, str] = request.headers
    multipart = False
    if isinstance(request, HttpRequest):
        content = request.content  # a form, or the parts of an upload: only the first has its type already
        multipart = isinstance(content, dict) and headers.get("content-type") != _FORM
    else:
        content, multipart = request.data, bool(request.files)
    if isinstance(content, dict):
        body = urlencode({name: value for name, value in content.items() if value is not None}, doseq=True).encode()
        headers = case_insensitive_dict(headers)
        headers.setdefault("content-type", _FORM)
    else:
        body = content.encode() if isinstance(content, str) else content or b""
    if multipart or not isinstance(body, bytes):
        unsendable = Unsendable("the body is neither text, bytes nor a form")
        raise _error(Refused(Answer(phase=Phase.BEFORE_SEND, exception=unsendable)))
    return request.method, request.url, headers, body


def _error(refused: Refused) -> AzureError:
    late = isinstance(refused.answer.exception, TimeoutError)
    if refused.answer.phase is Phase.BEFORE_SEND:
        before = ServiceRequestTimeoutError if late else ServiceRequestError
        return before("the request was not sent", error=refused)
    after = ServiceResponseTimeoutError if late else ServiceResponseError
    return after("the request has no whole answer", error=refused)


# -- responses --------------------------------------------------------------------------


class _Whole:
    """What azure-core reads in a response, old kind or new, of an answer that is here as a whole."""

    def __init__(self, request: HttpRequest | OldRequest, answer: Answer) -> None:
        assert answer.status is not None
        self._request = request
        self._status = answer.status
        self._encoding: str | None = None
        self._headers: MutableMapping[str, str] = case_insensitive_dict()
        for name, value in answer.headers:  # RFC 9110, 5.3: fields of one name are one list
            self._headers[name] = f"{self._headers[name]}, {value}" if name in self._headers else value
        self.internal_response = answer
        self.block_size = 4096

    @property
    def request(self) -> Any:
        return self._request

    @property
    def url(self) -> str:
        return self._request.url

    @property
    def status_code(self) -> int:
        return self._status

    @property
    def reason(self) -> str:
        return responses.get(self._status, "")

    @property
    def headers(self) -> MutableMapping[str, str]:
        return self._headers

    @property
    def content_type(self) -> str | None:
        return self._headers.get("content-type")

    @property
    def is_closed(self) -> bool:
        return True

    @property
    def is_stream_consumed(self) -> bool:
        return True

    @property
    def encoding(self) -> str | None:
        """As it was set, or as the content type has it."""
        if self._encoding is None:
            found = re.search(r"charset=\"?([\w.:-]+)", self.content_type or "", re.IGNORECASE)
            return found[1] if found is not None else None
        return self._encoding

    @encoding.setter
    def encoding(self, value: str | None) -> None:
        self._encoding = value

    @property
    def content(self) -> bytes:
        return self.internal_response.body

    def body(self) -> bytes:
        return self.content

    def text(self, encoding: str | None = None) -> str:
        """The body as text.

        Raises:
            DecodeError: It is a success and not text: a secret with a character replaced is a wrong secret.
        """
        name = encoding or self.encoding or "utf-8"
        if name.lower() in ("utf-8", "utf8"):
            name = "utf-8-sig"
        errors = "strict" if self._status < 400 else "replace"
        try:
            return self.content.decode(name, errors)
        except LookupError:  # no charset that Python knows
            return self.content.decode("utf-8-sig", "replace")
        except UnicodeDecodeError:
            pass
        raise DecodeError("the answer is not text", response=self)

    def json(self) -> Any:
        return json.loads(self.text())

    def raise_for_status(self) -> None:
        if self._status >= 400:
            raise HttpResponseError(response=self)

    def _blocks(self) -> list[bytes]:
        return [self.content[start : start + self.block_size] for start in range(0, len(self.content), self.block_size)]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._status}>"


class AzureResponse(_Whole, HttpResponse):
    """An answer, as azure-core's pipelines read it."""

    def read(self) -> bytes:
        return self.content

    def iter_bytes(self, **kwargs: Any) -> Iterator[bytes]:
        del kwargs
        yield from self._blocks()

    def iter_raw(self, **kwargs: Any) -> Iterator[bytes]:
        return self.iter_bytes(**kwargs)

    def stream_download(self, pipeline: object = None, **kwargs: Any) -> Iterator[bytes]:
        del pipeline
        return self.iter_bytes(**kwargs)

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        pass


class AzureAsyncResponse(_Whole, AsyncHttpResponse):
    """An answer, as azure-core's async pipelines read it."""

    async def read(self) -> bytes:
        return self.content

    async def iter_bytes(self, **kwargs: Any) -> AsyncIterator[bytes]:
        del kwargs
        for block in self._blocks():
            yield block

    async def iter_raw(self, **kwargs: Any) -> AsyncIterator[bytes]:
        async for block in self.iter_bytes(**kwargs):
            yield block

    def stream_download(self, pipeline: object = None, **kwargs: Any) -> AsyncIterator[bytes]:
        del pipeline
        return self.iter_bytes(**kwargs)

    async def close(self) -> None:
        pass

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None = None,
        exc_value: BaseException | None = None,
        traceback: TracebackType | None = None,
    ) -> None:
        pass
