"""A local store under several processes: starts, writes, forks, kills and rekeys; and event loops beside it."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import kmsbridge
import kmsbridge_local
from kmsbridge import Code, KMSError
from kmsbridge._config import parse_url
from kmsbridge_local import _asymmetric, _rekey, _store, configure, decoder
from kmsbridge_local._errors import StoreError
from kmsbridge_local._rekey import rekey
from kmsbridge_local._root_key import FILE_VARIABLE, VARIABLE, RootKeySource, new_root_key, to_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge_local._config import LocalSettings

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
KILLS = 300 if LONG else 30
HARNESS = str(Path(__file__).parent / "kill_harness.py")


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a store goes."""
    return f"local:{tmp_path}/s.db"


def run(program: str, *arguments: str) -> str:
    """What a program of this test prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- several at once --------------------------------------------------------------------

WRITER = """
import sys, kmsbridge, kmsbridge_local._driver
bridge = kmsbridge.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
for i in range(int(sys.argv[2])):
    print(bridge.secrets.set("shared", f"{sys.argv[3]}-{i}").version)
"""


def crowd(url: str, writes: int) -> dict[str, str]:
    """Let 8 processes write one name at the same moment; what was acknowledged, as versions with their values."""
    command = [sys.executable, "-c", WRITER, url, str(writes)]
    writers = [
        subprocess.Popen([*command, str(i)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for i in range(8)
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    acknowledged: dict[str, str] = {}
    for number, writer in enumerate(writers):
        printed, _ = writer.communicate(timeout=60)
        assert writer.returncode == 0
        acknowledged |= {version: f"{number}-{i}" for i, version in enumerate(printed.split())}
    return acknowledged


def test_of_eight_processes_that_start_at_once_one_makes_the_store(tmp_path: Path) -> None:
    """There is one key and one database, whoever was first; nothing half-made is left."""
    for attempt in range(10 if LONG else 2):
        (tmp_path / str(attempt)).mkdir(0o700)
        url = f"local:{tmp_path}/{attempt}/s.db"
        assert len(crowd(url, 1)) == 8
        assert {"s.db", "s.db.key"} <= set(os.listdir(tmp_path / str(attempt))) <= {
            "s.db", "s.db.key", "s.db-wal", "s.db-shm",
        }  # fmt: skip
        with kmsbridge.connect(url) as bridge:
            assert len(list(bridge.secrets.versions("shared"))) == 8


def test_eight_processes_that_write_one_name_lose_no_version(url: str) -> None:
    """Every acknowledged version is there, with the value that was written under it."""
    writes = 200 if LONG else 25
    acknowledged = crowd(url, writes)
    assert len(acknowledged) == 8 * writes
    with kmsbridge.connect(url) as bridge:
        versions = [info.version for info in bridge.secrets.versions("shared")]
        assert sorted(filter(None, versions)) == sorted(acknowledged)
        assert {version: bridge.secrets.get("shared", version).text for version in acknowledged} == acknowledged


def test_threads_that_write_one_name_lose_no_version(url: str) -> None:
    """As processes do; also in memory, where there is one connection for all."""
    for target in (url, "memory:"):
        with kmsbridge.connect(target) as bridge:
            threads = [
                threading.Thread(target=lambda: [bridge.secrets.set("a", "value") for _ in range(20)])
                for _ in range(8)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert len(list(bridge.secrets.versions("a"))) == 160


def test_a_store_that_another_process_holds_is_a_timeout(url: str) -> None:
    """A write behind another process's ends at its deadline; reads go on meanwhile."""
    with kmsbridge.connect(url) as bridge:
        bridge.secrets.set("a", "value")
        other = sqlite3.connect(url.removeprefix("local:"))
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(kmsbridge.DeadlineExceededError) as caught:
            bridge.secrets.set("a", "new", timeout=0.3)
        assert 0.2 < time.monotonic() - started < 3
        assert (caught.value.provider_codes, caught.value.outcome) == (("StoreBusy",), "not_applied")
        path = url.removeprefix("local:")
        assert caught.value.message == f"others held the database {path} for as long as the call had time"
        assert bridge.secrets.get("a").value == "value"
        other.rollback()
        other.close()
        assert bridge.secrets.set("a", "new").value == "new"


# -- kills ------------------------------------------------------------------------------


def kill(folder: Path, mode: str) -> dict[str, int]:
    """Run the harness; what it counted. It fails at the first acknowledged write that is lost."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", HARNESS, str(folder), str(KILLS), mode],
        capture_output=True, text=True, timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sys.stdout.write(done.stdout)
    counts: dict[str, int] = json.loads(done.stdout.splitlines()[-1])
    assert counts["kills"] >= KILLS
    return counts


def test_a_killed_writer_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """What was acknowledged is there; what was not is there whole or not at all; a third of the kills fall between."""
    counts = kill(tmp_path, "secrets")
    assert counts["in_commit"] >= KILLS // 3
    assert counts["applied"] > 0


def test_a_killed_writer_of_keys_loses_no_version(tmp_path: Path) -> None:
    """The same of create, rotate and delete: what was sealed or signed by an acknowledged version still is."""
    counts = kill(tmp_path, "keys")
    assert counts["in_commit"] >= KILLS // 3
    assert counts["applied"] > 0


def test_a_killed_rekey_leaves_a_store_that_opens(tmp_path: Path) -> None:
    """With one of the keys on disk, all secrets as they were, and no half of the rows under another key."""
    counts = kill(tmp_path, "rekey")
    assert counts["in_commit"] >= KILLS // 3


FAST = f"""
import os, runpy, sys
kill, spared = os.kill, []
def late(child, number):
    spared.append(child)
    if len(spared) > 3:
        kill(child, number)
os.kill = late
sys.argv = ["harness", sys.argv[1], "2"]
runpy.run_path({HARNESS!r}, run_name="__main__")
"""


def test_the_harness_takes_a_writer_that_was_faster_than_the_kill(tmp_path: Path) -> None:
    """What a writer did that ended by itself is what the next one begins with; it counts as no kill."""
    counts = json.loads(run(FAST, str(tmp_path)).splitlines()[-1])
    assert counts["kills"] >= 2


FORGETFUL = {
    "secrets": """
from kmsbridge._model import Secret
from kmsbridge_local._secrets import SecretStore
write = SecretStore.set
def forgetful(self, time_left, name, new):
    if random.random() < 0.5:
        return Secret(name, "0" * 32, new.value)
    return write(self, time_left, name, new)
SecretStore.set = forgetful
""",
    "keys": """
from kmsbridge_local._keys import KeyStore
write = KeyStore.rotate
def forgetful(self, time_left, name):
    return self.get(time_left, name) if random.random() < 0.5 else write(self, time_left, name)
KeyStore.rotate = forgetful
""",
}


@pytest.mark.parametrize("mode", FORGETFUL)
def test_the_harness_notices_a_lost_write(tmp_path: Path, mode: str) -> None:
    """A store that acknowledges before it commits is found out."""
    program = f"""
import random, runpy, sys
{FORGETFUL[mode]}
sys.argv = ["harness", sys.argv[1], "30", {mode!r}]
runpy.run_path({HARNESS!r}, run_name="__main__")
"""
    with pytest.raises(AssertionError, match=r"neither what was acknowledged nor what was begun|failed by itself"):
        run(program, str(tmp_path))


# -- forks ------------------------------------------------------------------------------

FORKS = """
import os, sys, threading, kmsbridge
bridge = kmsbridge.connect(sys.argv[1])
bridge.secrets.set("before", "value")
ended = threading.Event()
def write():
    while not ended.is_set():
        bridge.secrets.set("busy", "value")
        bridge.secrets.get("before")
threads = [threading.Thread(target=write) for _ in range(4)]
for thread in threads:
    thread.start()
children = []
for i in range(int(sys.argv[2])):
    child = os.fork()
    if child == 0:
        status = 1
        try:
            assert bridge.secrets.get("before").value == "value"
            bridge.secrets.set(f"of-{i}", "value", timeout=20)
            assert bridge.secrets.get(f"of-{i}").value == "value"
            status = 0
        finally:
            os._exit(status)
    children.append(child)
statuses = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
ended.set()
for thread in threads:
    thread.join()
bridge.secrets.set("after", "value")
print(statuses, sorted(info.name for info in bridge.secrets.list()))
"""


def test_a_fork_of_a_busy_process_can_go_on_with_a_file(url: str) -> None:
    """Parent and children write on, whatever the parent's threads did at the moment of the fork."""
    count = 40 if LONG else 8
    names = sorted(["before", "busy", "after", *(f"of-{i}" for i in range(count))])
    assert run(FORKS, url, str(count)) == f"{[0] * count} {names}\n"
    with closing(sqlite3.connect(url.removeprefix("local:"))) as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_fork_of_a_busy_process_has_its_own_copy_of_a_store_in_memory() -> None:
    """The child finds what was there at the fork, and its writes are its own."""
    count = 40 if LONG else 8
    assert run(FORKS, "memory:", str(count)) == f"{[0] * count} {['after', 'before', 'busy']}\n"


ORPHAN = """
import os, sys, kmsbridge
bridge = kmsbridge.connect(sys.argv[1])
bridge.secrets.set("a", "of the parent")
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    status = 1
    try:
        bridge.secrets.set("a", "of the child")
        os.read(reader, 1)
        for i in range(20):
            bridge.secrets.set("a", f"of the child, {i}")
        status = 0
    finally:
        os._exit(status)
from kmsbridge._registry import DRIVERS
bridge.secrets.set("b", "of the parent")
DRIVERS.close_process()
os.write(writer, b"x")
status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(status, kmsbridge.connect(sys.argv[1]).secrets.get("a").value)
"""


def test_a_parent_that_closes_does_not_take_the_log_away_from_its_child(url: str) -> None:
    """What the child has written since is there: the child holds locks of its own."""
    assert run(ORPHAN, url) == "0 of the child, 19\n"


# -- rekey ------------------------------------------------------------------------------


def settings(url: str, **options: object) -> LocalSettings:
    """The settings of a store."""
    return configure(parse_url(url)._replace(options=options))


def fill(url: str) -> None:
    """A store with versions, a deleted secret and a disabled one."""
    with kmsbridge.connect(url) as bridge:
        bridge.secrets.set("a", "one")
        bridge.secrets.set("a", b"two", tags={"k": "v"})
        bridge.secrets.set("b", "gone")
        bridge.secrets.delete("b")
        bridge.secrets.set("c", "off")
        bridge.secrets.update("c", enabled=False)


def check(url: str) -> None:
    """That all of it is still there."""
    with kmsbridge.connect(url) as bridge:
        assert [bridge.secrets.get("a", info.version).value for info in bridge.secrets.versions("a")] == [b"two", "one"]
        assert [info.name for info in bridge.secrets.deleted()] == ["b"]
        assert [(info.name, info.enabled) for info in bridge.secrets.list()] == [("a", True), ("c", False)]


def refusal(url: str) -> KMSError:
    """The error that a read gives."""
    with kmsbridge.connect(url) as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a")
    return caught.value


def test_a_rekey_replaces_the_key_under_open_bridges(url: str, tmp_path: Path) -> None:
    """Every row is sealed anew, the old key opens nothing any more, and who has the store open goes on."""
    fill(url)
    old = (tmp_path / "s.db.key").read_text()
    with kmsbridge.connect(url) as bridge:
        before = bridge.secrets.get("a").value
        report = rekey(settings(url))
        assert (report.source, report.rows, report.root_key) == ("file", 7, None)
        assert report.key_file == str(tmp_path / "s.db.key")
        assert bridge.secrets.get("a").value == before
        bridge.secrets.update("a", tags={"k": "v"})
    check(url)
    new = (tmp_path / "s.db.key").read_text()
    assert new != old
    assert not (tmp_path / "s.db.key.new").exists()
    (tmp_path / "s.db.key").write_text(old)
    run("import kmsbridge, sys\n"
        "error = None\n"
        "try: kmsbridge.connect(sys.argv[1]).secrets.get('a')\n"
        "except kmsbridge.AuthenticationError as caught: error = caught\n"
        "assert error.provider_codes == ('WrongRootKey',), error", url)  # fmt: skip


def test_a_given_key_becomes_the_root_key(url: str, tmp_path: Path) -> None:
    """The caller may bring the new key; one that is none, or the old one, changes nothing."""
    fill(url)
    key = to_text(new_root_key())
    for wrong, code in (("passphrase", "RootKeyMalformed"), ((tmp_path / "s.db.key").read_text(), "RootKeyUnchanged")):
        with pytest.raises(StoreError) as caught:
            rekey(settings(url), wrong)
        assert caught.value.code == code
        check(url)
    report = rekey(settings(url), key)
    assert (tmp_path / "s.db.key").read_text().strip() == key
    assert key not in repr(report)
    check(url)


def test_a_key_from_the_environment_is_replaced_by_an_operator(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new key is in the report and on disk, and until it is installed the error says where."""
    monkeypatch.setenv(VARIABLE, to_text(new_root_key()))
    fill(url)
    report = rekey(settings(url))
    assert report.source == "environment"
    assert report.root_key is not None
    assert report.root_key not in repr(report)
    assert report.key_file == str(tmp_path / "s.db.key.new")
    assert (tmp_path / "s.db.key.new").read_text().strip() == report.root_key
    error = refusal(url)
    assert (error.code, error.provider_codes) == (Code.CREDENTIAL_REJECTED, ("RootKeyReplaced",))
    assert error.message == f"the store was rekeyed; its new key is in {tmp_path}/s.db.key.new"
    monkeypatch.setenv(VARIABLE, report.root_key)
    check(url)


def test_an_altered_store_is_not_rekeyed(url: str, tmp_path: Path) -> None:
    """A row that does not fit is not sealed anew, and nothing else is."""
    fill(url)
    with closing(sqlite3.connect(tmp_path / "s.db")) as raw, raw:
        raw.execute("UPDATE secret_versions SET enabled = 1 WHERE enabled = 0")
    key = (tmp_path / "s.db.key").read_text()
    with pytest.raises(StoreError) as caught:
        rekey(settings(url))
    assert caught.value.code == "RowAltered"
    assert (tmp_path / "s.db.key").read_text() == key
    with kmsbridge.connect(url) as bridge:
        assert bridge.secrets.get("a").value == b"two"


def test_the_public_rekey_raises_what_any_call_would(url: str) -> None:
    """A refusal, an expired deadline and a bad key leave it as KMSError, with no foreign exception behind them."""
    with pytest.raises(KMSError) as caught:
        kmsbridge_local.rekey(settings(url))
    assert (caught.value.code, caught.value.provider_codes) == (Code.CONTAINER_NOT_FOUND, ("StoreNotFound",))
    assert (caught.value.provider, caught.value.operation) == ("local", "local.rekey")
    assert caught.value.__context__ is caught.value.__cause__ is None
    fill(url)
    for key, timeout, code in (("passphrase", 9.0, "RootKeyMalformed"), (None, 1e-9, "StoreBusy")):
        with pytest.raises(KMSError) as caught:
            kmsbridge_local.rekey(settings(url), key, timeout=timeout)
        assert caught.value.provider_codes == (code,)
    with pytest.raises(kmsbridge.InvalidRequestError) as refused:
        kmsbridge_local.rekey(settings("memory:"))
    assert refused.value.operation == "local.rekey"
    assert kmsbridge_local.rekey(settings(url)).source == "file"
    check(url)


def test_what_has_no_key_to_replace_is_refused(url: str) -> None:
    """A store in memory, and one that is not there, are not rekeyed; none is made."""
    with pytest.raises(kmsbridge.InvalidRequestError):
        rekey(settings("memory:"))
    with pytest.raises(StoreError) as caught:
        rekey(settings(url))
    assert decoder.decode(decoder.answer(caught.value)).code is Code.CONTAINER_NOT_FOUND
    assert not Path(url.removeprefix("local:")).exists()


@pytest.mark.parametrize("cut", ["announce", "keep", "install"])
def test_a_rekey_that_is_cut_off_is_finished_or_forgotten(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str
) -> None:
    """Before the commit the old key stays, after it the next call puts the new one in its place."""
    fill(url)
    old = (tmp_path / "s.db.key").read_text()

    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(_rekey if cut == "keep" else RootKeySource, cut, fail)
    with pytest.raises(KeyboardInterrupt):
        rekey(settings(url))
    monkeypatch.undo()
    if cut == "install":
        new = (tmp_path / "s.db.key.new").read_text()
        check(url)
        assert (tmp_path / "s.db.key").read_text() == new != old
        assert not (tmp_path / "s.db.key.new").exists()
    else:
        check(url)
        assert (tmp_path / "s.db.key").read_text() == old
    (tmp_path / "s.db.key.new").write_text("kmsbridge-root-key-v1:half")  # of a rekey that was cut off even earlier
    (tmp_path / "s.db.key.new").chmod(0o600)
    check(url)
    rekey(settings(url))
    check(url)


# -- event loops ------------------------------------------------------------------------

LIMIT = 0.005
"""Seconds that a loop may be without a turn."""
ROUNDS = 5
"""A machine that is busy with something else takes turns away too: it is the best round that counts."""

BEAT = """
import asyncio, contextlib, sys, time
import kmsbridge

@contextlib.asynccontextmanager
async def beat():
    "Gives the lateness of the loop, in seconds, in a list of one."
    worst, ended = [0.0], asyncio.Event()
    async def run():
        while not ended.is_set():
            due = time.perf_counter() + 0.0005
            await asyncio.sleep(0.0005)
            worst[0] = max(worst[0], time.perf_counter() - due)
    task = asyncio.create_task(run())
    await asyncio.sleep(0.02)
    worst[0] = 0.0
    yield worst
    ended.set()
    await task
"""
COLD = BEAT + """
async def main():
    async with kmsbridge.connect_async(sys.argv[1]) as bridge:
        async with beat() as worst:
            await bridge.secrets.set("a", "value")
        assert {"sqlite3", "cryptography"} <= set(sys.modules)
        print(worst[0])
assert not {"sqlite3", "cryptography"} & set(sys.modules)
asyncio.run(main())
"""
WARM = BEAT + """
async def main():
    async with kmsbridge.connect_async(sys.argv[1]) as bridge:
        await bridge.secrets.set("a", "value")
        async with beat() as worst:
            for i in range(100):
                await bridge.secrets.set("a", "x" * 60_000)
                await bridge.secrets.get("a")
            await asyncio.gather(*(bridge.secrets.get("a") for i in range(8)))
        print(worst[0])
asyncio.run(main())
"""
MADE = BEAT + """
async def main():
    async with kmsbridge.connect_async(sys.argv[1]) as bridge:
        await bridge.keys.create("small", "AES_256")
        async with beat() as worst:
            await bridge.keys.create("large", "RSA_4096")
            await bridge.keys.sign("large", b"message", algorithm="PS256")
        print(worst[0])
asyncio.run(main())
"""
HELD = BEAT + """
import sqlite3
async def main():
    async with kmsbridge.connect_async(sys.argv[1]) as bridge:
        await bridge.secrets.set("a", "value")
        other = sqlite3.connect(sys.argv[1].removeprefix("local:"))
        other.execute("BEGIN IMMEDIATE")
        async with beat() as worst:
            task = asyncio.create_task(bridge.secrets.set("a", "new"))
            await asyncio.sleep(0.2)
            assert not task.done()
        other.rollback()
        await task
        print(worst[0])
asyncio.run(main())
"""


if LONG:  # a figure, which a busy machine can spoil

    @pytest.mark.parametrize("program", [COLD, WARM, MADE, HELD], ids=["first call", "calls", "RSA", "lock"])
    def test_an_event_loop_is_never_held_up(tmp_path: Path, program: str) -> None:
        """Loading, opening, reading, writing, making keys and waiting leave the loop its turns, 5 ms apart at most."""
        worst: list[float] = []
        while not worst or (min(worst) >= LIMIT and len(worst) < ROUNDS):
            worst.append(float(run(program, f"local:{tmp_path}/{len(worst)}.db")))
        assert min(worst) < LIMIT, worst


def test_nothing_of_the_store_runs_in_the_thread_of_a_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transaction of an async bridge, and every making of key material, is some other thread's."""
    threads: list[int] = []

    def noted(method: Callable[..., Any]) -> Callable[..., Any]:
        def noting(*arguments: object) -> object:
            threads.append(threading.get_ident())
            return method(*arguments)

        return noting

    for owner, name in ((_store.Store, "read"), (_store.Store, "write"), (_asymmetric, "generate")):
        monkeypatch.setattr(owner, name, noted(getattr(owner, name)))

    async def main() -> int:
        async with kmsbridge.connect_async(f"local:{tmp_path}/a.db") as bridge:
            await bridge.secrets.set("a", "value")
            await bridge.secrets.get("a")
            assert [info.name async for info in bridge.secrets.list()] == ["a"]
            await bridge.secrets.delete("a")
            await bridge.keys.create("k", "EC_P256")
            await bridge.keys.sign("k", b"message", algorithm="ES256")
            assert await bridge.health()
        return threading.get_ident()

    loop = asyncio.run(main())
    assert len(threads) >= 9
    assert loop not in threads
