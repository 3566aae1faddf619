"""What all contracts share: which cases apply, the fixtures, and what is expected of errors."""

from __future__ import annotations

import inspect
import os
from contextlib import contextmanager
from dataclasses import fields
from functools import wraps
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

import pytest
import pytest_asyncio

from kmsbridge import TAXONOMY, KMSError, Outcome, connect, connect_async
from kmsbridge._errors import CLASS_OF
from kmsbridge.contract._views import BridgeView, Mode
from kmsbridge.contract._witness import Canary, Witness

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from kmsbridge import Code
    from kmsbridge.contract._harness import Backend, Harness

F = TypeVar("F", bound="Callable[..., Any]")

_CANARY = Canary()


class Connect(Protocol):
    """The fixture ``connect``: another bridge to the backend of the case."""

    def __call__(self, target: str | None = None, **options: Any) -> BridgeView:
        """A bridge to `target`, else to the backend itself; closed after the case."""
        ...


class Profile(Protocol):
    """The fixture ``profile``: a configuration file for the case alone."""

    def __call__(self, mapped: Mapping[str, str]) -> str:
        """The name of a profile of the backend, in which portable names are mapped to native ones."""
        ...


class Contract:
    """A set of cases about one part of `kmsbridge.Capabilities`; see `SecretsContract` and `KeysContract`.

    A subclass with a `harness` keeps the cases that apply to what its provider claims;
    the others are no tests of it, so that nothing is skipped.
    """

    harness: ClassVar[Harness]
    """Set by who tests a provider."""
    part: ClassVar[str]
    """The attribute of `kmsbridge.Capabilities` that the cases are about."""
    operations: ClassVar[tuple[str, ...]]
    """The abilities that are operations; the others are arguments of these."""

    pytestmark = pytest.mark.asyncio(loop_scope="function")

    claims: ClassVar[Any]
    """That part of what the provider claims; found out when the class is defined."""
    claimed: ClassVar[frozenset[str]]
    """The abilities that the provider claims."""
    unclaimed: ClassVar[frozenset[str]]
    """The others."""
    _arguments: ClassVar[dict[str, list[str]]]
    """The arguments of cases that stand for abilities, and what they run through."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        given = [base for base in cls.__mro__ if "harness" in vars(base)]
        if not given:
            return
        if len(given) > 1:  # the cases that the first has dropped would be missing without a word
            raise TypeError(f"{cls.__name__} has a harness of its own: derive it from what has none")
        cls.claims = getattr(cls.harness.capabilities(), cls.part)
        flags = {field.name: getattr(cls.claims, field.name) for field in fields(cls.claims)}
        cls.claimed = frozenset(name for name, value in flags.items() if value is True)
        cls.unclaimed = frozenset(name for name, value in flags.items() if value is False)
        cls._arguments = cls._tables()
        for name in dir(cls):
            if name.startswith("test") and not cls._applies(getattr(cls, name)):
                setattr(cls, name, None)

    @classmethod
    def _applies(cls, case: Callable[..., Any] | None) -> bool:
        needed: frozenset[str] = getattr(case, "needs", frozenset())
        lacked: frozenset[str] = getattr(case, "without", frozenset())
        if unknown := (needed | lacked) - cls.claimed - cls.unclaimed:
            raise TypeError(f"a case asks for abilities that do not exist: {', '.join(sorted(unknown))}")
        if case is None or not needed <= cls.claimed or not lacked <= cls.unclaimed:
            return False
        return all(cls._arguments.get(argument, True) for argument in inspect.signature(case).parameters)

    @classmethod
    def _tables(cls) -> dict[str, list[str]]:
        return {
            "operation": [name for name in cls.operations if name in cls.claimed],
            "ability": sorted(cls.unclaimed),
        }

    @classmethod
    def able(cls) -> list[str]:
        """The operations that are claimed."""
        return cls._tables()["operation"]

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a case once per claimed operation, or per ability that is not claimed."""
        for argument, names in self._arguments.items():
            if argument in metafunc.fixturenames:
                metafunc.parametrize(argument, names)

    # -- fixtures -----------------------------------------------------------------------

    @pytest.fixture
    def canary(self) -> Canary:
        """Makes the values a case writes."""
        return _CANARY

    @pytest.fixture(autouse=True)
    def witness(self, canary: Canary) -> Iterator[Witness]:
        """Looks for the canary in everything the library says, and fails the case that finds it."""
        witness = Witness(canary)
        with witness.watching():
            yield witness
        assert not witness.leaks, "a secret value was found in " + "; ".join(dict.fromkeys(witness.leaks))

    @pytest.fixture(params=[Mode.SYNC, Mode.ASYNC], ids=lambda mode: mode.value)
    def mode(self, request: pytest.FixtureRequest) -> Mode:
        """Each case runs against both faces."""
        mode: Mode = request.param
        return mode

    @pytest.fixture
    def backend(self, witness: Witness) -> Iterator[Backend]:
        """A fresh, empty backend."""
        del witness  # it watches from before the backend is there
        with self.harness.backend() as backend:
            yield backend

    @pytest_asyncio.fixture(loop_scope="function")
    async def connect(self, mode: Mode, backend: Backend, witness: Witness) -> AsyncIterator[Connect]:
        """Makes further bridges to the backend."""
        views: list[BridgeView] = []

        def connected(target: str | None = None, **options: Any) -> BridgeView:
            make = connect if mode is Mode.SYNC else connect_async
            options = {"credential": backend.credential, "on_event": witness.event, **options}
            views.append(BridgeView(make(target or backend.url, **options), witness))
            return views[-1]

        yield connected
        for view in views:
            await view.aclose()

    @pytest.fixture
    def bridge(self, connect: Connect) -> BridgeView:
        """A bridge to the backend, in the mode of the case."""
        return connect()

    @pytest.fixture
    def profile(self, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Profile:
        """Writes a profile for the backend, with a table of names."""

        def written(mapped: Mapping[str, str]) -> str:
            path = tmp_path / "kmsbridge.toml"
            lines = ["[profiles.contract]", f"url = {_quoted(backend.url)}", f"[profiles.contract.{self.part}]"]
            lines += [f"{_quoted(portable)} = {_quoted(native)}" for portable, native in mapped.items()]
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as stream:
                stream.write("\n".join(lines) + "\n")
            monkeypatch.setenv("KMSBRIDGE_CONFIG", str(path))
            return "contract"

        return written


def for_each(argument: str, values: Iterable[object]) -> Callable[[F], F]:
    """A case that is run once for each of these values, all on one backend.

    For cases that leave nothing behind: to have a fresh backend for each would take most of the time.
    """

    def mark(case: F) -> F:
        @wraps(case)
        async def run(*args: Any, **fixtures: Any) -> None:
            for value in values:
                try:
                    await case(*args, **fixtures, **{argument: value})
                except BaseException as failure:
                    failure.add_note(f"with {argument} = {value!r}")
                    raise

        told = inspect.signature(case)
        kept = [parameter for name, parameter in told.parameters.items() if name != argument]
        vars(run)["__signature__"] = told.replace(parameters=kept)
        return cast("F", run)

    return mark


def needs(*abilities: str) -> Callable[[F], F]:
    """A case for providers that claim all of these."""
    return _marked("needs", abilities)


def without(*abilities: str) -> Callable[[F], F]:
    """A case for providers that claim none of these."""
    return _marked("without", abilities)


def _marked(how: str, abilities: tuple[str, ...]) -> Callable[[F], F]:
    def mark(case: F) -> F:
        setattr(case, how, frozenset(abilities))
        return case

    return mark


@contextmanager
def refused(code: Code, outcome: Outcome | None = Outcome.NOT_APPLIED) -> Iterator[pytest.ExceptionInfo[KMSError]]:
    """The calls inside must fail with this code; see `check`."""
    __tracebackhide__ = True
    with pytest.raises(KMSError) as info:
        yield info
    check(info.value, code, outcome)


def check(error: object, code: Code, outcome: Outcome | None = Outcome.NOT_APPLIED) -> KMSError:
    """The error, if it is this one: code, class, outcome, what to do about a retry, and whether it was sent.

    No outcome stands for either of the two that changed nothing: some drivers know before they send.
    """
    __tracebackhide__ = True
    assert isinstance(error, KMSError), f"{code} was expected, and the call succeeded"
    assert error.code is code, error.details()
    assert isinstance(error, CLASS_OF[code])
    assert error.category is TAXONOMY[code].category
    expected = (Outcome.NOT_SENT, Outcome.NOT_APPLIED) if outcome is None else (outcome,)
    assert error.outcome in expected, error.details()
    assert error.retry.action is TAXONOMY[code].retry.action, error.details()
    if error.outcome is Outcome.NOT_SENT:
        assert error.attempts == 0, error.details()
    else:
        assert error.attempts >= 1, error.details()
    return error


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
