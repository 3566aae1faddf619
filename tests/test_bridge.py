"""The faces: alike in both modes, lazy, and free of what they do not need."""

from __future__ import annotations

import asyncio
import inspect
import json
import threading
from typing import TYPE_CHECKING

import pytest

import kmsbridge
from kmsbridge import AsyncBridge, Bridge, Code, Fault, Health, NotFoundError, Outcome, Secret, _faces
from kmsbridge._decode import Answer, Refused
from kmsbridge._errors import TAXONOMY, error_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tests.kmsbridge_scripted import Script

FACES = [
    (getattr(_faces, name), getattr(_faces, f"Async{name}"))
    for name in vars(_faces) if f"Async{name}" in vars(_faces) and name[0].isupper()
]


def methods(face: type) -> dict[str, Callable[..., Any]]:
    """The public methods of a face."""
    return {name: value for name, value in vars(face).items() if callable(value) and not name.startswith("_")}


# -- alike ---------------------------------------------------------------------------------


def test_there_are_faces_to_compare() -> None:
    """Secrets, and whatever else has both a sync and an async face."""
    assert "Secrets" in [sync.__name__ for sync, _ in FACES]


@pytest.mark.parametrize(("sync", "other"), FACES)
def test_both_faces_have_the_same_methods_and_signatures(sync: type, other: type) -> None:
    """What is learned for one mode holds for the other: names, order, kinds, defaults and types of arguments."""
    assert list(methods(sync)) == list(methods(other))
    for name, method in methods(sync).items():
        one, two = inspect.signature(method), inspect.signature(methods(other)[name])
        assert list(one.parameters.values()) == list(two.parameters.values()), name
        plain = str(two.return_annotation).replace("AsyncIterator", "Iterator")
        assert str(one.return_annotation) == plain, name


@pytest.mark.parametrize(("sync", "other"), FACES)
def test_every_method_takes_a_timeout_and_says_what_it_does(sync: type, other: type) -> None:
    """`timeout=` is how every call is bounded; listings are plain methods, all else is awaited."""
    for name, method in methods(sync).items():
        assert inspect.signature(method).parameters["timeout"].kind is inspect.Parameter.KEYWORD_ONLY, name
        assert method.__doc__, name
        assert methods(other)[name].__doc__, name
        listing = "Iterator" in str(inspect.signature(method).return_annotation)
        assert inspect.iscoroutinefunction(methods(other)[name]) is not listing, name


def test_both_bridges_are_alike() -> None:
    """They differ in close and aclose only; connect and connect_async take the same."""
    assert {name.replace("aclose", "close") for name in methods(AsyncBridge)} == methods(Bridge).keys()
    one, two = inspect.signature(kmsbridge.connect), inspect.signature(kmsbridge.connect_async)
    assert list(one.parameters.values()) == list(two.parameters.values())
    health = inspect.signature(Bridge.health), inspect.signature(AsyncBridge.health)
    assert health[0] == health[1]


def test_connecting_is_a_plain_function_and_needs_no_loop(script: Script) -> None:
    """connect_async does no I/O: a bridge may be made at import and used in any loop."""
    bridge = kmsbridge.connect_async("scripted://a")
    assert isinstance(bridge, AsyncBridge)
    assert script.opened == []


def test_a_bridge_shows_where_it_leads_and_no_more(
    script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """The repr names provider and profile, never the URL, which may hold what is not for logs."""
    del script
    monkeypatch.chdir(str(tmp_path))
    monkeypatch.delenv("KMSBRIDGE_CONFIG", raising=False)
    with open("kmsbridge.toml", "w", encoding="utf-8") as file:
        file.write('[profiles.eu]\nurl = "scripted://s3cret-host"\n')
    assert repr(kmsbridge.connect("scripted://s3cret-host")) == "<kmsbridge.Bridge to scripted>"
    assert repr(kmsbridge.connect("eu")) == "<kmsbridge.Bridge to scripted, profile 'eu'>"
    assert repr(kmsbridge.connect_async("eu")) == "<kmsbridge.AsyncBridge to scripted, profile 'eu'>"


def test_what_a_backend_can_do_is_known_without_asking_it(script: Script) -> None:
    """Capabilities come from the settings: nothing is opened, and they cannot be changed."""
    for bridge in (kmsbridge.connect("scripted://a"), kmsbridge.connect_async("scripted://a")):
        assert bridge.capabilities.secrets.if_absent is True
        with pytest.raises(AttributeError):
            bridge.capabilities.secrets.if_absent = False  # type: ignore[misc]
    assert script.opened == []


def test_both_modes_run_the_same_operations(script: Script) -> None:
    """The same calls give the same results, from the same driver methods."""

    def sync() -> list[object]:
        with kmsbridge.connect("scripted://a") as bridge:
            secrets = bridge.secrets
            secrets.purge("x")
            return [
                secrets.get("x"), secrets.set("x", b"y"), secrets.update("x", enabled=True), secrets.delete("x"),
                secrets.recover("x"), list(secrets.list()), list(secrets.versions("x")),
                list(secrets.deleted()), secrets.get_many(["a", "b", "a"]), bool(bridge.health()),
            ]

    async def asynchronous() -> list[object]:
        async with kmsbridge.connect_async("scripted://a") as bridge:
            secrets = bridge.secrets
            await secrets.purge("x")
            return [
                await secrets.get("x"), await secrets.set("x", b"y"), await secrets.update("x", enabled=True),
                await secrets.delete("x"), await secrets.recover("x"),
                [info async for info in secrets.list()], [info async for info in secrets.versions("x")],
                [info async for info in secrets.deleted()], await secrets.get_many(["a", "b", "a"]),
                bool(await bridge.health()),
            ]

    first = sync()
    asked = list(script.log)
    script.log.clear()
    assert asyncio.run(asynchronous()) == first
    assert script.log == asked
    assert " ".join(asked) == (
        "purge get set update delete recover list list list versions deleted get get health"
    )


# -- listings ---------------------------------------------------------------------------------


def test_a_listing_fetches_a_page_when_it_is_needed(script: Script) -> None:
    """Nothing is asked before the first item, and no page beyond the one in use."""
    with kmsbridge.connect("scripted://a") as bridge:
        listing = bridge.secrets.list()
        assert script.log == []
        names = [next(listing).name for _ in range(2)]
        assert script.log == ["list"]
        names += [info.name for info in listing]
    assert names == list("abcdef")
    assert script.log == ["list"] * 3


@pytest.mark.parametrize("how", ["sync", "sync in a running loop", "async"])
def test_a_listing_broken_off_frees_what_it_holds_at_once(script: Script, how: str) -> None:
    """No permit of the driver is held between two items, in a thread with a running loop neither."""

    def sync() -> None:
        with kmsbridge.connect("scripted://a") as bridge:
            for info in bridge.secrets.list():
                assert script.permits == 0
                if info.name == "c":
                    break
            assert script.permits == 0

    async def in_loop() -> None:
        sync()

    async def asynchronous() -> None:
        async with kmsbridge.connect_async("scripted://a") as bridge:
            async for info in bridge.secrets.list():
                assert script.permits == 0
                if info.name == "c":
                    break
            assert script.permits == 0

    if how == "sync":
        sync()
    else:
        asyncio.run(asynchronous() if how == "async" else in_loop())
    assert script.log == ["list", "list"]


def test_a_listing_that_fails_in_the_middle_raises_there(script: Script) -> None:
    """What came before the failure has been given, and the error is a call's like any other."""
    pages = [0]

    async def step(*_: object) -> None:
        pages[0] += 1
        if pages[0] == 2:
            raise Refused(Answer(403))

    script.on["list"] = step
    seen: list[str] = []
    with kmsbridge.connect("scripted://a") as bridge, pytest.raises(kmsbridge.PermissionDeniedError) as caught:
        seen.extend(info.name for info in bridge.secrets.list())
    assert seen == ["a", "b"]
    assert (caught.value.operation, caught.value.attempts) == ("secrets.list", 1)


def test_a_prefix_limits_a_listing_to_names_that_begin_so(script: Script) -> None:
    """The filter is over our names, and pages without a match are passed over."""
    with kmsbridge.connect("scripted://a") as bridge:
        assert [info.name for info in bridge.secrets.list("e")] == ["e"]
        assert [info.name for info in bridge.secrets.list("z")] == []
    assert script.log == ["list"] * 6


# -- several at once ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_get_many_gives_a_value_or_an_error_for_each_name(script: Script, mode: str) -> None:
    """Partial failure is data: each name has its own result, in the order asked, and nothing is raised."""

    async def step(_: object, call: object) -> None:
        resource = getattr(call, "resource", None)
        if resource is not None and resource.name == "gone":
            raise Refused(Answer(404))

    script.on["get"] = step
    wanted = ["x", "gone", "Wrong", "y", "x"]

    async def main() -> dict[str, object]:
        async with kmsbridge.connect_async("scripted://a") as bridge:
            return dict(await bridge.secrets.get_many(iter(wanted)))

    def call() -> dict[str, object]:
        with kmsbridge.connect("scripted://a") as bridge:
            return dict(bridge.secrets.get_many(iter(wanted)))

    found = call() if mode == "sync" else asyncio.run(main())
    assert list(found) == ["x", "gone", "Wrong", "y"]
    assert [type(result).__name__ for result in found.values()] == [
        "Secret", "NotFoundError", "InvalidRequestError", "Secret",
    ]
    gone = found["gone"]
    assert isinstance(gone, NotFoundError)
    assert gone.__traceback__ is None
    assert gone.__context__ is None
    assert script.log.count("get") == 3


def test_get_many_refuses_one_name(script: Script) -> None:
    """A str is a sequence of names too, and never meant as such."""
    with kmsbridge.connect("scripted://a") as bridge, pytest.raises(kmsbridge.InvalidRequestError) as caught:
        bridge.secrets.get_many("abc")
    assert caught.value.remediation == "Write get_many([name])."
    assert script.log == []


# -- health --------------------------------------------------------------------------------------


def test_health_of_a_backend_that_works(script: Script) -> None:
    """One harmless call says that it is reachable, that we are known, and that its key can be used."""
    with kmsbridge.connect("scripted://a") as bridge:
        health = bridge.health()
    assert health
    assert health.provider == "scripted"
    assert health.reachable is health.authenticated is health.key_usable is True
    assert (health.code, health.fault, health.identity) == (None, None, kmsbridge.Identity("nobody"))
    assert 0 < health.elapsed < 2
    assert script.log == ["health"]


@pytest.mark.parametrize("code", Code)
@pytest.mark.parametrize("status", [None, 403])
def test_health_never_raises_and_claims_no_more_than_is_known(script: Script, code: Code, status: int | None) -> None:
    """Each code says why the backend cannot be used, who has to act, and what can be told from it."""

    async def step(*_: object) -> None:
        raise error_for(code, http_status=status)

    script.renews = False
    script.on["health"] = script.on["poll"] = step
    with kmsbridge.connect("scripted://a") as bridge:
        health = bridge.health()
    assert not health
    assert (health.code, health.fault, health.remediation) == (code, TAXONOMY[code].fault, TAXONOMY[code].remediation)
    key_trouble = code in ("key_access_revoked", "key_version_unusable")
    assert health.key_usable is (False if key_trouble else None)
    if code in ("network_error", "timeout"):
        assert health.reachable is False
    else:
        sent = TAXONOMY[code].outcome != "not_sent"  # else it was a token service that answered
        assert health.reachable is (True if key_trouble or (status and sent) else None)
    if TAXONOMY[code].category == "authentication":
        assert health.authenticated is False
    elif key_trouble or code in ("access_denied", "condition_not_met"):
        assert health.authenticated is True
    else:
        assert health.authenticated is None
    assert json.loads(json.dumps(health.to_dict()))["healthy"] is False


def test_health_has_its_own_short_limit(script: Script) -> None:
    """Two seconds unless the call says otherwise, whatever the bridge's timeout."""
    left: list[float] = []

    async def look(_: object, call: Any) -> None:
        left.append(call.time_left())

    script.on["health"] = look
    with kmsbridge.connect("scripted://a", timeout=60) as bridge:
        bridge.health()
        bridge.health(timeout=5)
    assert [round(seconds) for seconds in left] == [2, 5]


def test_health_of_a_closed_bridge_and_of_one_that_cannot_be_opened(script: Script) -> None:
    """A failure of ours is in the result as well."""
    bridge = kmsbridge.connect("scripted://a")
    bridge.close()
    assert bridge.health().code is Code.WRONG_STATE

    async def fails(_: object) -> None:
        raise ConnectionRefusedError(111, "refused")

    script.on_open = fails
    with kmsbridge.connect("scripted://a") as other:
        health = other.health()
    assert (health.code, health.reachable, health.fault) == (Code.NETWORK_ERROR, False, Fault.NETWORK)


# -- by many ---------------------------------------------------------------------------------------


def test_an_async_bridge_may_be_used_from_several_loops_at_once(script: Script) -> None:
    """Loops in threads of their own share the bridge, not its drivers."""
    bridge = kmsbridge.connect_async("scripted://a")
    got: list[object] = []

    async def main() -> None:
        got.extend(await asyncio.gather(*(bridge.secrets.get("x") for _ in range(20))))

    threads = [threading.Thread(target=lambda: asyncio.run(main()), daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(got) == 80
    assert all(isinstance(result, Secret) for result in got)
    assert len(script.opened) == len(script.closed) == 4


def test_leaving_the_with_block_by_an_error_closes_the_bridge(script: Script) -> None:
    """The error passes, and the bridge is closed."""
    bridge = kmsbridge.connect("scripted://a")

    def use() -> None:
        with bridge:
            bridge.secrets.get("x")
            raise ValueError("own")

    with pytest.raises(ValueError, match="own"):
        use()
    with pytest.raises(kmsbridge.PreconditionError) as caught:
        bridge.secrets.get("x")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert script.log == ["get"]
    assert isinstance(bridge.health(), Health)
