"""``kmsbridge demo``: one application on every installed backend, and the same mistakes made on each."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import NamedTuple
from urllib.parse import quote

import click

from kmsbridge import Code, KMSError, UnsupportedError
from kmsbridge._config import FILE_VARIABLE, PROFILE_VARIABLE
from kmsbridge.cli._demo_cases import INCIDENTS, MISTAKES, NAME, SECONDS, STEPS, offers
from kmsbridge.cli._help import Command
from kmsbridge.cli._options import Chosen, connect, json_option
from kmsbridge.cli._output import note, say, say_json, table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from kmsbridge import Bridge
    from kmsbridge.cli._demo_cases import Incident, Step
    from kmsbridge.emulation import Emulator

APPLICATION = Path(__file__).with_name("demo_app.py")
"""The same file as ``examples/app.py``."""


class Result(NamedTuple):
    """What came of a step or mistake on one backend."""

    title: str
    backend: str
    good: bool
    shown: str
    seconds: float
    error: KMSError | None = None


@click.command(cls=Command, epilog="kmsbridge demo")
@json_option
@click.pass_context
def demo(context: click.Context) -> None:
    """Run one application on every installed backend.

    Then the same mistakes are made on each, to show that their errors are the same, and what only
    befalls one of them is decoded. Clouds are their emulators, for as long as this takes. Works in a
    temporary folder, touches nothing else and asks nothing. The exit status is 1 if anything did not
    behave.
    """
    from tempfile import TemporaryDirectory

    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="kmsbridge-demo-"))
        emulators: dict[str, Emulator] = {}
        targets, idle = _targets(folder, stack, emulators)
        with _configured(folder, targets):
            worked = [result for profile in targets for result in _work(profile)]
            failed = [result for profile in targets for result in _err(profile)]
            befell = [_befall(each, emulators[each.backend]) for each in INCIDENTS if each.backend in targets]
        _close_drivers()
    good = bool(targets) and all(result.good for result in worked + failed + befell)
    if context.ensure_object(Chosen).json:
        say_json({
            "ok": good,
            "backends": list(targets),
            "not_run": idle,
            "worked": [_record(result) for result in worked],
            "mistakes": [_record(result) for result in failed],
            "incidents": [_record(result) for result in befell],
        })
    else:
        _print(list(targets), worked, failed, befell)
        for scheme in idle:
            say(f"{scheme} is installed, and has nothing to run against here.")
    if not good:
        note("something did not behave as it should" if targets else "no provider is installed")
        raise click.exceptions.Exit(1)


# -- where to ---------------------------------------------------------------------------


def _targets(folder: str, stack: ExitStack, emulators: dict[str, Emulator]) -> tuple[dict[str, str], list[str]]:
    """The profiles to run on, as name and URL; and the schemes that have none.

    A cloud is its emulator. It has none where its SDK is not installed, or what emulators need.
    """
    from kmsbridge._registry import provider_for, schemes

    targets: dict[str, str] = {}
    idle: list[str] = []
    for scheme in schemes():
        if provider_for(scheme).name == "local":
            targets[scheme] = scheme + (":" if scheme == "memory" else f":{quote(folder)}/demo.db")
        elif found := _emulated(scheme, folder, stack):
            targets[scheme], emulators[scheme] = found
        else:
            idle.append(scheme)
    return dict(sorted(targets.items())), idle


def _emulated(scheme: str, folder: str, stack: ExitStack) -> tuple[str, Emulator] | None:
    """Start the emulator of a backend; the URL that reaches it, if kmsbridge can, and itself."""
    try:
        from kmsbridge.emulation import Emulator, backend_named

        backend = backend_named(scheme)
    except (ModuleNotFoundError, ValueError):  # what it needs is not installed, or there is none
        return None
    emulator = stack.enter_context(Emulator(backend))
    url = backend.profile(emulator.write_ca(os.path.join(folder, f"{scheme}.pem")))
    stack.enter_context(_environment(backend.environment))
    if not url:
        return None
    with connect(url, SECONDS) as bridge:
        return None if bridge.health(timeout=SECONDS).code is Code.UNSUPPORTED else (url, emulator)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables in the environment of this process and its children, until the end."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _configured(folder: str, targets: Mapping[str, str]) -> Iterator[None]:
    """A configuration file with these profiles, in force for this process and its children."""
    import json

    path = os.path.join(folder, "kmsbridge.toml")
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
        stream.writelines(f"[profiles.{json.dumps(name)}]\nurl = {json.dumps(url)}\n" for name, url in targets.items())
    with _environment({FILE_VARIABLE: path}):
        yield


def _close_drivers() -> None:
    """Before the folder goes: let go of what is open in it."""
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()


# -- doing ------------------------------------------------------------------------------


def _work(profile: str) -> Iterator[Result]:
    for run in ("first", "second"):
        yield _application(profile, run)
    with connect(profile, SECONDS) as bridge:
        for step in STEPS:
            yield _tried(step, profile, bridge)


def _application(profile: str, run: str) -> Result:
    """The example application, as a program of its own: only the environment says where."""
    title, start = f"application, {run} run", perf_counter()
    environment = {**os.environ, PROFILE_VARIABLE: profile}
    try:
        done = subprocess.run(
            [sys.executable, str(APPLICATION)], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )
    except subprocess.TimeoutExpired:
        return Result(title, profile, good=False, shown="took too long", seconds=perf_counter() - start)
    said = done.stdout.partition(" ")[0] if done.returncode == 0 else f"exit status {done.returncode}"
    return Result(title, profile, done.returncode == 0, said, perf_counter() - start)


def _tried(step: Step, profile: str, bridge: Bridge) -> Result:
    start = perf_counter()
    works, failure = _attempt(partial(step.works, bridge))
    seconds = perf_counter() - start
    offered = offers(bridge, step.ability)
    if failure is None:
        return Result(step.title, profile, bool(works) and offered, "ok" if works else "wrong answer", seconds)
    good = not offered and isinstance(failure, UnsupportedError)
    return _failed(step.title, profile, failure, good=good, seconds=seconds)


def _err(profile: str) -> Iterator[Result]:
    with connect(profile, SECONDS) as bridge:
        for mistake in MISTAKES:
            start = perf_counter()
            _, failure = _attempt(partial(mistake.make, bridge, profile))
            seconds = perf_counter() - start
            if failure is None:
                yield Result(mistake.title, profile, good=False, shown="no error", seconds=seconds)
                continue
            offered = offers(bridge, mistake.ability)
            expected = mistake.expected if offered else Code.UNSUPPORTED
            good = isinstance(failure, KMSError) and failure.code is expected
            yield _failed(mistake.title, profile, failure, good=good, seconds=seconds)


def _befall(incident: Incident, emulator: Emulator) -> Result:
    """Let it happen, for good, and read a secret."""
    emulator.configure(**incident.settings)
    start = perf_counter()
    with connect(incident.backend, SECONDS) as bridge:
        _, failure = _attempt(partial(bridge.secrets.get, NAME))
    seconds = perf_counter() - start
    if failure is None:
        return Result(incident.title, incident.backend, good=False, shown="no error", seconds=seconds)
    good = isinstance(failure, KMSError) and failure.code is incident.expected
    return _failed(incident.title, incident.backend, failure, good=good, seconds=seconds)


def _attempt(call: Callable[[], object]) -> tuple[object, Exception | None]:
    try:
        return call(), None
    except Exception as failure:  # an exception that is not ours is a finding of the demo
        return None, failure


def _failed(title: str, profile: str, failure: Exception, *, good: bool, seconds: float) -> Result:
    error = failure if isinstance(failure, KMSError) else None
    return Result(title, profile, good, type(failure).__name__ if error is None else error.code, seconds, error)


# -- showing ----------------------------------------------------------------------------


def _print(backends: list[str], worked: list[Result], failed: list[Result], befell: list[Result]) -> None:
    say("The same program and the same calls on each backend, by configuration alone:\n")
    table(
        ("call", *backends),
        [(title, *(f"{_mark(each)}  {each.seconds * 1000:.1f} ms" for each in row)) for title, row in _rows(worked)],
    )
    say("\nThe same mistakes on each backend, as one vocabulary:\n")
    table(
        ("mistake", *backends, "retry", "what to do"),
        [
            (
                title, *map(_mark, row),
                " or ".join(dict.fromkeys(each.error.retry.action.value for each in row if each.error)),
                " Or: ".join(dict.fromkeys(each.error.remediation for each in row if each.error)),
            )
            for title, row in _rows(failed)
        ],
    )
    if befell:
        say("\nWhat befalls one of them alone, decoded:\n")
        table(
            ("what", "backend", "error", "who has to act", "what to do"),
            [(each.title, each.backend, _mark(each), *_advice(each.error)) for each in befell],
        )


def _advice(error: KMSError | None) -> tuple[str, str]:
    """Who, and what."""
    return ("", "") if error is None else (error.fault.value, error.remediation)


def _rows(results: list[Result]) -> list[tuple[str, list[Result]]]:
    """By title, in the order of the first backend."""
    titles = dict.fromkeys(result.title for result in results)
    return [(title, [result for result in results if result.title == title]) for title in titles]


def _mark(result: Result) -> str:
    return result.shown if result.good else f"FAILED: {result.shown}"


def _record(result: Result) -> dict[str, Any]:
    return {
        "title": result.title,
        "backend": result.backend,
        "ok": result.good,
        "result": result.shown,
        "seconds": round(result.seconds, 6),
        "error": None if result.error is None else result.error.to_dict(),
    }
