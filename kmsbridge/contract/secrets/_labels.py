"""What is kept beside a value: content type, tags and expiry."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from kmsbridge.contract._contract import needs
from kmsbridge.contract.secrets._acts import SecretCases, drained

if TYPE_CHECKING:
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_EXPIRES = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)


class LabelCases(SecretCases):
    """Cases about what is kept beside a value."""

    @needs("get", "set")
    async def test_a_plain_secret_has_no_labels(self, bridge: BridgeView, canary: Canary) -> None:
        """What was not given is not made up."""
        await bridge.secrets.set("some/name", canary.text())
        secret = await bridge.secrets.get("some/name")
        assert (secret.content_type, dict(secret.tags), secret.expires_at, secret.stale) == (None, {}, None, False)

    @needs("get", "set", "content_type")
    async def test_the_content_type_comes_back(self, bridge: BridgeView, canary: Canary) -> None:
        """Up to the size that is claimed."""
        for content_type in ("application/json; charset=utf-8", "x" * self.claims.max_content_type):
            await bridge.secrets.set("some/name", canary.text(), content_type=content_type)
            assert (await bridge.secrets.get("some/name")).content_type == content_type

    @needs("get", "set", "tags")
    async def test_tags_come_back(self, bridge: BridgeView, canary: Canary) -> None:
        """As many as are claimed, with any printable text, and empty values."""
        tags = {"team": "billing", "Owner's name": "Zürich 密碼", "empty": ""}
        tags = dict(list(tags.items())[: self.claims.max_tags])
        tags |= {f"tag-{number}": str(number) for number in range(self.claims.max_tags - len(tags))}
        await bridge.secrets.set("some/name", canary.text(), tags=tags)
        assert dict((await bridge.secrets.get("some/name")).tags) == tags

    @needs("get", "set", "tags")
    async def test_tags_belong_to_a_version(self, bridge: BridgeView, canary: Canary) -> None:
        """A new version does not inherit them."""
        await bridge.secrets.set("some/name", canary.text("1"), tags={"team": "billing"})
        await bridge.secrets.set("some/name", canary.text("2"))
        assert dict((await bridge.secrets.get("some/name")).tags) == {}

    @needs("get", "set", "expires_at")
    async def test_the_expiry_comes_back(self, bridge: BridgeView, canary: Canary) -> None:
        """The same instant, to the whole second, whatever the zone it was given in."""
        given = (_EXPIRES + timedelta(microseconds=999_999)).astimezone(timezone(timedelta(hours=-3, minutes=-30)))
        written = await bridge.secrets.set("some/name", canary.text(), expires_at=given)
        read = await bridge.secrets.get("some/name")
        assert written.expires_at == read.expires_at == _EXPIRES
        assert read.expires_at is not None
        assert read.expires_at.utcoffset() == timedelta(0)

    @needs("get", "set", "expires_at")
    async def test_an_expired_secret_is_still_returned(self, bridge: BridgeView, canary: Canary) -> None:
        """The expiry informs and does not lock."""
        gone = datetime(2020, 1, 1, tzinfo=UTC)
        await bridge.secrets.set("some/name", canary.text(), expires_at=gone)
        secret = await bridge.secrets.get("some/name")
        assert (secret.value, secret.expires_at) == (canary.text(), gone)

    @needs("get", "set")
    async def test_the_time_of_creation_has_a_zone(self, bridge: BridgeView, canary: Canary) -> None:
        """Where a backend tells it, it can be compared; it is about now."""
        await bridge.secrets.set("some/name", canary.text())
        created_at = (await bridge.secrets.get("some/name")).created_at
        assert created_at is None or abs(datetime.now(UTC) - created_at) < timedelta(days=1)

    @needs("set", "list", "tags", "content_type", "expires_at")
    async def test_listings_show_the_labels(self, bridge: BridgeView, canary: Canary) -> None:
        """What is kept beside a value is seen without reading the value."""
        await bridge.secrets.set(
            "some/name", canary.text(), tags={"team": "billing"}, content_type="text/plain", expires_at=_EXPIRES
        )
        (info,) = await drained(bridge.secrets.list())
        assert (dict(info.tags), info.content_type, info.expires_at) == ({"team": "billing"}, "text/plain", _EXPIRES)

    @needs("get", "set", "update", "tags")
    async def test_update_replaces_the_tags(self, bridge: BridgeView, canary: Canary) -> None:
        """The tags given are all there are afterwards; the value stays."""
        await bridge.secrets.set("some/name", canary.text(), tags={"team": "billing"})
        info = await bridge.secrets.update("some/name", tags={"owner": "ops"})
        assert (info.name, dict(info.tags)) == ("some/name", {"owner": "ops"})
        secret = await bridge.secrets.get("some/name")
        assert (dict(secret.tags), secret.value) == ({"owner": "ops"}, canary.text())
        await bridge.secrets.update("some/name", tags={})
        assert dict((await bridge.secrets.get("some/name")).tags) == {}

    @needs("get", "set", "update", "expires_at", "tags", "enabled")
    async def test_update_leaves_alone_what_it_is_not_given(self, bridge: BridgeView, canary: Canary) -> None:
        """Each thing changes by itself, and no version is added."""
        written = await bridge.secrets.set("some/name", canary.text(), tags={"team": "billing"}, expires_at=_EXPIRES)
        await bridge.secrets.update("some/name", enabled=True)
        later = _EXPIRES + timedelta(days=1)
        await bridge.secrets.update("some/name", expires_at=later)
        secret = await bridge.secrets.get("some/name")
        assert (secret.version, secret.value) == (written.version, canary.text())
        assert (dict(secret.tags), secret.expires_at) == ({"team": "billing"}, later)

    @needs("get", "set", "get_version", "update", "update_version", "tags")
    async def test_update_changes_the_named_version(self, bridge: BridgeView, canary: Canary) -> None:
        """An older version is changed, and the latest is not."""
        first = await bridge.secrets.set("some/name", canary.text("1"), tags={"number": "1"})
        await bridge.secrets.set("some/name", canary.text("2"), tags={"number": "2"})
        info = await bridge.secrets.update("some/name", version=first.version, tags={"number": "old"})
        assert (info.version, dict(info.tags)) == (first.version, {"number": "old"})
        assert dict((await bridge.secrets.get("some/name", first.version)).tags) == {"number": "old"}
        assert dict((await bridge.secrets.get("some/name")).tags) == {"number": "2"}
