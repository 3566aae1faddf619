"""Values come back as they were given, up to the size that is claimed and no further."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.secrets._acts import SecretCases

if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_VALUES: dict[str, Callable[[Canary], str | bytes]] = {
    "plain text": lambda canary: canary.text(),
    "no text": lambda _: "",
    "one character": lambda _: "x",
    "no bytes": lambda _: b"",
    "one byte": lambda _: b"\x00",
    "bytes that are text": lambda canary: canary.bytes(),
    "bytes that are not UTF-8": lambda canary: canary.bytes(b"\xff\xfe\x80\xc3"),
    "every byte": lambda canary: canary.bytes(bytes(range(256))),
    "newlines": lambda canary: f"{canary.text()}\n\n{canary.text()}",
    "carriage returns": lambda canary: f"{canary.text()}\r\n{canary.text()}\r",
    "a newline at the end": lambda canary: canary.text("\n"),
    "blanks at both ends": lambda canary: f"  \t{canary.text()}\t  ",
    "emoji": lambda canary: canary.text("\N{PILE OF POO}\N{ZERO WIDTH JOINER}\N{FIRE}"),
    "other scripts": lambda canary: canary.text(" Zürich 密碼 كلمة السر"),
    "not normalized": lambda canary: canary.text("e\u0301 \u00e9"),
    "NUL inside": lambda canary: f"{canary.text()}\0{canary.text()}",
    "NUL in bytes": lambda canary: canary.bytes(b"\0") + canary.bytes(),
    "JSON": lambda canary: f'{{"password": "{canary.text()}"}}',
    "Base64": lambda canary: canary.text("AAAA===="),
    "quotes": lambda canary: canary.text("' OR 1=1; -- \" \\ ${HOME} %s {0}"),
}


class ValueCases(SecretCases):
    """Cases about values."""

    @needs("get", "set")
    @for_each("kind", _VALUES)
    async def test_a_value_comes_back_as_it_was_given(
        self, bridge: BridgeView, connect: Connect, canary: Canary, kind: str
    ) -> None:
        """What is set is what is read, as the same type, by whoever reads it."""
        value = _VALUES[kind](canary)
        written = await bridge.secrets.set("some/name", value)
        read = await connect().secrets.get("some/name")
        for secret in (written, read):
            assert type(secret.value) is type(value)
            assert secret.value == value
        assert read.bytes == (value.encode() if isinstance(value, str) else value)
        assert (read.name, read.version) == ("some/name", written.version)

    @needs("get", "set")
    async def test_text_of_the_largest_size_is_kept(self, bridge: BridgeView, canary: Canary) -> None:
        """The limit itself is allowed; text counts in bytes of UTF-8."""
        limit = self.claims.max_value
        for value in (canary.sized(limit), canary.sized(limit - 4) + "\N{FIRE}"):
            await bridge.secrets.set("large", value)
            assert (await bridge.secrets.get("large")).value == value

    @needs("get", "set")
    async def test_bytes_of_the_largest_size_are_kept(self, bridge: BridgeView, canary: Canary) -> None:
        """The limit for bytes, which is lower where the backend stores text only."""
        value = canary.sized(self._binary_limit - 1).encode() + b"\xff"
        await bridge.secrets.set("large", value)
        assert (await bridge.secrets.get("large")).value == value

    @needs("set")
    async def test_one_byte_too_many_is_refused(self, bridge: BridgeView, canary: Canary) -> None:
        """A value beyond the limit is payload_too_large and is not sent."""
        limit, binary = self.claims.max_value, self._binary_limit
        text = (canary.sized(limit + 1), canary.sized(limit - 3) + "\N{FIRE}")
        for value in (*text, canary.sized(binary + 1).encode()):
            with refused(Code.PAYLOAD_TOO_LARGE, Outcome.NOT_SENT):
                await bridge.secrets.set("large", value)

    @needs("get", "set")
    async def test_a_refused_value_leaves_nothing_behind(self, bridge: BridgeView, canary: Canary) -> None:
        """What was not sent did not create the secret."""
        with refused(Code.PAYLOAD_TOO_LARGE, Outcome.NOT_SENT):
            await bridge.secrets.set("large", canary.sized(self.claims.max_value + 1))
        with refused(Code.NOT_FOUND):
            await bridge.secrets.get("large")

    @needs("set")
    @for_each("kind", ["int", "None", "bytearray", "list", "half a surrogate pair"])
    async def test_what_is_no_value_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """Only text and bytes are values."""
        value = {
            "int": 5,
            "None": None,
            "bytearray": bytearray(canary.bytes()),
            "list": [canary.text()],
            "half a surrogate pair": canary.text("\ud83d"),
        }[kind]
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", cast("str", value))
        assert [field.path for field in info.value.fields] == ["value"]

    @needs("get", "set")
    async def test_bytes_that_are_no_text_say_so(self, bridge: BridgeView, canary: Canary) -> None:
        """Asking bytes for text or JSON is an error that does not hold them."""
        await bridge.secrets.set("some/name", canary.bytes(b"\xff"))
        secret = await bridge.secrets.get("some/name")
        for ask in (lambda: secret.text, secret.json):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                ask()
            bridge.witness.error(info.value, None)

    @property
    def _binary_limit(self) -> int:
        return self.claims.max_binary or self.claims.max_value
