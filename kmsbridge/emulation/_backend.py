"""What an emulated service is to the server in front of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar, Generic, TypeVar

from kmsbridge.emulation._clock import Clock
from kmsbridge.emulation._routing import Router

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed import DataclassInstance

    from kmsbridge.emulation._message import Request, Response
    from kmsbridge.emulation._routing import Operation

S = TypeVar("S", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Documented:
    """An error that the service is documented, or was seen, to send."""

    source: str
    """Where that is written: a section of the vendor's documents, or an answer that was published."""
    status: int


class Backend(ABC, Generic[S]):
    """One emulated service. Everything in it runs on the emulator's loop, one call at a time."""

    name: ClassVar[str]
    """The scheme of its provider: ``azure-keyvault``."""
    operations: ClassVar[Sequence[Operation]]
    hosts: ClassVar[tuple[str, ...]] = ()
    """Names that its clients use besides ``localhost``; ``*.x.localhost`` stands for all under it."""

    def __init__(self, settings: S) -> None:
        self.clock = Clock()
        self.settings = settings
        """How the service behaves: data, set by `configure`."""
        self.address = ""
        """``https://localhost:<port>``, once the server listens."""
        self._initial = settings
        self._router = Router(self.operations)

    def identify(self, request: Request) -> None:
        """Fill in the operation of a request, its parameters and the name of its resource."""
        if found := self._router.match(request.method, request.path):
            request.operation, request.params = found
            request.resource = request.params.get("name", "")

    def admit(self, request: Request) -> Response | None:
        """The answer to a request that does not get as far as its operation; None for one that does."""
        del request
        return None

    @abstractmethod
    def apply(self, request: Request) -> Response:
        """Do what an admitted request asks."""

    @property
    @abstractmethod
    def documented(self) -> Mapping[str, Documented]:
        """The errors that `answer` can give, by name."""

    @abstractmethod
    def answer(self, name: str, request: Request) -> Response:
        """The documented error of that name, as this request would get it."""

    @property
    def environment(self) -> Mapping[str, str]:
        """What clients look for in the environment, besides the certificate to trust."""
        return {}

    def profile(self, ca_file: str) -> str:
        """The URL by which kmsbridge reaches it, with `environment`; empty if it has no provider for it.

        Args:
            ca_file: Path of the file with the certificate to trust.
        """
        del ca_file
        return ""

    @property
    @abstractmethod
    def usage(self) -> str:
        """How to point a client at it: lines for a person."""

    def configure(self, **changes: Any) -> None:
        """Change settings.

        Raises:
            ValueError: There is no such setting, or it has another type.
        """
        known = {each.name: getattr(self._initial, each.name) for each in fields(self._initial)}
        for name, value in changes.items():
            if name not in known:
                raise ValueError(f"no setting {name!r}; there are {', '.join(sorted(known))}")
            if isinstance(known[name], tuple) and isinstance(value, list | tuple):
                if not all(isinstance(each, str) for each in value):
                    raise ValueError(f"{name} is a list of text")
                changes[name] = tuple(value)
            elif type(value) is not type(known[name]):
                raise ValueError(f"{name} is a {type(known[name]).__name__}")
        self.settings = replace(self.settings, **changes)

    def current_settings(self) -> dict[str, Any]:
        """The settings in force, for JSON."""
        return asdict(self.settings)

    def reset(self) -> None:
        """As at the start: no state, no moved clock, the first settings."""
        self.clock.reset()
        self.settings = self._initial
