"""What a local store does with secrets, and how its refusals read."""

from __future__ import annotations

import gc
import json
import re
import sqlite3
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

import kmsbridge
from kmsbridge import Code, KMSError
from kmsbridge._config import parse_url
from kmsbridge._decode import Answer
from kmsbridge._errors import Outcome, RetryAction
from kmsbridge._model import NewSecret
from kmsbridge_local import _store, configure, decoder
from kmsbridge_local._database import MemoryDatabase
from kmsbridge_local._errors import _SQLITE, CODES, RULES, StoreError
from kmsbridge_local._rows import PAGE
from kmsbridge_local._secrets import SecretStore
from kmsbridge_local._store import Store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


def soon() -> float:
    """Seconds that a call of these tests has."""
    return 5.0


def new(value: str | bytes = "value", *, if_absent: bool = False) -> NewSecret:
    """A value on its way to a store."""
    return NewSecret(value, None, {}, None, if_absent)


@pytest.fixture
def secrets() -> Iterator[SecretStore]:
    """An empty store in memory."""
    with closing(Store(MemoryDatabase())) as store:
        yield SecretStore(store, 7)


@pytest.fixture
def bridge() -> Iterator[kmsbridge.Bridge]:
    """A bridge to an empty store in memory."""
    with kmsbridge.connect("memory:") as bridge:
        yield bridge


def code(call: Callable[[], object]) -> str:
    """The code by which the store refuses a call."""
    with pytest.raises(StoreError) as caught:
        call()
    return caught.value.code


# -- states -----------------------------------------------------------------------------


def test_a_deleted_secret_is_not_found_until_it_is_recovered(bridge: kmsbridge.Bridge) -> None:
    """Everything but recover and purge finds nothing, set says that it could be recovered."""
    bridge.secrets.set("a", "one")
    last = bridge.secrets.set("a", "two").version
    info = bridge.secrets.delete("a")
    assert info.deleted_at is not None
    assert info.purge_at == info.deleted_at + timedelta(days=90)
    for call in (
        lambda: bridge.secrets.get("a"),
        lambda: bridge.secrets.get("a", last),
        lambda: list(bridge.secrets.versions("a")),
        lambda: bridge.secrets.update("a", enabled=False),
        lambda: bridge.secrets.delete("a"),
    ):
        with pytest.raises(kmsbridge.NotFoundError, match="is deleted, and can still be recovered") as caught:
            call()
        assert (caught.value.code, caught.value.provider_codes) == (Code.NOT_FOUND, ("SecretIsDeleted",))
    for if_absent in (False, True):
        with pytest.raises(kmsbridge.ConflictError) as conflict:
            bridge.secrets.set("a", "three", if_absent=if_absent)
        assert conflict.value.code is Code.DELETED_BUT_RECOVERABLE
    assert [info.name for info in bridge.secrets.deleted()] == ["a"]
    assert list(bridge.secrets.list()) == []
    assert bridge.secrets.recover("a").deleted_at is None
    assert bridge.secrets.get("a").value == "two"
    assert len(list(bridge.secrets.versions("a"))) == 2


def test_recover_and_purge_need_a_deleted_secret(bridge: kmsbridge.Bridge) -> None:
    """Both find nothing where the secret is there, or was never there."""
    bridge.secrets.set("a", "value")
    for name in ("a", "b"):
        for call in (bridge.secrets.recover, bridge.secrets.purge):
            with pytest.raises(kmsbridge.NotFoundError) as caught:
                call(name)
            assert caught.value.code is Code.NOT_FOUND
    bridge.secrets.delete("a")
    bridge.secrets.purge("a")
    assert list(bridge.secrets.deleted()) == []
    assert bridge.secrets.set("a", "anew", if_absent=True).value == "anew"
    assert len(list(bridge.secrets.versions("a"))) == 1


def test_what_is_past_its_recovery_is_gone(secrets: SecretStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the days to recover it a secret is as if it had never been, and the next write removes it."""
    secrets.set(soon, "a", new())
    purge_at = secrets.delete(soon, "a").purge_at
    assert purge_at is not None
    last = int(purge_at.timestamp() * 1_000_000)
    monkeypatch.setattr(_store, "_now", lambda: last - 1)
    assert [info.name for info in secrets.deleted(soon, None).items] == ["a"]
    monkeypatch.setattr(_store, "_now", lambda: last)
    assert secrets.deleted(soon, None).items == []
    assert code(lambda: secrets.get(soon, "a", None)) == "SecretNotFound"
    assert code(lambda: secrets.recover(soon, "a")) == "SecretNotFound"
    assert secrets.set(soon, "a", new(if_absent=True)).value == "value"
    with secrets._store.read(soon) as transaction:
        for table in ("secrets", "secret_versions"):
            assert transaction.connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (1,)


def test_a_disabled_version_is_refused_and_not_passed_over(bridge: kmsbridge.Bridge) -> None:
    """When the latest version is disabled, an older one is not given in its place."""
    first = bridge.secrets.set("a", "one").version
    last = bridge.secrets.set("a", "two").version
    assert bridge.secrets.update("a", enabled=False).version == last
    for version in (None, last):
        with pytest.raises(kmsbridge.PreconditionError) as caught:
            bridge.secrets.get("a", version)
        assert caught.value.code is Code.DISABLED
    assert bridge.secrets.get("a", first).value == "one"
    assert [info.enabled for info in bridge.secrets.versions("a")] == [False, True]
    bridge.secrets.update("a", version=last, enabled=True)
    assert bridge.secrets.get("a").value == "two"


def test_an_expired_secret_is_still_given(bridge: kmsbridge.Bridge) -> None:
    """expires_at informs; it is kept to the second."""
    past = datetime(2020, 1, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert bridge.secrets.set("a", "value", expires_at=past).expires_at == past.replace(microsecond=0)
    assert bridge.secrets.get("a").expires_at == past.replace(microsecond=0)


def test_update_changes_only_what_is_given(bridge: kmsbridge.Bridge) -> None:
    """Value, content type and what is not named stay; the other versions stay."""
    first = bridge.secrets.set("a", "one", tags={"k": "v"}, content_type="text/plain")
    bridge.secrets.set("a", "two", tags={"other": "tag"})
    later = datetime(2040, 1, 1, tzinfo=UTC)
    info = bridge.secrets.update("a", version=first.version, expires_at=later)
    assert (info.tags, info.expires_at, info.content_type) == ({"k": "v"}, later, "text/plain")
    assert info.created_at == first.created_at
    assert info.updated_at is not None
    assert info.created_at is not None
    assert info.updated_at >= info.created_at
    assert bridge.secrets.update("a", version=first.version, tags={}).tags == {}
    assert bridge.secrets.get("a", first.version).value == "one"
    assert bridge.secrets.get("a").tags == {"other": "tag"}


def test_a_version_that_is_not_there_is_told_from_a_secret_that_is_not(bridge: kmsbridge.Bridge) -> None:
    """version_not_found and not_found are two codes."""
    bridge.secrets.set("a", "value")
    for name, expected in (("a", Code.VERSION_NOT_FOUND), ("b", Code.NOT_FOUND)):
        with pytest.raises(kmsbridge.NotFoundError) as caught:
            bridge.secrets.get(name, "0" * 32)
        assert caught.value.code is expected


def test_versions_are_never_used_twice(bridge: kmsbridge.Bridge) -> None:
    """Also not after the secret was purged and made anew."""
    versions = set()
    for _ in range(3):
        versions |= {bridge.secrets.set("a", "same").version for _ in range(10)}
        bridge.secrets.delete("a")
        bridge.secrets.purge("a")
    assert len(versions) == 30
    assert all(re.fullmatch(r"[0-9a-f]{32}", version) for version in versions)


def test_the_store_itself_refuses_what_is_too_large(secrets: SecretStore) -> None:
    """The limit of the abilities is the limit of the store."""
    assert secrets.set(soon, "a", new(b"x" * 65_536)).value == b"x" * 65_536
    assert code(lambda: secrets.set(soon, "a", new("ä" * 32_769))) == "ValueTooLarge"


# -- listings ---------------------------------------------------------------------------


def test_listings_come_in_pages_and_bear_changes(secrets: SecretStore) -> None:
    """What is there from the first page to the last is listed once, whatever else comes and goes."""
    names = [f"n{i:03}" for i in range(2 * PAGE + 50)]
    for name in names:
        secrets.set(soon, name, new())
    page = secrets.list(soon, None)
    assert [info.name for info in page.items] == names[:PAGE]
    for name in (names[0], names[PAGE - 1], names[PAGE]):
        secrets.delete(soon, name)
        secrets.purge(soon, name)
    secrets.set(soon, "a-new-one", new())
    secrets.delete(soon, names[-1])
    found = [info.name for info in page.items]
    while page.cursor is not None:
        page = secrets.list(soon, page.cursor)
        found += [info.name for info in page.items]
    assert found == [name for name in names[:-1] if name != names[PAGE]]
    assert [info.name for info in secrets.deleted(soon, None).items] == []
    assert [info.name for info in secrets.deleted(soon, names[2 * PAGE]).items] == [names[-1]]


@pytest.mark.parametrize("count", [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE, 2 * PAGE + 1])
def test_versions_come_newest_first_in_pages(secrets: SecretStore, count: int) -> None:
    """Each once, with no empty page at the end, also when versions are added meanwhile."""
    versions = [secrets.set(soon, "a", new()).version for _ in range(count)]
    found, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        page = secrets.versions(soon, "a", cursor)
        secrets.set(soon, "a", new())
        found += [info.version for info in page.items]
        cursor, pages = page.cursor, pages + 1
    assert found == versions[::-1]
    assert pages == -(-count // PAGE)


def test_a_cursor_of_nobodys_is_refused(secrets: SecretStore) -> None:
    """A cursor that no page gave is invalid_argument."""
    secrets.set(soon, "a", new())
    for cursor in ("", "x", "-1", "1.5", "9" * 30, "\u0661"):
        assert code(lambda cursor=cursor: secrets.versions(soon, "a", cursor)) == "InvalidCursor"  # type: ignore[misc]


# -- stores in memory -------------------------------------------------------------------


def test_memory_is_private_and_a_name_shares_it() -> None:
    """memory: belongs to its bridge; memory:name to all bridges of the process, for good."""
    with kmsbridge.connect("memory:") as one, kmsbridge.connect("memory:") as other:
        one.secrets.set("a", "one")
        with pytest.raises(kmsbridge.NotFoundError):
            other.secrets.get("a")
    with kmsbridge.connect("memory:shared-by-name") as one:
        one.secrets.set("a", "one")
    with kmsbridge.connect("memory:shared-by-name") as one, kmsbridge.connect("memory:another") as other:
        assert one.secrets.get("a").value == "one"
        with pytest.raises(kmsbridge.NotFoundError):
            other.secrets.get("a")


def test_a_private_store_ends_with_its_settings() -> None:
    """What nobody can reach any more is closed."""
    settings = configure(parse_url("memory:"))
    store = _store.open_store(settings)
    assert _store.open_store(settings) is store
    SecretStore(store, 7).set(soon, "a", new())
    [(_, connection)] = store.pool._idle
    del settings
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")


async def test_a_private_store_is_the_same_in_every_loop() -> None:
    """An async bridge that is used in two loops reaches one store."""
    import asyncio

    bridge = kmsbridge.connect_async("memory:")
    await bridge.secrets.set("a", "value")

    async def read() -> str | bytes:
        return (await bridge.secrets.get("a")).value

    assert await asyncio.to_thread(asyncio.run, read()) == "value"
    await bridge.aclose()


# -- deadlines --------------------------------------------------------------------------


def test_a_writer_that_waits_too_long_has_changed_nothing(secrets: SecretStore) -> None:
    """Behind another thread's write the call ends at its deadline, as timeout and not_applied."""
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with secrets._store.write(soon):
            held.set()
            done.wait(5)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(5)
    try:
        with pytest.raises(StoreError, match="StoreBusy") as caught:
            secrets.set(lambda: 0.05, "a", new())
    finally:
        done.set()
        thread.join()
    error = decoder.decode(decoder.answer(caught.value))
    assert (error.code, error.outcome, error.retry.action) == (Code.TIMEOUT, Outcome.NOT_APPLIED, RetryAction.BACKOFF)
    assert code(lambda: secrets.get(soon, "a", None)) == "SecretNotFound"


def test_nothing_is_committed_after_the_deadline(secrets: SecretStore) -> None:
    """At whichever look at the clock the time is over: who has been told so finds no change afterwards."""

    class Clock:
        """Says that time is over after so many looks."""

        def __init__(self, last: int) -> None:
            self.looks, self._last = 0, last

        def time_left(self) -> float:
            self.looks += 1
            if self.looks > self._last:
                raise TimeoutError
            return 5.0

    secrets.set(soon, "a", new("old"))
    clock = Clock(1_000)
    secrets.set(clock.time_left, "a", new("old"))
    assert clock.looks > 3
    for last in range(clock.looks):
        with pytest.raises(StoreError, match="StoreBusy"):
            secrets.set(Clock(last).time_left, "a", new("new"))
        assert [info.version for info in secrets.versions(soon, "a", None).items][2:] == []
        assert secrets.get(soon, "a", None).value == "old"


# -- how refusals read ------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.on)
def test_every_code_reads_the_same_from_an_exception_and_from_its_text(rule: object) -> None:
    """What the store raises and what `kmsbridge explain` is given decode alike, each with its own advice."""
    assert isinstance(rule, tuple)
    error = decoder.decode(decoder.answer(StoreError(rule[0])))
    told = decoder.decode(Answer(text=f"kmsbridge_local._errors.StoreError: {rule[0]}"))
    assert error.to_dict() == told.to_dict()
    assert error.provider_codes == (rule[0],)
    assert error.code is rule[1]
    assert error.remediation
    assert (error.outcome is Outcome.UNKNOWN) is (error.code is Code.INTERNAL_ERROR)


def test_the_sentence_of_a_text_from_elsewhere_is_not_copied() -> None:
    """Only what this process said itself is repeated."""
    error = decoder.decode(Answer(text="SecretNotFound: canary"))
    assert "canary" not in json.dumps(error.to_dict())
    assert decoder.decode(decoder.answer(StoreError("FileIsLink", "/x is a link"))).message == "/x is a link"


def test_every_code_that_sqlite_can_give_is_known() -> None:
    """Result codes map to codes that have a rule; what is left decodes as unknown."""
    assert set(_SQLITE.values()) <= CODES
    for number, expected in _SQLITE.items():
        failure = sqlite3.OperationalError("canary")
        failure.sqlite_errorcode = number | 3 << 8  # extended codes have more in their upper bits
        failure.sqlite_errorname = "SQLITE_NAME"
        error = decoder.decode(decoder.answer(failure))
        assert error.provider_codes == (expected,)
        assert [tuple(cause) for cause in error.causes] == [("sqlite3.OperationalError", "SQLITE_NAME")]
        assert "canary" not in error.details()


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (OSError(28, "canary"), Code.QUOTA_EXCEEDED),
        (OSError(30, "canary"), Code.ACCESS_DENIED),
        (OSError(5, "canary"), Code.INTERNAL_ERROR),
        (PermissionError(13, "canary", "/x"), Code.ACCESS_DENIED),
        (TimeoutError("canary"), Code.TIMEOUT),
        (sqlite3.OperationalError("Could not decode to UTF-8 column 'canary'"), Code.WRONG_STATE),
        (RuntimeError("canary"), Code.UNKNOWN),
    ],
    ids=str,
)
def test_failures_of_the_system_have_a_code(failure: Exception, expected: Code) -> None:
    """Errors of the file system and of SQLite decode, and none of their words are repeated."""
    error = decoder.decode(decoder.answer(failure))
    assert error.code is expected
    assert "canary" not in f"{error.details()}{error!r}{error.to_dict()}"


def test_what_a_driver_says_of_repeating() -> None:
    """What appends, or reports success as not_found the second time, is not repeatable."""
    from kmsbridge._runtime import BLOCKING, drive
    from kmsbridge_local import open as open_driver

    driver = drive(open_driver(configure(parse_url("memory:")), BLOCKING))
    operations = ("get", "set", "list", "versions", "update", "delete", "deleted", "recover", "purge")
    assert [name for name in operations if driver.repeatable(f"secrets.{name}")] == [
        "get", "list", "versions", "update", "deleted",
    ]  # fmt: skip
    error = KMSError()
    assert drive(driver.reauthenticate()) is False
    assert drive(driver.refresh(error)) is False


def test_health_says_where_the_root_key_is(bridge: kmsbridge.Bridge) -> None:
    """The harmless call opens the store and checks its key."""
    health = bridge.health()
    assert health
    assert health.identity is not None
    assert health.identity.credential == "root key (memory)"
