"""What holds for every call: deadline, closing, events, and what an error carries."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING

from kmsbridge import Code, KMSError, Outcome, Resource
from kmsbridge.contract._contract import needs, refused
from kmsbridge.contract._views import Mode
from kmsbridge.contract.keys._acts import NAMED, KeyCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary, Witness


class CallCases(KeyCases):
    """Cases about calls as such."""

    async def test_a_deadline_that_has_passed_is_a_timeout(self, bridge: BridgeView, canary: Canary) -> None:
        """A call without time left is not sent."""
        for operation in self.able():
            with refused(Code.TIMEOUT, Outcome.NOT_SENT):
                await self.act(bridge.keys, operation, canary, timeout=1e-9)

    async def test_a_closed_bridge_refuses(self, bridge: BridgeView, canary: Canary) -> None:
        """Nothing is sent over a bridge that is closed."""
        assert (await bridge.health()).code is None
        await bridge.aclose()
        for operation in self.able():
            with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
                await self.act(bridge.keys, operation, canary)

    async def test_each_call_is_one_event(
        self, bridge: BridgeView, canary: Canary, witness: Witness, operation: str
    ) -> None:
        """With the operation, how it ended, and how often it was tried."""
        failed: KMSError | None = None
        try:
            await self.act(bridge.keys, operation, canary)
        except KMSError as error:
            failed = error
        (event,) = witness.events
        assert event.operation == f"keys.{operation}"
        assert event.elapsed > 0
        if failed is None:
            assert (event.provider, event.code) == (bridge.keys.provider, None)
            assert event.attempts >= 1
        else:
            assert (event.provider, event.code, event.attempts) == (failed.provider, failed.code, failed.attempts)

    @needs("create")
    async def test_each_use_of_a_key_is_one_event(self, bridge: BridgeView, canary: Canary, witness: Witness) -> None:
        """Also where more than one request is sent, and for what is done in this process."""
        for number, spec in enumerate(self.users()):
            name = f"key/{number}"
            await self.create(bridge.keys, name, spec)
            samples = await self.samples(bridge.keys, name, spec, canary)
            for operation in self.uses(spec):
                witness.events.clear()
                await self.act(bridge.keys, operation, canary, name=name, samples=samples)
                (event,) = witness.events
                assert (event.operation, event.code) == (f"keys.{operation}", None)
                assert event.attempts >= 1

    async def test_a_call_that_is_not_sent_is_an_event_too(
        self, bridge: BridgeView, canary: Canary, witness: Witness
    ) -> None:
        """Without an attempt."""
        operations = [name for name in NAMED if self.can(name)]
        for operation in operations:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await self.act(bridge.keys, operation, canary, name="Not/A/Name")
        told = [(event.operation, event.code, event.attempts) for event in witness.events]
        assert told == [(f"keys.{operation}", Code.INVALID_ARGUMENT, 0) for operation in operations]

    @needs("create", "list")
    async def test_each_page_is_an_event(self, bridge: BridgeView, witness: Witness) -> None:
        """A listing over two pages is two calls, or more where pages are not full."""
        for number in range(self.harness.page_size + 1):
            await self.create(bridge.keys, f"many/{number:04}")
        witness.events.clear()
        await drained(bridge.keys.list())
        assert len(witness.events) >= 2
        assert {(event.operation, event.code) for event in witness.events} == {("keys.list", None)}

    @needs("create", "list")
    async def test_closing_ends_an_open_listing(self, bridge: BridgeView) -> None:
        """The page that was fetched may still be read, no other is fetched."""
        for number in range(self.harness.page_size + 1):
            await self.create(bridge.keys, f"many/{number:04}")
        listing = bridge.keys.list()
        await anext(listing)
        await bridge.aclose()
        with refused(Code.WRONG_STATE, Outcome.NOT_SENT):
            await drained(listing)

    @needs("get")
    async def test_an_error_says_what_it_is_about(self, bridge: BridgeView) -> None:
        """Operation, key, attempts and time are in it, and in its texts."""
        with refused(Code.NOT_FOUND) as info:
            await bridge.keys.get("some/key")
        error = info.value
        assert (error.operation, error.resource) == ("keys.get", Resource("key", "some/key"))
        assert error.elapsed > 0
        for part in (error.provider, "keys.get", "some/key", "not_found"):
            assert str(part) in str(error)

    async def test_the_faces_are_what_they_say(self, bridge: BridgeView) -> None:
        """The sync face returns results and iterators, the async face coroutines and async iterators."""
        face = bridge.bridge.keys
        is_async = bridge.mode is Mode.ASYNC
        for operation in NAMED:
            if operation != "versions":
                assert inspect.iscoroutinefunction(getattr(face, operation)) is is_async
        for operation, arguments in (("list", ()), ("versions", ("some/key",))):
            listing = getattr(face, operation)(*arguments)
            assert inspect.isasyncgen(listing) is is_async
            assert inspect.isgenerator(listing) is not is_async
            if is_async:
                await listing.aclose()
