"""One emulator: a backend behind a server, in a thread of its own."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import threading
from typing import Any, TypeVar

from kmsbridge.emulation._connection import Reply
from kmsbridge.emulation._control import PREFIX, Control
from kmsbridge.emulation._failures import ANSWERED, ANY, CHALLENGE, CONNECT, Answer, Failures, Rule, failure_from_json
from kmsbridge.emulation._message import Response
from kmsbridge.emulation._recorder import Recorder
from kmsbridge.emulation._server import LOOPBACK, Server
from kmsbridge.emulation._tls import Authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    from kmsbridge.emulation._backend import Backend
    from kmsbridge.emulation._clock import Clock
    from kmsbridge.emulation._failures import Failure
    from kmsbridge.emulation._message import Request

B = TypeVar("B", bound="Backend[Any]")
T = TypeVar("T")

START_SECONDS = 10.0
STOP_SECONDS = 5.0

_log = logging.getLogger(__name__)


class Emulator:
    """Serves one backend on loopback, until it is stopped.

    Its methods may be called from any thread, and also while an event loop runs: the
    emulator has a loop of its own, and each call is over when it returns.

    Args:
        backend: What is emulated.
        host: Where to listen; ``localhost`` is 127.0.0.1, and ::1 where the machine has it.
        port: 0 stands for a free one.
        expose: Whether `host` may be an address that other machines reach. An emulator keeps
            no secret from anybody who does.
        seed: Of the dice behind ``probability``.
        keep_bodies: Whether `requests` keeps the bodies, which hold secrets.

    Raises:
        ValueError: `host` is not loopback, and `expose` was not said.
    """

    def __init__(
        self, backend: Backend[Any], *, host: str = "localhost", port: int = 0, expose: bool = False,
        seed: int = 0, keep_bodies: bool = False,
    ) -> None:
        if host not in LOOPBACK and not expose:
            raise ValueError(f"{host} is not loopback: expose=True (--expose) lets other machines reach the emulator")
        self.backend = backend
        everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - said by whoever exposes it
        self.names = tuple(dict.fromkeys((*LOOPBACK, *backend.hosts, *(() if everywhere else (host,)))))
        """What the certificate is for: names and addresses."""
        self.requests = Recorder(keep_bodies=keep_bodies)
        """Every request since the start or the last reset."""
        self.token = secrets.token_urlsafe(24)
        """What the control path asks for."""
        self.port = port
        self._host = host
        self._failures = Failures(seed)
        self._control = Control(self.names, self.token, self._calls())
        self._authority = Authority(self.names)
        self._server = Server(self._answer, self._connecting, self._authority.context())
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopped: asyncio.Event | None = None

    # -- life ---------------------------------------------------------------------------

    def start(self) -> Self:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        started = threading.Event()
        failed: list[OSError] = []

        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            self._stopped = stopped = asyncio.Event()
            try:
                self.port = self._server.listen(self._host, self.port)
                self.backend.address = self.url
            except OSError as error:
                failed.append(error)
                return
            finally:
                started.set()
            await stopped.wait()
            await self._server.close()

        self._thread = threading.Thread(target=asyncio.run, args=(serve(),), name="kmsbridge-emulator", daemon=True)
        self._thread.start()
        if not started.wait(START_SECONDS):
            raise TimeoutError(f"the emulator did not start in {START_SECONDS:.0f} s")
        if failed:
            raise failed[0]
        return self

    def stop(self) -> None:
        """Close every connection and stop listening. A second call does nothing."""
        loop, thread, stopped = self._loop, self._thread, self._stopped
        if loop is not None and thread is not None and stopped is not None and thread.is_alive():
            with contextlib.suppress(RuntimeError):  # the loop ended by itself in between
                loop.call_soon_threadsafe(stopped.set)
            thread.join(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """``https://localhost:<port>``."""
        return f"https://localhost:{self.port}"

    @property
    def ca_pem(self) -> bytes:
        """The certificate of the authority that clients have to trust."""
        return self._authority.pem

    def write_ca(self, path: str) -> str:
        """Write that certificate to a file; the path. It holds no key."""
        with open(path, "wb") as file:
            file.write(self.ca_pem)
        return path

    # -- control ------------------------------------------------------------------------

    @property
    def clock(self) -> Clock:
        """The clock of the emulated service."""
        return self.backend.clock

    def fail(
        self, operation: str, with_: Failure | str, *, times: int | None = 1, probability: float = 1.0,
        before_applying: bool = True, resource: str | None = None,
    ) -> None:
        """Let requests fail.

        Args:
            operation: A name from the backend's table; ``*`` for every admitted request but
                those for tokens and the like, ``Challenge`` for requests that are not admitted,
                ``Connect`` for connections before TLS.
            with_: The name of a documented error of the backend, or what shall happen instead.
            times: How many requests meet it; None for all that come.
            probability: Of each request to meet it, above 0 and at most 1.
            before_applying: Whether the operation is left undone. `Cut`, `Drip` and `Delay`
                happen to the answer of an operation that was done: for these it is not looked at.
            resource: The name of the item; None for any.

        Raises:
            ValueError: There is no such operation or error, or the rule could never fire.
        """
        known = {each.name for each in self.backend.operations} | {ANY, CHALLENGE, CONNECT}
        if operation not in known:
            raise ValueError(f"no operation {operation!r}; there are {', '.join(sorted(known))}")
        if isinstance(with_, str) and with_ not in self.backend.documented:
            raise ValueError(f"no documented error {with_!r}; there are {', '.join(sorted(self.backend.documented))}")
        rule = Rule(operation, with_, resource, times, probability, before_applying)
        self._on_loop(lambda: self._failures.add(rule))

    def clear_failures(self) -> None:
        """Let nothing fail any more."""
        self._on_loop(self._failures.reset)

    def configure(self, **settings: Any) -> None:
        """Change how the backend behaves; see its settings.

        Raises:
            ValueError: There is no such setting, or it has another type.
        """
        self._on_loop(lambda: self.backend.configure(**settings))

    def disconnect(self) -> int:
        """Reset every open connection, as a load balancer does to idle ones; how many there were."""
        return self._on_loop(self._server.disconnect)

    def reset(self) -> None:
        """As at the start: no state, no failures, no requests, the real time. Connections stay open."""
        self._on_loop(self._reset)

    def _reset(self) -> None:
        self._failures.reset()
        self.requests.reset()
        self.backend.reset()

    def _calls(self) -> Mapping[str, Callable[[dict[str, Any]], object]]:
        """What the control path offers: the same as the methods here. Each runs on the loop."""
        backend = self.backend

        def fail(given: dict[str, Any]) -> dict[str, Any]:
            self.fail(given.pop("operation"), with_=failure_from_json(given.pop("with")), **given)
            return {}

        def clear_failures(_: dict[str, Any]) -> dict[str, Any]:
            self.clear_failures()
            return {}

        def clock(given: dict[str, Any]) -> dict[str, float]:
            self.clock.advance(**given)
            return {"now": self.clock.now()}

        def settings(given: dict[str, Any]) -> dict[str, Any]:
            self.configure(**given)
            return backend.current_settings()

        def reset(_: dict[str, Any]) -> dict[str, Any]:
            self.reset()
            return {}

        return {
            "GET requests": lambda _: self.requests.to_list(),
            "POST failures": fail,
            "DELETE failures": clear_failures,
            "GET clock": lambda _: {"now": self.clock.now()},
            "POST clock": clock,
            "GET settings": lambda _: backend.current_settings(),
            "PATCH settings": settings,
            "GET operations": lambda _: [each.name for each in backend.operations],
            "GET errors": lambda _: {
                name: {"status": each.status, "source": each.source} for name, each in backend.documented.items()
            },
            "POST disconnect": lambda _: {"connections": self.disconnect()},
            "POST reset": reset,
        }

    def _on_loop(self, work: Callable[[], T]) -> T:
        """Do something on the loop that all state lives on, unless there is none yet, or it is ours."""
        loop = self._loop
        if loop is None or not loop.is_running() or threading.current_thread() is self._thread:
            return work()

        async def do() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(do(), loop).result()

    # -- requests -----------------------------------------------------------------------

    def _connecting(self) -> Failure | None:
        rule = self._failures.take(CONNECT, "")
        return rule.failure if rule is not None and not isinstance(rule.failure, str) else None

    async def _answer(self, request: Request) -> Reply:
        if request.path.startswith(PREFIX):
            return Reply(self._control.handle(request, self.port))
        try:
            return self._reply(request)
        except Exception:
            _log.exception("the emulator of %s is broken", self.backend.name)
            return Reply(Response(500, (("Content-Type", "text/plain"),), b"the emulator is broken: see its log\n"))

    def _reply(self, request: Request) -> Reply:
        backend = self.backend
        backend.identify(request)
        seen = self.requests.add(request)
        refused = backend.admit(request)
        known = request.operation
        operation = CHALLENGE if refused is not None else known.name if known is not None else ""
        rule = self._failures.take(
            operation, request.resource, auxiliary=known is not None and known.auxiliary
        )
        if rule is None:
            response = refused or backend.apply(request)
            seen.status = response.status
            return Reply(response)
        seen.failure = rule.name
        response = Response(500)
        if not rule.before_applying or isinstance(rule.failure, ANSWERED):
            response = refused or backend.apply(request)
        if isinstance(rule.failure, str):
            response = backend.answer(rule.failure, request)
            seen.status = response.status
            return Reply(response)
        if isinstance(rule.failure, Answer):
            response = rule.failure.response()
        if isinstance(rule.failure, (Answer, *ANSWERED)):
            seen.status = response.status
        return Reply(response, rule.failure)
