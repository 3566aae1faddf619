"""What holds for every call: deadline, closing, health, events, and what an error carries."""

from __future__ import annotations

import inspect
import logging
import pickle
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Code, Event, KMSError, Outcome, Resource
from kmsbridge.contract._contract import check, needs, refused
from kmsbridge.contract._views import Mode
from kmsbridge.contract.secrets._acts import NAMED, SecretCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary, Witness


class CallCases(SecretCases):
    """Cases about calls as such."""

    async def test_a_deadline_that_has_passed_is_a_timeout(self, bridge: BridgeView, canary: Canary) -> None:
        """A call without time left is not sent."""
        for operation in self.able():
            with refused(Code.TIMEOUT, Outcome.NOT_SENT):
                await self.act(bridge.secrets, operation, canary, timeout=1e-9)

    @needs("get", "set")
    async def test_a_deadline_in_reach_changes_nothing(self, bridge: BridgeView, canary: Canary) -> None:
        """Whole seconds and parts of them are taken."""
        await bridge.secrets.set("some/name", canary.text(), timeout=20)
        assert (await bridge.secrets.get("some/name", timeout=20.5)).value == canary.text()

    async def test_a_closed_bridge_refuses(self, bridge: BridgeView, canary: Canary) -> None:
        """Nothing is sent over a bridge that is closed; closing twice is closing once."""
        await bridge.aclose()
        await bridge.aclose()
        for operation in self.able():
            with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
                await self.act(bridge.secrets, operation, canary)

    async def test_a_used_bridge_can_be_closed(self, bridge: BridgeView, canary: Canary) -> None:
        """What was open is closed: calls are refused afterwards."""
        assert (await bridge.health()).code is None
        await bridge.aclose()
        for operation in self.able():
            with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
                await self.act(bridge.secrets, operation, canary)

    @needs("list")
    async def test_leaving_the_with_block_closes(self, bridge: BridgeView, connect: Connect) -> None:
        """A bridge is a context manager, and closes itself alone."""
        async with connect() as inner:
            assert await drained(inner.secrets.list()) == []
        with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
            await drained(inner.secrets.list())
        assert await drained(bridge.secrets.list()) == []

    @needs("set", "list")
    async def test_closing_ends_an_open_listing(self, bridge: BridgeView, canary: Canary) -> None:
        """The page that was fetched may still be read, no other is fetched."""
        for number in range(self.harness.page_size + 1):
            await bridge.secrets.set(f"many/{number:04}", canary.text())
        listing = bridge.secrets.list()
        await anext(listing)
        await bridge.aclose()
        with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
            await drained(listing)

    async def test_health_of_a_backend_that_is_there(self, bridge: BridgeView) -> None:
        """It is true, and says nothing is wrong."""
        health = await bridge.health()
        assert health, health.to_dict()
        assert (health.code, health.fault, health.reachable, health.authenticated) == (None, None, True, True)
        assert health.provider
        assert 0 <= health.elapsed < 10

    async def test_health_never_raises(self, bridge: BridgeView) -> None:
        """Why it cannot be used is in what it returns, with a code and what to do."""
        for code in (Code.TIMEOUT, Code.WRONG_STATE):
            health = await bridge.health(timeout=1e-9) if code is Code.TIMEOUT else await bridge.health()
            assert not health
            assert health.code is code
            assert health.message
            assert health.remediation
            await bridge.aclose()

    @needs("get", "set")
    async def test_get_many_returns_errors_beside_secrets(self, bridge: BridgeView, canary: Canary) -> None:
        """Each name has its own result, in the order asked, and a failure of one is not that of all."""
        for name in ("b", "a"):
            await bridge.secrets.set(name, canary.text(name))
        found = await bridge.secrets.get_many(["b", "missing", "Not/A/Name", "a", "b"])
        assert list(found) == ["b", "missing", "Not/A/Name", "a"]
        assert [getattr(found[name], "value", None) for name in ("a", "b")] == [canary.text("a"), canary.text("b")]
        error = check(found["missing"], Code.NOT_FOUND)
        assert error.resource == Resource("secret", "missing")
        check(found["Not/A/Name"], Code.INVALID_ARGUMENT, Outcome.NOT_SENT)
        assert await bridge.secrets.get_many([]) == {}

    @needs("get", "set")
    async def test_get_many_takes_more_than_a_few(self, bridge: BridgeView, canary: Canary) -> None:
        """Any number of names, from any iterable; more than one request has room for."""
        count = max(40, self.claims.max_batch + 1)
        written = {f"many/{number}": canary.text(str(number)) for number in range(count)}
        for name, value in written.items():
            await bridge.secrets.set(name, value)
        found = await bridge.secrets.get_many(name for name in written)
        assert {name: getattr(secret, "value", secret) for name, secret in found.items()} == written

    @needs("get")
    async def test_an_error_says_what_it_is_about(self, bridge: BridgeView) -> None:
        """Operation, item, attempts and time are in it, and in its texts."""
        with refused(Code.NOT_FOUND) as info:
            await bridge.secrets.get("some/name")
        error = info.value
        assert (error.operation, error.resource) == ("secrets.get", Resource("secret", "some/name"))
        assert error.elapsed > 0
        assert isinstance(error, LookupError)
        for part in (error.provider, "secrets.get", "some/name", "not_found"):
            assert str(part) in str(error)
        assert error.remediation in error.details()
        told = error.to_dict()
        assert (told["code"], told["category"], told["outcome"]) == ("not_found", "not_found", "not_applied")

    async def test_each_call_is_one_event(
        self, bridge: BridgeView, canary: Canary, witness: Witness, operation: str
    ) -> None:
        """With the operation, how it ended, and how often it was tried."""
        failed = await self._failure(bridge, operation, canary)
        (event,) = witness.events
        assert event.operation == f"secrets.{operation}"
        assert event.provider
        if failed is None:
            assert event.code is None
            assert event.attempts >= 1
        else:
            assert (event.provider, event.code, event.attempts) == (failed.provider, failed.code, failed.attempts)
        assert event.elapsed > 0
        tried = [(attempt.operation, attempt.attempt) for attempt in witness.attempts]
        assert tried == [(event.operation, number) for number in range(1, event.attempts + 1)]

    async def test_a_call_that_is_not_sent_is_an_event_too(
        self, bridge: BridgeView, canary: Canary, witness: Witness
    ) -> None:
        """Without an attempt."""
        operations = [name for name in NAMED if name in self.claimed]
        for operation in operations:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await self.act(bridge.secrets, operation, canary, name="Not/A/Name")
        told = [(event.operation, event.code, event.attempts) for event in witness.events]
        assert told == [(f"secrets.{operation}", Code.INVALID_ARGUMENT, 0) for operation in operations]

    async def test_health_is_an_event(self, bridge: BridgeView, witness: Witness) -> None:
        """As every call."""
        await bridge.health()
        (event,) = witness.events
        assert (event.operation, event.code) == ("health", None)
        assert event.attempts >= 1

    @needs("set", "list")
    async def test_each_page_is_an_event(self, bridge: BridgeView, canary: Canary, witness: Witness) -> None:
        """A listing over two pages is two calls, or more where pages are not full."""
        for number in range(self.harness.page_size + 1):
            await bridge.secrets.set(f"many/{number:04}", canary.text())
        witness.events.clear()
        await drained(bridge.secrets.list())
        assert len(witness.events) >= 2
        assert {(event.operation, event.code) for event in witness.events} == {("secrets.list", None)}

    @needs("get", "set")
    async def test_a_hook_that_fails_does_not_fail_the_call(
        self, connect: Connect, canary: Canary, witness: Witness
    ) -> None:
        """The call goes on, and the log tells of the hook."""

        def broken(event: Event) -> None:
            raise RuntimeError(f"this hook fails on {event.operation}")

        bridge = connect(on_event=broken)
        await bridge.secrets.set("some/name", canary.text())
        assert (await bridge.secrets.get("some/name")).value == canary.text()
        with refused(Code.NOT_FOUND):
            await bridge.secrets.get("missing")
        logged = [(record.name, record.levelno) for record in witness.records if record.exc_info]
        assert logged == [("kmsbridge", logging.ERROR)] * 6  # an attempt and its call, three times

    @needs("get")
    async def test_the_faces_are_what_they_say(self, bridge: BridgeView) -> None:
        """The sync face returns results and iterators, the async face coroutines and async iterators."""
        face = bridge.bridge.secrets
        is_async = bridge.mode is Mode.ASYNC
        for operation in ("get", "get_many", "set", "update", "delete", "recover", "purge"):
            assert inspect.iscoroutinefunction(getattr(face, operation)) is is_async
        for operation in ("list", "versions", "deleted"):
            listing = getattr(face, operation)(*([] if operation != "versions" else ["some/name"]))
            assert inspect.isasyncgen(listing) is is_async
            assert inspect.isgenerator(listing) is not is_async
            if is_async:
                await listing.aclose()
        assert "kmsbridge." in repr(bridge.bridge)

    @needs("get", "set")
    async def test_a_secret_does_not_show_itself(self, bridge: BridgeView, canary: Canary) -> None:
        """Its repr has no value, and it refuses to be pickled."""
        secret = await bridge.secrets.set("some/name", canary.text())
        assert canary.find(f"{secret!r} {secret}") is None
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(secret)

    async def _failure(self, bridge: BridgeView, operation: str, canary: Canary) -> KMSError | None:
        """Do an operation on an empty backend: its error, or None where it succeeds."""
        try:
            await self.act(bridge.secrets, operation, canary)
        except KMSError as error:
            return error
        return None
