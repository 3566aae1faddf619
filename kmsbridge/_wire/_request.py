"""What both halves of the wire share: where a request goes, how far it got, where it ends."""

from __future__ import annotations

import math
import os
import re
from contextlib import suppress
from contextvars import ContextVar
from functools import lru_cache
from time import monotonic, time
from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from weakref import WeakSet

from kmsbridge._decode import MAX_BODY, Answer, Phase, Refused, chain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

CONNECTIONS = 64
"""Connections that one wire holds to one origin; further requests wait for one."""
IDLE_SECONDS = 30.0
"""How long a connection is kept that nobody uses; gateways cut silent ones without a word after minutes."""
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of a successful answer; a longer one is refused. Of any other answer `MAX_BODY` bytes are read."""
MAX_FIELD = 64 * 1024
"""Bytes of one header, in both halves; a challenge with claims is long."""
CHUNK = 64 * 1024
"""Bytes that are read or written between two looks at the clock."""


class Broken(ConnectionError):
    """The connection, or what came over it, was not what HTTP says."""


def broken(error: Exception) -> Broken:
    """The same for what a client raises that is no OSError; by this one the decoder knows it."""
    failure = Broken("what came was not HTTP, or not all of it")
    failure.__cause__ = error
    return failure


class Unsendable(ValueError):
    """A request that is not sent: its URL or a header is not one, or it would go out unprotected."""


# -- one request ------------------------------------------------------------------------


class Attempt:
    """One request on its way: its end, and all that is known of its answer."""

    __slots__ = ("_parts", "_size", "headers", "phase", "status", "until")

    def __init__(self, timeout: float) -> None:
        self.until = monotonic() + timeout
        self.phase = Phase.BEFORE_SEND
        self.status: int | None = None
        self.headers: Sequence[tuple[str, str]] = ()
        self._parts: list[bytes] = []
        self._size = 0

    def left(self) -> float:
        """Seconds to its end.

        Raises:
            TimeoutError: There are none.
        """
        if (left := self.until - monotonic()) <= 0:
            raise TimeoutError
        return left

    def begin(self, status: int, headers: Sequence[tuple[str, str]]) -> None:
        """Its status and headers are here."""
        self.status, self.headers, self.phase = status, headers, Phase.BODY

    def add(self, part: bytes) -> bool:
        """More of the body; False when no more of it is wanted."""
        self._parts.append(part)
        self._size += len(part)
        return self._size <= self._most

    @property
    def _most(self) -> int:
        return MAX_ANSWER if self.status is not None and 200 <= self.status < 300 else MAX_BODY

    def answer(self) -> Answer:
        """The answer.

        Raises:
            Refused: It is a success, but too long to be one.
        """
        body = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        if len(body) > self._most:
            if self._most == MAX_ANSWER:
                raise Refused(Answer(self.status, self.headers, received_at=time()))
            body = body[: self._most]
        return Answer(self.status, self.headers, body, received_at=time())

    def refused(self, failure: Exception) -> Refused:
        """What is known when it failed. Tracebacks are cut: their frames hold headers and body."""
        if isinstance(failure, Refused):
            return failure
        if isinstance(failure, TimeoutError):  # what it interrupted says nothing more
            failure = TimeoutError("the time for the request was over")
        for link in chain(failure):
            link.__traceback__ = None
        body = b"".join(self._parts)[: self._most]
        return Refused(Answer(self.status, self.headers, body, self.phase, failure, received_at=time()))


_DEADLINE: ContextVar[float] = ContextVar("kmsbridge_deadline", default=math.inf)


class Within:
    """A deadline for what is done inside. A class: a generator would take three times as long, and each call pays."""

    __slots__ = ("_seconds", "_token")

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._token = _DEADLINE.set(min(_DEADLINE.get(), monotonic() + self._seconds))

    def __exit__(self, *exc_info: object) -> None:
        _DEADLINE.reset(self._token)


def within(seconds: float) -> Within:
    """Bounds every request that an SDK makes inside, challenges and tokens included, in this thread or task."""
    return Within(seconds)


def time_left() -> float:
    """Seconds until the nearest deadline set by `within`; infinite where there is none."""
    return _DEADLINE.get() - monotonic()


def answer_of(failure: BaseException) -> Answer | None:
    """What the wire knows about a failure that an SDK raised over it, however the SDK wrapped it."""
    for link in chain(failure):
        for candidate in (link, getattr(link, "inner_exception", None)):
            if isinstance(candidate, Refused):
                return candidate.answer
        answer = getattr(getattr(link, "response", None), "internal_response", None)
        if isinstance(answer, Answer):
            return answer
    return None


# -- where it goes ----------------------------------------------------------------------

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OURS = frozenset(("accept-encoding", "connection", "content-length", "expect", "host", "te", "transfer-encoding"))
"""Headers that the wire itself answers for: framing, and that nothing is encoded."""


class Origin(NamedTuple):
    """One server."""

    secure: bool
    host: str
    port: int


def origin_of(url: str, *, plain: bool) -> tuple[Origin, str]:
    """The server of a URL, and what to ask it for.

    Raises:
        Unsendable: It is not an address to send to. The text never holds the URL.
    """
    if not (url.isascii() and url.isprintable()) or " " in url:
        raise Unsendable("the URL holds characters that no URL has")
    try:
        scheme, netloc, path, query, _ = urlsplit(url)
    except ValueError:
        scheme = netloc = path = query = ""
    path = path or "/"
    return _origin(scheme, netloc, plain), f"{path}?{query}" if query else path


@lru_cache(256)
def _origin(scheme: str, netloc: str, plain: bool) -> Origin:
    try:
        parts = urlsplit(f"//{netloc}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if scheme not in ("http", "https") or not host or "@" in netloc:
        raise Unsendable("the URL is not http(s)://host[:port]/path")
    secure = scheme == "https"
    if not secure and not (plain and _near(host)):
        raise Unsendable("plain http is for this machine only, and only where it is allowed")
    return Origin(secure, host, (443 if secure else 80) if port is None else port)


def _near(host: str) -> bool:
    """Whether it is this machine: by its name for itself, loopback, or link-local, which no router passes on."""
    from ipaddress import ip_address

    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_link_local


def sendable(method: str, headers: Mapping[str, str]) -> dict[str, str]:
    """The headers to send.

    Raises:
        Unsendable: One is not a header. The text never holds a value.
    """
    if not _TOKEN.fullmatch(method):
        raise Unsendable("the method is not a word")
    fields = {}
    for name, value in headers.items():
        if not _TOKEN.fullmatch(name) or not (value.isascii() and (value.isprintable() or not value)):
            raise Unsendable("a header holds characters that no header has")
        if name.lower() not in _OURS:
            fields[name] = value
    return fields


class Proxy:
    """A proxy on the way. Its repr does not show the login."""

    __slots__ = ("headers", "host", "port")

    def __init__(self, host: str, port: int, headers: dict[str, str]) -> None:
        self.host = host
        self.port = port
        self.headers = headers


def proxy_for(origin: Origin) -> Proxy | None:
    """The proxy that the environment names for a server; None for none, and for plain http.

    Raises:
        Broken: What it names is no ``http://[user:password@]host[:port]``.
    """
    if not origin.secure:
        return None
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    named = proxies.get("https") or proxies.get("all")
    if not named or proxy_bypass(f"{origin.host}:{origin.port}"):
        return None
    proxy = None
    with suppress(ValueError):  # a port that is none
        parts = urlsplit(named if "://" in named else f"http://{named}")
        if parts.scheme == "http" and parts.hostname is not None:
            proxy = Proxy(parts.hostname, parts.port or 80, _login(parts.username, parts.password))
    if proxy is None:
        raise Broken("the proxy that the environment names is not http://[user:password@]host[:port]")
    return proxy


def _login(user: str | None, password: str | None) -> dict[str, str]:
    if user is None:
        return {}
    from base64 import b64encode

    login = f"{unquote(user)}:{unquote(password or '')}".encode()
    return {"Proxy-Authorization": f"Basic {b64encode(login).decode()}"}


# -- one wire ---------------------------------------------------------------------------


class Half:
    """What both halves are made with, and what becomes of them in a forked child."""

    def __init__(self, *, ca: str | None = None, plain: bool = False) -> None:
        self._ca = ca
        self._plain = plain
        self._context: ssl.SSLContext | None = None
        self._closed = False
        _WIRES.add(self)

    def _tls(self) -> ssl.SSLContext:
        """Made at the first connection: to read the system's certificates takes 10 ms and more."""
        if self._context is None:
            import ssl

            self._context = ssl.create_default_context(cafile=self._ca)
        return self._context

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("this wire is closed")

    def after_fork(self) -> None:
        """In a forked child: the parent's connections are neither used nor shut down here."""
        raise NotImplementedError


class Blocking(Half):
    """The half that blocks, told apart without importing urllib3."""


_WIRES: WeakSet[Half] = WeakSet()


def _after_fork() -> None:
    for wire in list(_WIRES):
        wire.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
