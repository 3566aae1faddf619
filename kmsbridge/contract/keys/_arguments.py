"""Wrong arguments: refused before anything is sent, with the argument named."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import TAGS, TIMEOUTS
from kmsbridge.contract.keys._acts import KeyCases

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_CONTEXTS: dict[str, object] = {
    "a key that is no text": {5: "value"},
    "a value that is no text": {"tenant": 5},
    "a value that is None": {"tenant": None},
    "bytes": {b"tenant": b"acme"},
    "half a surrogate pair": {"tenant": "\ud83d"},
    "a list": ["tenant"],
    "pairs": [("tenant", "acme")],
    "text": "tenant",
    "a number": 5,
    "no text": "",
    "an empty list": [],
    "False": False,
    "zero": 0,
    "one byte more than 8 KB": {"k": "v" * (8192 - 4 - 4 - 1 - 4 + 1)},
    "more than 8 KB in UTF-8": {"k": "é" * 4096},
    "many pairs": {str(number): "" for number in range(1000)},
}
_NO_BYTES: dict[str, object] = {"None": None, "int": 5, "list": [5]}
_TAKES_CONTEXT = ("encrypt", "decrypt", "generate_data_key", "seal", "unseal")
_TAKES_BYTES = {"encrypt": "plaintext", "wrap": "data_key", "seal": "data", "sign": "message"}


class ArgumentCases(KeyCases):
    """Cases about wrong arguments."""

    @for_each("kind", TIMEOUTS)
    async def test_what_is_no_timeout_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A timeout is a positive, finite number of seconds."""
        for operation in self.able():
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await self.act(bridge.keys, operation, canary, timeout=cast("float", TIMEOUTS[kind]))
            assert [field.path for field in info.value.fields] == ["timeout"]

    @needs("create", "tags")
    @for_each("kind", TAGS)
    async def test_what_are_no_tags_is_refused(self, bridge: BridgeView, kind: str) -> None:
        """Tags map short printable text to short printable text."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.create("some/key", self.kind(), tags=cast("dict[str, str]", TAGS[kind]))
        assert [field.path for field in info.value.fields] == ["tags"]

    @needs("create", "tags")
    async def test_too_many_tags_are_refused(self, bridge: BridgeView) -> None:
        """One more than is claimed."""
        tags = {f"tag-{number}": "" for number in range(self.claims.max_tags + 1)}
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.create("some/key", self.kind(), tags=tags)
        assert [field.path for field in info.value.fields] == ["tags"]

    @for_each("kind", _CONTEXTS)
    async def test_what_is_no_context_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A context maps text to text and has at most 8 KB, whatever a backend would take."""
        context = cast("dict[str, str]", _CONTEXTS[kind])
        keys = bridge.keys
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "encrypt": lambda: keys.encrypt("some/key", canary.bytes(), context=context),
            "decrypt": lambda: keys.decrypt("some/key", b"", context=context),
            "generate_data_key": lambda: keys.generate_data_key("some/key", context=context),
            "seal": lambda: keys.seal("some/key", canary.bytes(), context=context),
            "unseal": lambda: keys.unseal("some/key", b"", context=context),
        }
        for operation in filter(self.can, _TAKES_CONTEXT):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await calls[operation]()
            assert [field.path for field in info.value.fields] == ["context"]

    @for_each("kind", ["text", *_NO_BYTES, "bytearray"])
    async def test_what_is_no_bytes_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """Text is not encoded by guess."""
        data = cast("bytes", {**_NO_BYTES, "text": canary.text(), "bytearray": bytearray(canary.bytes())}[kind])
        keys = bridge.keys
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "encrypt": lambda: keys.encrypt("some/key", data),
            "wrap": lambda: keys.wrap("some/key", data),
            "seal": lambda: keys.seal("some/key", data),
            "sign": lambda: keys.sign("some/key", data, algorithm=self._algorithm),
        }
        for operation, argument in _TAKES_BYTES.items():
            if self.can(operation):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await calls[operation]()
                assert [field.path for field in info.value.fields] == [argument]
