"""Keys in a local store: what their ciphertexts refuse, what forks, processes, rekeys and time do to them."""

from __future__ import annotations

import logging
import os
import pickle
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

import kmsbridge
from kmsbridge import Code, KeySpec, KMSError
from kmsbridge._ciphertext import Foreign
from kmsbridge._config import parse_url
from kmsbridge._model import Context
from kmsbridge_local import _keys, _store, configure
from kmsbridge_local._database import FileDatabase, MemoryDatabase
from kmsbridge_local._errors import StoreError
from kmsbridge_local._keys import KeyStore
from kmsbridge_local._rekey import rekey
from kmsbridge_local._root_key import FILE_VARIABLE, VARIABLE, RootKeySource
from kmsbridge_local._rows import KEYS
from kmsbridge_local._schema import FORMAT_1, MIGRATIONS
from kmsbridge_local._store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MESSAGES = 10_000 if os.environ.get("KMSBRIDGE_LONG") == "1" else 1_000
CONTEXT = {"tenant": "acme"}
NOTHING = Context({}, b"")


def soon() -> float:
    """Seconds that a call of these tests has."""
    return 5.0


@pytest.fixture(autouse=True)
def _no_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv(FILE_VARIABLE, raising=False)


@pytest.fixture
def bridge() -> Iterator[kmsbridge.Bridge]:
    """A bridge to a store in memory."""
    with kmsbridge.connect("memory:") as bridge:
        yield bridge


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where a store goes."""
    return f"local:{tmp_path}/s.db"


@pytest.fixture
def keys() -> Iterator[KeyStore]:
    """An empty store in memory."""
    with closing(Store(MemoryDatabase())) as store:
        yield KeyStore(store, 7)


def code(call: Callable[[], object]) -> str:
    """The code by which the store refuses a call."""
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.code


def run(program: str, *arguments: str) -> str:
    """What a program of this test prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program, *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


# -- damage -----------------------------------------------------------------------------


def damaged(content: bytes) -> Iterator[bytes]:
    """Every single-bit flip, every truncation, and an appended byte."""
    for position in range(len(content)):
        yield content[:position]
        for bit in range(8):
            flipped = bytearray(content)
            flipped[position] ^= 1 << bit
            yield bytes(flipped)
    yield content + b"\0"


@pytest.mark.parametrize("operation", ["encrypt", "wrap", "generate_data_key", "seal"])
@pytest.mark.parametrize("kind", [KeySpec.AES_256, KeySpec.RSA_2048])
def test_every_damage_is_refused_with_one_text(bridge: kmsbridge.Bridge, kind: KeySpec, operation: str) -> None:
    """decryption_failed where provider, key and a version that the key has can still be read, else invalid_argument."""
    keys, name = bridge.keys, "billing-kek"
    first = keys.create(name, kind).version
    version = keys.rotate(name).version
    assert version is not None
    assert version != first
    content, opening = closed(keys, name, operation)
    assert len(opening(name, content)) == 32
    start = content.index(b"\x05local")
    named = content.index(version.encode()) + len(version)
    told: dict[Code, set[str]] = {}
    for changed in damaged(content):
        ours = changed[:5] == content[:5] and changed[start:named] == content[start:named]
        if operation == "seal":
            ours = ours and changed[6] > 0  # it still has a recipient
        with pytest.raises(KMSError) as caught:
            opening(name, changed)
        assert caught.value.code is (Code.DECRYPTION_FAILED if ours else Code.INVALID_ARGUMENT), changed[:named]
        told.setdefault(caught.value.code, set()).add(f"{caught.value} -> {caught.value.remediation}")
    assert {code: len(texts) for code, texts in told.items()} == {Code.DECRYPTION_FAILED: 1, Code.INVALID_ARGUMENT: 1}


def closed(keys: kmsbridge.Keys, name: str, operation: str) -> tuple[bytes, Callable[[str, bytes], bytes]]:
    """32 bytes as an operation makes them, and what opens them."""
    if operation == "seal":
        return keys.seal(name, bytes(32)), keys.unseal
    if operation == "wrap":
        return bytes(keys.wrap(name, bytes(32))), keys.unwrap
    if operation == "encrypt":
        return bytes(keys.encrypt(name, bytes(32))), keys.decrypt
    return bytes(keys.generate_data_key(name).ciphertext), keys.decrypt


def test_what_one_operation_made_another_does_not_open(bridge: kmsbridge.Bridge) -> None:
    """An AES key's ciphertext is bound to what it is for, and to the name of its key."""
    for name in ("one", "other"):
        bridge.keys.create(name, "AES_256")
    encrypted, wrapped = bridge.keys.encrypt("one", bytes(32)), bridge.keys.wrap("one", bytes(32))
    with pytest.raises(kmsbridge.CryptoError):
        bridge.keys.unwrap("one", encrypted)
    with pytest.raises(kmsbridge.CryptoError):
        bridge.keys.decrypt("one", wrapped)
    with pytest.raises(kmsbridge.InvalidRequestError):
        bridge.keys.decrypt("other", encrypted)


# -- forks and processes ----------------------------------------------------------------

FORK = """
import os, sys, kmsbridge
from kmsbridge._envelope import read_header
url, count, path = sys.argv[1], int(sys.argv[2]), sys.argv[3]
bridge = kmsbridge.connect(url)
bridge.keys.create("k", "AES_256")
bridge.keys.seal("k", b"before"); bridge.keys.encrypt("k", b"before")
child = os.fork()
status = 1
try:
    with open(f"{path}.{'child' if child == 0 else 'parent'}", "w") as stream:
        for _ in range(count):
            opening = read_header(bridge.keys.seal("k", b"message"), "local", "k")
            stream.write(f"{opening.salt.hex()} {opening.wrapped[:32].hex()} ")
            stream.write(f"{bridge.keys.encrypt('k', b'message').payload[:32].hex()}\\n")
    status = 0
finally:
    if child == 0:
        os._exit(status)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_fork_repeats_no_salt(tmp_path: Path, place: str) -> None:
    """Parent and child seal and encrypt as many messages; of all the salts no two are the same."""
    where = "memory:" if place == "memory" else f"local:{tmp_path}/s.db"
    assert run(FORK, where, str(MESSAGES), str(tmp_path / "salts")) == "0\n"
    salts = [salt for side in ("child", "parent") for salt in (tmp_path / f"salts.{side}").read_text().split()]
    assert len(salts) == len(set(salts)) == 2 * 3 * MESSAGES
    assert {len(salt) for salt in salts} == {64}


ROTATE = """
import sys, kmsbridge, kmsbridge_local._driver
bridge = kmsbridge.connect(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
try:
    print(bridge.keys.create("shared", "EC_P256").version)
except kmsbridge.ConflictError as error:
    print(error.code)
for _ in range(int(sys.argv[2])):
    print(bridge.keys.rotate("shared").version)
"""


def test_eight_processes_that_rotate_one_key_lose_no_version(url: str) -> None:
    """Of those that create it at once one does, and every version that was acknowledged is there."""
    command = [sys.executable, "-c", ROTATE, url, "5"]
    crowd = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(8)]
    for process in crowd:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in crowd:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    first, rotated = [], []
    for process in crowd:
        printed, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        answer, *versions = printed.split()
        first.append(answer)
        rotated += versions
    assert first.count("already_exists") == 7
    acknowledged = [*(answer for answer in first if answer != "already_exists"), *rotated]
    assert len(set(acknowledged)) == 8 * 5 + 1
    with kmsbridge.connect(url) as bridge:
        found = [key.version for key in bridge.keys.versions("shared")]
        assert sorted(filter(None, found)) == sorted(acknowledged)
        assert all(bridge.keys.public_key("shared", version).version == version for version in found)


# -- what happens while material is made ------------------------------------------------


def test_another_may_be_first(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What others did to the key while its material was made is seen, and nothing is overwritten."""
    make = _keys._new_material
    meanwhile: list[Callable[[], object]] = []

    def making(spec: KeySpec) -> bytes:
        material = make(spec)
        while meanwhile:
            meanwhile.pop()()
        return material

    monkeypatch.setattr(_keys, "_new_material", making)
    meanwhile.append(lambda: keys.create(soon, "k", KeySpec.AES_256, {"of": "another"}))
    assert code(lambda: keys.create(soon, "k", KeySpec.EC_P256, {})) == "KeyAlreadyExists"
    assert keys.get(soon, "k").tags == {"of": "another"}
    meanwhile.append(lambda: keys.enable(soon, "k", None, False))
    assert code(lambda: keys.rotate(soon, "k")) == "KeyDisabled"
    keys.enable(soon, "k", None, True)
    meanwhile.append(lambda: keys.schedule_deletion(soon, "k", 7))
    assert code(lambda: keys.rotate(soon, "k")) == "KeyPendingDeletion"
    keys.cancel_deletion(soon, "k")

    def replaced() -> None:
        with keys._store.write(soon) as transaction:
            head = KEYS.head(transaction, "k")
            assert head is not None
            KEYS.remove(transaction, head)
        keys.create(soon, "k", KeySpec.EC_P384, {})

    meanwhile.append(replaced)
    assert code(lambda: keys.rotate(soon, "k")) == "KeyNotFound"
    assert len(keys.versions(soon, "k", None).items) == 1


def test_material_is_not_made_for_nothing(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the key is there, or cannot be rotated, that is said before any material is made."""
    keys.create(soon, "k", KeySpec.AES_256, {})
    keys.enable(soon, "k", None, False)
    monkeypatch.setattr(_keys, "_new_material", pytest.fail)
    assert code(lambda: keys.create(soon, "k", KeySpec.RSA_4096, {})) == "KeyAlreadyExists"
    assert code(lambda: keys.rotate(soon, "k")) == "KeyDisabled"
    assert code(lambda: keys.rotate(soon, "none")) == "KeyNotFound"


# -- time -------------------------------------------------------------------------------


def test_a_key_is_gone_after_its_date(keys: KeyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until then its deletion can be cancelled; from then on its name is free and its ciphertexts are another's."""
    keys.create(soon, "k", KeySpec.AES_256, {})
    keys.rotate(soon, "k")
    ciphertext = keys.encrypt(soon, "k", b"plaintext", NOTHING)
    deletes_at = keys.schedule_deletion(soon, "k", 7).deletes_at
    assert deletes_at is not None
    due = round(deletes_at.timestamp() * 1_000_000)
    monkeypatch.setattr(_store, "_now", lambda: due - 1)
    assert keys.cancel_deletion(soon, "k").deletes_at is None
    assert keys.decrypt(soon, ciphertext, NOTHING) == b"plaintext"
    deletes_at = keys.schedule_deletion(soon, "k", 7).deletes_at
    assert deletes_at is not None
    due = round(deletes_at.timestamp() * 1_000_000)
    monkeypatch.setattr(_store, "_now", lambda: due)
    assert keys.list(soon, None).items == []
    for call in (
        lambda: keys.get(soon, "k"),
        lambda: keys.cancel_deletion(soon, "k"),
        lambda: keys.decrypt(soon, ciphertext, NOTHING),
    ):
        assert code(call) == "KeyNotFound"
    keys.create(soon, "k", KeySpec.AES_256, {})
    with pytest.raises(Foreign):
        keys.decrypt(soon, ciphertext, NOTHING)
    with keys._store.read(soon) as transaction:
        for table in ("keys", "key_versions"):
            assert transaction.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_the_days_of_the_profile_count_where_the_caller_names_none(url: str) -> None:
    """`recovery_days` is how long a deletion can be cancelled."""
    settings = configure(parse_url(url)._replace(options={"recovery_days": 30}))
    assert isinstance(settings.place, str)
    with closing(Store(FileDatabase(settings.place, RootKeySource(settings.place, None)))) as store:
        keys = KeyStore(store, settings.recovery_days)
        for name, given, days in (("a", None, 30), ("b", 90, 90)):
            keys.create(soon, name, KeySpec.AES_256, {})
            key = keys.schedule_deletion(soon, name, given)
            assert key.deletes_at is not None
            assert key.created_at is not None
            assert (key.deletes_at - key.created_at).days == days


# -- formats and rekeys -----------------------------------------------------------------


def test_a_store_of_the_first_format_gets_keys(url: str, tmp_path: Path) -> None:
    """Its secrets stay, and its tables become those of a new store."""
    path = tmp_path / "s.db"
    with kmsbridge.connect(url) as bridge:
        bridge.secrets.set("a", "value")
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()
    schema = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name"
    with closing(sqlite3.connect(path)) as raw, closing(sqlite3.connect(":memory:")) as first:
        new = raw.execute(schema).fetchall()
        raw.executescript("DROP TABLE key_versions; DROP TABLE keys; PRAGMA user_version = 1")
        first.executescript(FORMAT_1)
        assert raw.execute(schema).fetchall() == first.execute(schema).fetchall() != new
    with kmsbridge.connect(url) as bridge:
        assert bridge.secrets.get("a").value == "value"
        bridge.keys.create("k", "AES_256")
        assert bridge.keys.unseal("k", bridge.keys.seal("k", b"data")) == b"data"
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
        assert raw.execute(schema).fetchall() == new


def test_a_rekey_covers_keys(url: str, tmp_path: Path) -> None:
    """Every row is sealed anew, and what was sealed, encrypted and signed before is as good as it was."""
    with kmsbridge.connect(url) as bridge:
        for name, kind in (("aes", "AES_256"), ("rsa", "RSA_2048"), ("ec", "EC_P256")):
            bridge.keys.create(name, kind)
        envelopes = [(name, bridge.keys.seal(name, b"data", context=CONTEXT)) for name in ("aes", "rsa")]
        encrypted = bridge.keys.encrypt("aes", b"data", context=CONTEXT)
        signature = bridge.keys.sign("ec", b"data", algorithm="ES256")
        bridge.keys.rotate("aes")
        bridge.keys.disable("ec", version=signature.version)
        bridge.keys.schedule_deletion("rsa")
        with closing(sqlite3.connect(tmp_path / "s.db")) as raw:
            before = raw.execute("SELECT box FROM key_versions UNION SELECT mac FROM keys").fetchall()
            assert rekey(configure(parse_url(url))).rows == len(before) == 3 + 4
            after = raw.execute("SELECT box FROM key_versions UNION SELECT mac FROM keys").fetchall()
        assert not set(before) & set(after)
        assert bridge.keys.get("rsa").deletes_at is not None
        bridge.keys.cancel_deletion("rsa")
        with pytest.raises(kmsbridge.PreconditionError):
            bridge.keys.verify("ec", b"data", signature)
        bridge.keys.enable("ec", version=signature.version)
        assert bridge.keys.verify("ec", b"data", signature)
        assert [bridge.keys.unseal(name, sealed, context=CONTEXT) for name, sealed in envelopes] == [b"data"] * 2
        assert bridge.keys.decrypt("aes", encrypted, context=CONTEXT) == b"data"


# -- leaks ------------------------------------------------------------------------------


def material_of(bridge: kmsbridge.Bridge, *names: str) -> list[bytes]:
    """What is in the boxes of the latest versions."""
    found = []

    async def look() -> None:
        driver = await bridge.keys._operations._calls._hold.driver(None)  # type: ignore[arg-type]
        with driver._store.read(soon) as transaction:  # type: ignore[attr-defined]
            for name in names:
                head = KEYS.head(transaction, name)
                assert head is not None
                found.append(KEYS.version(transaction, head, None)[1])

    from kmsbridge._runtime import drive

    drive(look())
    return found


def everything(error: BaseException) -> str:
    """All that an error shows or carries: texts, chain, and the locals of every frame of its traceback."""
    shown = [repr(error), str(error)]
    if isinstance(error, KMSError):
        shown += [error.details(), repr(error.to_dict()), repr(pickle.dumps(error))]
    traceback = error.__traceback__
    while traceback is not None:
        frame = traceback.tb_frame
        if frame.f_code.co_filename != __file__:
            shown.append(repr(frame.f_locals))
        traceback = traceback.tb_next
    shown += [everything(other) for other in (error.__cause__, error.__context__) if other is not None]
    return "\n".join(shown)


def test_no_material_is_shown(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Not in the file, not in a log, event, record or error, and not in what hangs on an error."""
    caplog.set_level(logging.DEBUG)
    events: list[object] = []
    with kmsbridge.connect(url, on_event=events.append) as bridge:
        records: list[object] = [bridge.keys.create("aes", "AES_256"), bridge.keys.create("ec", "EC_P256")]
        records += [*bridge.keys.list(), *bridge.keys.versions("ec"), bridge.keys.public_key("ec")]
        data_key = bridge.keys.generate_data_key("aes")
        records += [data_key, bridge.keys.sign("ec", b"m", algorithm="ES256"), bridge.keys.encrypt("aes", b"m")]
        material = material_of(bridge, "aes", "ec")
        assert [len(each) > 31 for each in material] == [True, True]
        secret = [*material, material[1][40:60], data_key.plaintext]
        wrapped = bytes(data_key.ciphertext)
        errors = []
        for call in (
            lambda: bridge.keys.decrypt("aes", wrapped[:-1]),
            lambda: bridge.keys.decrypt("aes", wrapped, context=CONTEXT),
            lambda: bridge.keys.unwrap("aes", wrapped),
            lambda: bridge.keys.sign("aes", b"m", algorithm="ES256"),
            lambda: bridge.keys.sign("ec", b"m", algorithm="PS256"),
            lambda: bridge.keys.encrypt("ec", b"m"),
            lambda: bridge.keys.seal("ec", b"m"),
            lambda: bridge.keys.public_key("aes"),
        ):
            with pytest.raises(KMSError) as caught:
                call()
            errors.append(everything(caught.value))
        files = [path.read_bytes() for path in tmp_path.iterdir() if path.suffix != ".key"]
    shown = "\n".join([*map(repr, records), *map(repr, events), caplog.text, *errors])
    for each in secret:
        assert not any(each in content for content in files)
        for form in (repr(each)[2:-1], each.hex()):
            assert form not in shown
    assert "canary" not in repr(_keys._Usable("k", "v", KeySpec.AES_256, b"canary"))


@pytest.mark.parametrize("table", ["keys", "secrets"])
def test_an_edited_date_destroys_nothing(tmp_path: Path, url: str, table: str) -> None:
    """A row whose date of removal was edited is refused when it is read, and stays until it is repaired."""

    def edit(date: str) -> None:
        with closing(sqlite3.connect(f"{tmp_path}/s.db")) as raw:
            raw.execute(f"UPDATE {table} SET purge_at = {date} WHERE name = 'a'")
            raw.commit()

    with kmsbridge.connect(url) as bridge:
        bridge.keys.create("a", KeySpec.AES_256)
        sealed = bridge.keys.seal("a", b"data")
        bridge.secrets.set("a", "value")

        def read() -> tuple[object, object]:
            return bridge.keys.unseal("a", sealed), bridge.secrets.get("a").value

        edit("1")
        if table == "keys":
            bridge.secrets.set("b", "value")
        else:
            bridge.keys.create("b", KeySpec.AES_256)
        with pytest.raises(KMSError) as caught:
            read()
        assert caught.value.code is Code.DECRYPTION_FAILED
        edit("NULL")
        assert read() == (b"data", "value")


def test_what_is_large_leaves_the_thread_of_a_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sealing, opening and hashing more than a megabyte are another thread's work under the async bridge."""
    import asyncio
    import threading

    from kmsbridge import _envelope

    threads: list[int] = []
    for name in ("seal", "unseal"):
        real = getattr(_envelope, name)

        def noted(*arguments: object, real: Callable[..., bytes] = real) -> bytes:
            threads.append(threading.get_ident())
            return real(*arguments)

        monkeypatch.setattr(_envelope, name, noted)

    async def main() -> None:
        async with kmsbridge.connect_async("memory:") as bridge:
            await bridge.keys.create("k", KeySpec.AES_256)
            data = bytes(3 << 20)
            assert await bridge.keys.unseal("k", await bridge.keys.seal("k", data)) == data
        assert len(threads) == 2
        assert threading.get_ident() not in threads

    asyncio.run(main())


def test_records_that_nobody_made_are_refused_as_arguments(bridge: kmsbridge.Bridge) -> None:
    """A Ciphertext, Signature or context with members of a wrong type is the caller's mistake."""
    bridge.keys.create("k", KeySpec.AES_256)
    bridge.keys.create("s", KeySpec.EC_P256)
    good = bridge.keys.encrypt("k", b"data")
    wrong: list[Callable[[], object]] = [
        lambda: bridge.keys.decrypt("k", kmsbridge.Ciphertext("local", "k", 5, good.algorithm, good.payload)),  # type: ignore[arg-type]
        lambda: bridge.keys.decrypt("k", kmsbridge.Ciphertext("local", "k", good.version, good.algorithm, None)),  # type: ignore[arg-type]
        lambda: bridge.keys.verify("s", b"m", kmsbridge.Signature("s", "1", "ES256", None)),  # type: ignore[arg-type]
        lambda: bridge.keys.seal("k", b"data", context=5),  # type: ignore[arg-type]
    ]
    for call in wrong:
        with pytest.raises(KMSError) as caught:
            call()
        assert caught.value.code is Code.INVALID_ARGUMENT
