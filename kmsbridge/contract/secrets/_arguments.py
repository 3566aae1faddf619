"""Wrong arguments: refused before anything is sent, with the argument named."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import TAGS, TIMEOUTS
from kmsbridge.contract.secrets._acts import SecretCases

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_EXPIRIES: dict[str, object] = {
    "no zone": datetime(2099, 1, 1),  # noqa: DTZ001 - that is what is wrong with it
    "a date": date(2099, 1, 1),
    "text": "2099-01-01T00:00:00Z",
    "seconds": 4_070_908_800,
    "beyond the calendar": datetime.max.replace(tzinfo=timezone(timedelta(hours=-1))),
    "before the calendar": datetime.min.replace(tzinfo=timezone(timedelta(hours=1))),
}
_CONTENT_TYPES: dict[str, object] = {"empty": "", "a newline": "text/plain\r\nx: y", "bytes": b"text/plain", "int": 5}


class ArgumentCases(SecretCases):
    """Cases about wrong arguments."""

    @for_each("kind", TIMEOUTS)
    async def test_what_is_no_timeout_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A timeout is a positive, finite number of seconds."""
        for operation in self.able():
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await self.act(bridge.secrets, operation, canary, timeout=cast("float", TIMEOUTS[kind]))
            assert [field.path for field in info.value.fields] == ["timeout"]

    @needs("set", "tags")
    @for_each("kind", TAGS)
    async def test_what_are_no_tags_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """Tags map short printable text to short printable text."""
        tags = cast("dict[str, str]", TAGS[kind])
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", canary.text(), tags=tags)
        assert [field.path for field in info.value.fields] == ["tags"]
        if "update" in self.claimed:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await bridge.secrets.update("some/name", tags=tags)

    @needs("set", "tags")
    async def test_too_many_tags_are_refused(self, bridge: BridgeView, canary: Canary) -> None:
        """One more than is claimed."""
        tags = {f"tag-{number}": "" for number in range(self.claims.max_tags + 1)}
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", canary.text(), tags=tags)
        assert [field.path for field in info.value.fields] == ["tags"]

    @needs("set", "expires_at")
    @for_each("kind", _EXPIRIES)
    async def test_what_is_no_expiry_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """An expiry is an instant: a datetime with its zone."""
        expires_at = cast("datetime", _EXPIRIES[kind])
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", canary.text(), expires_at=expires_at)
        assert [field.path for field in info.value.fields] == ["expires_at"]
        if "update" in self.claimed:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await bridge.secrets.update("some/name", expires_at=expires_at)

    @needs("set", "content_type")
    @for_each("kind", [*_CONTENT_TYPES, "too long"])
    async def test_what_is_no_content_type_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A content type is short printable text."""
        content_type = cast("str", {**_CONTENT_TYPES, "too long": "x" * (self.claims.max_content_type + 1)}[kind])
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", canary.text(), content_type=content_type)
        assert [field.path for field in info.value.fields] == ["content_type"]

    @needs("set")
    @for_each("flag", [1, 0, "yes", None])
    async def test_what_is_no_flag_is_refused(self, bridge: BridgeView, canary: Canary, flag: object) -> None:
        """True and False are flags, what is merely true or false is a mistake."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.set("some/name", canary.text(), if_absent=cast("bool", flag))
        assert [field.path for field in info.value.fields] == ["if_absent"]
        if {"update", "enabled"} <= self.claimed and flag is not None:
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await bridge.secrets.update("some/name", enabled=cast("bool", flag))
            assert [field.path for field in info.value.fields] == ["enabled"]

    @needs("update")
    async def test_an_update_of_nothing_is_refused(self, bridge: BridgeView) -> None:
        """There must be something to change."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await bridge.secrets.update("some/name")

    @needs("get")
    @for_each("wanted", ["some/name", 5, None, [["some/name"]]])
    async def test_get_many_wants_several_names(self, bridge: BridgeView, wanted: object) -> None:
        """One text is no list of names, however easily it is taken for one."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.secrets.get_many(cast("list[str]", wanted))
        assert [field.path for field in info.value.fields] == ["names"]
