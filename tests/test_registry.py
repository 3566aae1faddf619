"""Which provider answers a scheme, and how open drivers are shared, kept and closed."""

from __future__ import annotations

import asyncio
import gc
import importlib.metadata
import os
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import kmsbridge
from kmsbridge import InvalidRequestError, Outcome, PreconditionError, UnsupportedError, _registry
from kmsbridge._registry import DRIVERS, provider_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge._runtime import Runtime
    from tests.kmsbridge_scripted import Script

WAIT = 10.0
HERE = Path(__file__).parent


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, not for ever."""
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "the condition did not come true"
        time.sleep(0.002)


def join(threads: list[threading.Thread]) -> None:
    """Start all and wait for them; one that hangs fails the test."""
    for each in threads:
        each.daemon = True
        each.start()
    for each in threads:
        each.join(WAIT)
    assert not any(each.is_alive() for each in threads)


def run(script: str) -> subprocess.CompletedProcess[str]:
    """A program in a process of its own, with warnings shown and the scripted provider at hand."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), str(HERE.parent)])}
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", textwrap.dedent(script)],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done


# -- which provider ---------------------------------------------------------------------------


@pytest.fixture
def entry_points(monkeypatch: pytest.MonkeyPatch) -> list[importlib.metadata.EntryPoint]:
    """The installed entry points, as a test fills them in."""
    points: list[importlib.metadata.EntryPoint] = []

    def found(*, group: str) -> list[importlib.metadata.EntryPoint]:
        assert group == "kmsbridge.providers"
        return points

    monkeypatch.setattr(importlib.metadata, "entry_points", found)
    return points


class Distribution(importlib.metadata.Distribution):
    """An installed distribution of some name."""

    def __init__(self, name: str) -> None:
        self._name = name

    @property
    def name(self) -> str:
        """As it stands in its metadata."""
        return self._name

    def read_text(self, filename: str) -> str | None:
        """Nothing else is known of it."""
        del filename
        return None

    def locate_file(self, path: object) -> Path:
        """Nowhere."""
        return Path(str(path))


def point(scheme: str, module: str, distribution: str | None = None) -> importlib.metadata.EntryPoint:
    """An entry point of a distribution."""
    made = importlib.metadata.EntryPoint(scheme, module, "kmsbridge.providers")
    if distribution is not None:
        vars(made)["dist"] = Distribution(distribution)
    return made


def package(folder: Path, name: str, text: str = "") -> None:
    """A package on disk."""
    (folder / name).mkdir()
    (folder / name / "__init__.py").write_text(text)


@pytest.mark.usefixtures("script")
def test_a_provider_is_found_by_the_name_of_its_module_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scheme `scripted` is the module `kmsbridge_scripted`; the slow scan of entry points is not needed."""

    def scan(**_: object) -> object:
        pytest.fail("entry points were scanned")

    monkeypatch.setattr(importlib.metadata, "entry_points", scan)
    assert provider_for("scripted").name == "scripted"
    assert provider_for("memory") is provider_for("local")


def test_a_hyphen_in_a_scheme_is_an_underscore_in_its_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`some-backend` is kmsbridge_some_backend."""
    package(tmp_path, "kmsbridge_some_backend", "name = 'some-backend'\ndef configure(location): ...")
    monkeypatch.syspath_prepend(tmp_path)
    assert provider_for("some-backend").name == "some-backend"


@pytest.mark.usefixtures("script")
def test_another_distribution_adds_a_provider_by_entry_point(
    entry_points: list[importlib.metadata.EntryPoint]
) -> None:
    """Third parties are equal: their module may have any name."""
    entry_points += [point("other", "json", "other"), point("vault", "kmsbridge_scripted", "acme")]
    assert provider_for("vault").name == "scripted"
    assert _registry.schemes() == ["other", "vault"]


def test_two_distributions_for_one_scheme_are_both_named_and_neither_is_used(
    entry_points: list[importlib.metadata.EntryPoint]
) -> None:
    """Which one was meant is not guessed."""
    entry_points += [point("vault", "json", "acme-kms"), point("vault", "csv", "zenith")]
    with pytest.raises(InvalidRequestError, match=r"claimed by acme-kms \(json\) and zenith \(csv\)") as caught:
        provider_for("vault")
    assert caught.value.remediation == "Uninstall one of them."


def test_an_unknown_scheme_is_answered_with_the_known_ones(
    entry_points: list[importlib.metadata.EntryPoint]
) -> None:
    """The error lists what could have been meant."""
    entry_points += [point("b-two", "json", "x"), point("a-one", "json", "x")]
    with pytest.raises(InvalidRequestError, match="no provider answers to the scheme 'gone'") as caught:
        provider_for("gone")
    assert "a-one, b-two" in caught.value.remediation
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.__context__ is None
    entry_points.clear()
    with pytest.raises(InvalidRequestError) as caught:
        provider_for("gone")
    assert "none" in caught.value.remediation


@pytest.mark.parametrize("scheme", ["A", "a_b", "-a", "", "a.b", "os", "1"])
def test_a_scheme_never_imports_what_is_no_provider(
    scheme: str, entry_points: list[importlib.metadata.EntryPoint]
) -> None:
    """Only kmsbridge_<scheme> of a well-formed scheme is tried."""
    assert not entry_points
    before = set(sys.modules)
    with pytest.raises(InvalidRequestError):
        provider_for(scheme)
    assert {name for name in set(sys.modules) - before if name.startswith(("kmsbridge_", "os."))} == set()


def test_an_import_error_of_a_provider_itself_is_not_swallowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A provider that is there and broken is not reported as missing."""
    package(tmp_path, "kmsbridge_torn", "import kmsbridge_torn.missing_part")
    package(tmp_path, "kmsbridge_bare", "import surely_not_installed_17")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="missing_part"):
        provider_for("torn")
    with pytest.raises(ModuleNotFoundError, match="surely_not_installed_17"):
        provider_for("bare")


def test_what_is_left_of_a_removed_provider_is_no_provider(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, entry_points: list[importlib.metadata.EntryPoint]
) -> None:
    """A folder without __init__.py, such as one that holds only __pycache__, does not answer."""
    (tmp_path / "kmsbridge_leftover" / "__pycache__").mkdir(parents=True)
    monkeypatch.syspath_prepend(tmp_path)
    assert not entry_points
    with pytest.raises(InvalidRequestError, match="no provider answers"):
        provider_for("leftover")


def test_a_missing_sdk_is_answered_with_the_extra_to_install(script: Script) -> None:
    """The first call names the package that is missing and what to type."""

    async def without_sdk(_: object) -> None:
        __import__("surely_not_installed_17.aio")

    script.on_open = without_sdk
    with kmsbridge.connect("scripted://a") as bridge, pytest.raises(UnsupportedError) as caught:
        bridge.secrets.get("x")
    assert "'surely_not_installed_17', which is not installed" in caught.value.message
    assert caught.value.remediation == "pip install 'kmsbridge[scripted]'"
    assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("module", ["kmsbridge_scripted.missing", "kmsbridge._missing"])
def test_a_broken_part_of_ours_is_not_taken_for_a_missing_sdk(script: Script, module: str) -> None:
    """A module of the provider or the core that is not there is a fault, not an extra to install."""

    async def broken(_: object) -> None:
        __import__(module)

    script.on_open = broken
    with kmsbridge.connect("scripted://a") as bridge, pytest.raises(kmsbridge.UnknownError) as caught:
        bridge.secrets.get("x")
    assert caught.value.causes[0].type == "ModuleNotFoundError"
    assert caught.value.outcome is Outcome.NOT_SENT


# -- sharing, sync -----------------------------------------------------------------------------


def test_nothing_is_opened_before_the_first_call(script: Script) -> None:
    """`connect` does no I/O, and a bridge that was never used closes without a word."""
    with kmsbridge.connect("scripted://a"):
        pass
    assert script.opened == []


def test_a_hundred_bridges_in_sixteen_threads_share_one_driver(script: Script) -> None:
    """One backend address under one identity is opened once per process, however many ask at once."""

    async def slowly(runtime: Runtime) -> None:
        await runtime.sleep(0.05)

    script.on_open = slowly
    bridges = [kmsbridge.connect("scripted://a") for _ in range(100)]
    gate = threading.Barrier(16)

    def work(number: int) -> None:
        gate.wait(WAIT)
        for bridge in bridges[number::16]:
            assert bridge.secrets.get("x").text == "value of x"

    join([threading.Thread(target=work, args=(number,)) for number in range(16)])
    assert len(script.opened) == 1
    for bridge in bridges[1:]:
        bridge.close()
    time.sleep(0.15)
    assert script.closed == []
    assert bridges[0].secrets.get("y").text == "value of y"
    bridges[0].close()
    until(lambda: script.closed == script.opened)


def test_sixteen_threads_that_use_a_new_bridge_are_one_holder(script: Script) -> None:
    """However the first calls of a bridge interleave, closing it once is enough."""
    for _ in range(20):
        bridge = kmsbridge.connect("scripted://a")
        gate = threading.Barrier(16)

        def work(bridge: kmsbridge.Bridge = bridge, gate: threading.Barrier = gate) -> None:
            gate.wait(WAIT)
            bridge.secrets.get("x")

        join([threading.Thread(target=work) for _ in range(16)])
        bridge.close()
    until(lambda: script.closed == script.opened)


def test_threads_that_close_one_bridge_at_once_give_it_back_once(script: Script) -> None:
    """Another bridge's share is not given away with it."""
    with kmsbridge.connect("scripted://a") as other:
        other.secrets.get("x")
        for _ in range(20):
            bridge = kmsbridge.connect("scripted://a")
            bridge.secrets.get("x")
            gate = threading.Barrier(8)

            def work(bridge: kmsbridge.Bridge = bridge, gate: threading.Barrier = gate) -> None:
                gate.wait(WAIT)
                bridge.close()

            join([threading.Thread(target=work) for _ in range(8)])
        time.sleep(0.15)
        assert (len(script.opened), script.closed) == (1, [])


def test_other_addresses_and_credentials_have_drivers_of_their_own(script: Script) -> None:
    """What differs in address or identity is never shared."""
    credential = object()
    with (
        kmsbridge.connect("scripted://a") as one,
        kmsbridge.connect("scripted://b") as two,
        kmsbridge.connect("scripted://a", credential=credential) as three,
        kmsbridge.connect("scripted://a", credential=credential) as four,
    ):
        for bridge in (one, two, three, four):
            bridge.secrets.get("x")
    assert [driver.settings[:2] for driver in script.opened] == [("a", None), ("b", None), ("a", id(credential))]


def test_a_driver_is_kept_for_a_while_and_then_closed(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short-lived bridges one after the other share one; it is closed when nobody came back."""
    monkeypatch.setattr(_registry, "IDLE_SECONDS", 0.3)
    for _ in range(5):
        with kmsbridge.connect("scripted://a") as bridge:
            bridge.secrets.get("x")
        time.sleep(0.01)
    assert (len(script.opened), script.closed) == (1, [])
    until(lambda: script.closed == script.opened)
    with kmsbridge.connect("scripted://a") as bridge:
        bridge.secrets.get("x")
        assert len(script.opened) == 2
        time.sleep(0.4)
        assert len(script.closed) == 1


def test_a_failed_opening_is_tried_again_by_the_next_call(script: Script) -> None:
    """A backend that could not be opened is not remembered as such."""

    async def fails(_: object) -> None:
        raise ConnectionRefusedError(111, "refused")

    async def works(_: object) -> None:
        pass

    with kmsbridge.connect("scripted://a") as bridge:
        script.on_open = fails
        with pytest.raises(kmsbridge.NetworkError) as caught:
            bridge.secrets.set("x", "y")
        assert (caught.value.attempts, caught.value.outcome) == (0, Outcome.NOT_SENT)
        script.on_open = works
        assert bridge.secrets.get("x").text == "value of x"


def test_a_failed_opening_changed_nothing(script: Script) -> None:
    """Whatever stopped it, the call itself was not sent."""

    async def fails(_: object) -> None:
        raise ValueError("odd")

    script.on_open = fails
    with kmsbridge.connect("scripted://a") as bridge, pytest.raises(kmsbridge.UnknownError) as caught:
        bridge.secrets.set("x", "y")
    assert caught.value.outcome is Outcome.NOT_SENT


def test_a_failing_close_is_logged_and_harms_nobody(script: Script, caplog: pytest.LogCaptureFixture) -> None:
    """Nobody is left to be told but the log."""

    async def fails() -> None:
        raise OSError(5, "cannot close")

    script.on_close = fails
    with kmsbridge.connect("scripted://a") as bridge:
        bridge.secrets.get("x")
    until(lambda: "an idle driver could not be closed" in caplog.text)


def test_a_bridge_that_is_closed_stays_closed(script: Script) -> None:
    """Every call on it raises, also the first one, and closing it again does nothing."""
    used, unused = kmsbridge.connect("scripted://a"), kmsbridge.connect("scripted://a")
    used.secrets.get("x")
    for bridge in (used, unused):
        bridge.close()
        bridge.close()
        for _ in range(2):
            with pytest.raises(PreconditionError, match="this bridge is closed") as caught:
                bridge.secrets.get("x")
            assert (caught.value.outcome, caught.value.attempts) == (Outcome.NOT_SENT, 0)
    assert len(script.opened) == 1


def test_a_bridge_closed_while_another_thread_opens_is_closed(script: Script) -> None:
    """The call that was opening is refused, and the driver that nobody holds is closed after a while."""
    opening, go_on = threading.Event(), threading.Event()
    refused: list[BaseException] = []

    async def slowly(_: object) -> None:
        opening.set()
        go_on.wait(WAIT)

    script.on_open = slowly
    bridge = kmsbridge.connect("scripted://a")

    def work() -> None:
        try:
            bridge.secrets.get("x")
        except PreconditionError as error:
            refused.append(error)

    worker = threading.Thread(target=work, daemon=True)
    worker.start()
    assert opening.wait(WAIT)
    bridge.close()
    go_on.set()
    worker.join(WAIT)
    assert len(refused) == 1
    until(lambda: script.closed == script.opened != [])
    with pytest.raises(PreconditionError):
        bridge.secrets.get("x")


def test_closing_races_with_calls_without_a_leak(script: Script) -> None:
    """Whoever wins, a call ends in a value or in `closed`, and in the end nothing is open."""
    for _ in range(30):
        bridge = kmsbridge.connect("scripted://a")
        gate = threading.Barrier(3)
        wrong: list[BaseException] = []

        def call(
            bridge: kmsbridge.Bridge = bridge, gate: threading.Barrier = gate, wrong: list[BaseException] = wrong
        ) -> None:
            gate.wait(WAIT)
            try:
                for _ in range(5):
                    bridge.secrets.get("x")
            except PreconditionError:
                pass
            except BaseException as error:
                wrong.append(error)

        def close(bridge: kmsbridge.Bridge = bridge, gate: threading.Barrier = gate) -> None:
            gate.wait(WAIT)
            bridge.close()

        join([threading.Thread(target=call), threading.Thread(target=call), threading.Thread(target=close)])
        assert wrong == []
        with pytest.raises(PreconditionError):
            bridge.secrets.get("x")
    until(lambda: script.closed == script.opened)


def test_the_fast_path_takes_no_lock(script: Script) -> None:
    """A call on an open driver does not queue behind one that is being opened or closed."""
    with kmsbridge.connect("scripted://a") as bridge:
        bridge.secrets.get("x")
        got: list[str] = []
        with DRIVERS._lock:
            worker = threading.Thread(target=lambda: got.append(bridge.secrets.get("x").text), daemon=True)
            worker.start()
            worker.join(WAIT)
        assert got == ["value of x"]
    assert len(script.opened) == 1


# -- sharing, async ---------------------------------------------------------------------------


def test_each_loop_has_one_driver_however_many_bridges_and_tasks(script: Script) -> None:
    """Five loops in five threads, twenty bridges and a hundred tasks each: five drivers, each used in its loop."""
    gate = threading.Barrier(5)
    shared = kmsbridge.connect_async("scripted://a")

    async def here(driver: object, call: object) -> None:
        del call
        assert driver in homes[asyncio.get_running_loop()]

    async def slowly(runtime: object) -> None:
        del runtime
        await asyncio.sleep(0.02)

    homes: dict[object, list[object]] = {}
    script.on_open = slowly

    async def main() -> None:
        loop = asyncio.get_running_loop()
        gate.wait(WAIT)
        bridges = [shared, *(kmsbridge.connect_async("scripted://a") for _ in range(19))]
        await asyncio.gather(*(bridge.secrets.get("x") for bridge in bridges for _ in range(5)))
        homes[loop] = [driver for driver in script.opened if driver.runtime.scope() is loop]
        for bridge in bridges[1:]:
            await bridge.aclose()

    join([threading.Thread(target=lambda: asyncio.run(main())) for _ in range(5)])
    assert len(script.opened) == 5
    assert sorted(map(id, script.closed)) == sorted(map(id, script.opened))


def test_a_bridge_used_from_two_loops_never_mixes_their_drivers(script: Script) -> None:
    """An async client dies with its loop: each call gets the driver of the loop it runs in."""
    bridge = kmsbridge.connect_async("scripted://a")
    owners: dict[int, object] = {}
    mixed: list[object] = []
    gate = threading.Barrier(4)

    async def opened(runtime: object) -> None:
        del runtime

    async def get(driver: object, call: object) -> None:
        del call
        loop = asyncio.get_running_loop()
        if owners.setdefault(id(driver), loop) is not loop:
            mixed.append(driver)

    script.on_open = opened
    script.on["get"] = get

    async def main() -> None:
        gate.wait(WAIT)
        for _ in range(300):
            await bridge.secrets.get("x")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        join([threading.Thread(target=lambda: asyncio.run(main())) for _ in range(4)])
    finally:
        sys.setswitchinterval(interval)
    assert mixed == []
    assert len(script.opened) == 4


def test_an_idle_driver_is_closed_in_its_loop(script: Script) -> None:
    """The clock starts with the last bridge, stops when one comes back, and closes in the loop itself."""
    loops: list[object] = []

    async def closing() -> None:
        loops.append(asyncio.get_running_loop())

    script.on_close = closing

    async def main() -> None:
        for _ in range(3):
            async with kmsbridge.connect_async("scripted://a") as bridge:
                await bridge.secrets.get("x")
            await asyncio.sleep(0.01)
        assert len(script.opened) == 1
        await asyncio.sleep(0.2)
        assert script.closed == script.opened
        assert loops == [asyncio.get_running_loop()]
        async with kmsbridge.connect_async("scripted://a") as bridge:
            await bridge.secrets.get("x")
            await asyncio.sleep(0.2)
            assert len(script.opened) == 2
            assert len(script.closed) == 1

    asyncio.run(main())
    assert len(script.closed) == 2


def test_the_end_of_a_loop_closes_what_is_open_in_it(script: Script) -> None:
    """asyncio.run ends without leftovers, whether the bridge was closed or not; loop after loop."""
    bridge = kmsbridge.connect_async("scripted://a")

    async def main() -> None:
        assert (await bridge.secrets.get("x")).text == "value of x"

    for number in range(1, 4):
        asyncio.run(main())
        assert len(script.opened) == len(script.closed) == number


def test_two_hundred_loops_leave_nothing_behind(script: Script) -> None:
    """A long-lived bridge holds on to none of the loops it was used in but the last."""
    bridge = kmsbridge.connect_async("scripted://a")
    loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()

    async def main() -> None:
        loops.add(asyncio.get_running_loop())
        await bridge.secrets.get("x")

    for _ in range(200):
        asyncio.run(main())
    assert len(script.closed) == 200
    script.opened.clear()
    script.closed.clear()
    gc.collect()
    assert len(loops) <= 2
    assert len(DRIVERS._scopes) <= 2


def test_a_loop_closed_without_shutdown_does_not_break_later_ones(script: Script) -> None:
    """Its driver is lost with it; another loop opens its own, and nothing piles up."""
    bridge = kmsbridge.connect_async("scripted://a")
    loops: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
    for number in range(1, 21):
        loop = asyncio.new_event_loop()
        loops.add(loop)
        assert loop.run_until_complete(bridge.secrets.get("x")).text == "value of x"
        assert len(script.opened) == number
        loop.close()
        del loop
    asyncio.run(bridge.aclose())
    script.opened.clear()
    script.closed.clear()
    gc.collect()
    assert len(loops) <= 2
    assert len(DRIVERS._scopes) <= 2


def test_a_bridge_may_be_closed_from_another_loop_or_after_its_own(script: Script) -> None:
    """Closing gives back what is held in other loops as well."""
    bridge = kmsbridge.connect_async("scripted://a")
    asyncio.run(_get(bridge))
    asyncio.run(bridge.aclose())
    assert script.closed == script.opened

    closed = asyncio.Event()

    async def closing() -> None:
        closed.set()

    script.on_close = closing

    async def main() -> None:
        other = kmsbridge.connect_async("scripted://a")
        await other.secrets.get("x")
        closer = threading.Thread(target=lambda: asyncio.run(other.aclose()), daemon=True)
        closer.start()
        await closed.wait()

    asyncio.run(asyncio.wait_for(main(), WAIT))
    assert len(script.closed) == 2


async def _get(bridge: kmsbridge.AsyncBridge) -> kmsbridge.Secret:
    return await bridge.secrets.get("x")


def test_sync_and_async_bridges_to_one_backend_have_drivers_of_their_own(script: Script) -> None:
    """A sync client is not used in a loop, nor the other way round."""

    async def main() -> None:
        async with kmsbridge.connect_async("scripted://a") as one:
            with kmsbridge.connect("scripted://a") as other:
                assert (await one.secrets.get("x")).text == other.secrets.get("x").text

    asyncio.run(main())
    assert len({type(driver.runtime) for driver in script.opened}) == 2


def test_cancelling_the_call_that_opens_lets_another_open(script: Script) -> None:
    """A cancelled first call costs nobody else theirs, and leaves no driver without an end."""
    calls: list[int] = []

    async def slowly(_: object) -> None:
        calls.append(1)
        await asyncio.sleep(WAIT if len(calls) == 1 else 0)

    script.on_open = slowly

    async def main() -> None:
        bridge = kmsbridge.connect_async("scripted://a")
        tasks = [asyncio.create_task(bridge.secrets.get("x")) for _ in range(10)]
        await asyncio.sleep(0.02)
        tasks[0].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(results[0], asyncio.CancelledError)
        assert all(isinstance(result, kmsbridge.Secret) for result in results[1:])

    asyncio.run(asyncio.wait_for(main(), WAIT))
    assert len(calls) == 2
    assert len(script.opened) == len(script.closed) == 1


# -- the end of the process, and fork -----------------------------------------------------------


def test_at_exit_what_is_open_is_closed() -> None:
    """A program that closes no bridge ends cleanly, and its drivers are closed."""
    done = run("""
        import asyncio, atexit, kmsbridge, kmsbridge_scripted
        atexit.register(lambda: print("closed", len(kmsbridge_scripted.SCRIPT.closed)))
        kmsbridge.connect("scripted://a").secrets.get("x")
        kmsbridge.connect("scripted://b").secrets.get("x")
        asyncio.run(kmsbridge.connect_async("scripted://c").health())
        bridge = kmsbridge.connect("scripted://d")
        bridge.secrets.get("x")
        bridge.close()
    """)
    assert done.stdout == "closed 4\n"


def test_a_bridge_may_be_used_while_the_process_exits() -> None:
    """A call in an exit handler gets a driver that is open, and nothing is written to stderr."""
    done = run("""
        import atexit, kmsbridge, kmsbridge_scripted
        bridge = kmsbridge.connect("scripted://a")
        script = kmsbridge_scripted.SCRIPT

        async def get(driver, call):
            assert driver not in script.closed

        def last():
            print(bridge.secrets.get("x").text, len(script.opened))
            bridge.close()

        script.on["get"] = get
        import kmsbridge._registry as registry
        atexit.unregister(registry.DRIVERS.close_process)
        atexit.register(last)
        atexit.register(registry.DRIVERS.close_process)
        bridge.secrets.get("x")
    """)
    assert done.stdout == "value of x 2\n"


@pytest.mark.skipif("not hasattr(os, 'fork')")
def test_a_forked_child_opens_anew_and_leaves_the_parents_driver_alone() -> None:
    """A pool shared by fork hands one process another's secret: the child neither uses nor closes it."""
    done = run("""
        import os, sys, kmsbridge, kmsbridge_scripted
        script = kmsbridge_scripted.SCRIPT
        pids = {}

        async def opened(runtime):
            pids[len(script.opened)] = os.getpid()

        async def get(driver, call):
            assert pids[script.opened.index(driver)] == os.getpid(), "another process's driver"

        script.on_open, script.on["get"] = opened, get
        bridge, unused, idle = (kmsbridge.connect("scripted://a") for _ in range(3))
        bridge.secrets.get("x")
        idle.secrets.get("x")
        idle.close()
        child = os.fork()
        if not child:
            script.closed.clear()
            bridge.secrets.get("x")
            unused.secrets.get("x")
            assert len(script.opened) == 2, script.opened
            bridge.close()
            unused.close()
            import kmsbridge._registry
            kmsbridge._registry.DRIVERS.close_process()
            assert script.closed == script.opened[1:], script.closed
            os._exit(0)
        print("child", os.waitpid(child, 0)[1])
        bridge.secrets.get("x")
        print(len(script.opened), len(script.closed))
        child = os.fork()
        if not child:
            bridge.close()
            os._exit(len(script.closed))
        print("child", os.waitpid(child, 0)[1])
    """)
    assert done.stdout == "child 0\n1 0\nchild 0\n"


@pytest.mark.skipif("not hasattr(os, 'fork')")
def test_a_lock_held_by_another_thread_at_fork_does_not_hang_the_child() -> None:
    """The thread that would release it does not exist in the child: locks and flights are made anew."""
    done = run("""
        import os, signal, threading, warnings, kmsbridge, kmsbridge_scripted
        from kmsbridge._registry import DRIVERS
        warnings.simplefilter("ignore", DeprecationWarning)
        script = kmsbridge_scripted.SCRIPT
        opening, go_on = threading.Event(), threading.Event()

        async def slowly(runtime):
            if not go_on.is_set():
                opening.set()
                go_on.wait(20)

        script.on_open = slowly
        bridge = kmsbridge.connect("scripted://a")
        flying = threading.Thread(target=lambda: bridge.secrets.get("x"))
        flying.start()
        opening.wait(20)
        held, release = threading.Event(), threading.Event()

        def hold():
            with DRIVERS._lock, DRIVERS._opening._lock:
                held.set()
                release.wait(20)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(20)
        child = os.fork()
        if not child:
            signal.alarm(10)
            go_on = threading.Event()
            go_on.set()
            print(bridge.secrets.get("x").text, flush=True)
            bridge.close()
            os._exit(0)
        print("child", os.waitpid(child, 0)[1])
        release.set()
        go_on.set()
        holder.join()
        flying.join()
        print(bridge.secrets.get("x").text)
    """)
    assert done.stdout == "value of x\nchild 0\nvalue of x\n"
