"""Names: one grammar everywhere, native names beside it, and tables that map one to the other."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, cast

import pytest

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import needs, refused
from kmsbridge.contract.secrets._acts import NAMED, SecretCases, names

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._harness import Backend
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_BAD: dict[str, object] = {
    "empty": "",
    "upper case": "Some/Name",
    "two hyphens": "a--b",
    "hyphen first": "-a",
    "hyphen last": "a-",
    "slash last": "a/",
    "slash first": "/a",
    "two slashes": "a//b",
    "only a slash": "/",
    "101 characters": "a" * 101,
    "11 segments": "/".join("abcdefghijk"),
    "reserved first segment": "acs/x",
    "reserved alone": "acs",
    "one dot": ".",
    "two dots": "..",
    "dots inside": "a/../b",
    "underscore": "some_name",
    "blank": "some name",
    "blank last": "name ",
    "newline last": "name\n",
    "NUL": "a\0b",
    "CR LF": "a\r\nb",
    "emoji": "fire\N{FIRE}",
    "letter beyond ASCII": "zürich",
    "digit beyond ASCII": "\N{ARABIC-INDIC DIGIT FIVE}",
    "right-to-left mark": "a\N{RIGHT-TO-LEFT MARK}b",
    "percent": "a%2fb",
    "question mark": "a?b",
    "hash": "a#b",
    "backslash": "a\\b",
    "colon": "a:b",
    "nothing after native:": "native:",
    "NUL in a native name": "native:a\0b",
    "int": 5,
    "None": None,
    "bytes": b"name",
}

_GOOD = ["a", "0", "9-a", "a/acs", "acs-x", "acsx/y", "a-b/c-d/0", "a" * 100, "/".join("abcdefghij"), "deleted"]


class NameCases(SecretCases):
    """Cases about names."""

    @pytest.mark.parametrize("kind", _BAD)
    async def test_a_bad_name_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """No operation sends a name that is not legal, and the error says that it is the name."""
        name = cast("str", _BAD[kind])
        for operation in NAMED:
            if operation in self.claimed:
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await self.act(bridge.secrets, operation, canary, name=name)
                assert [field.path for field in info.value.fields] == ["name"]

    @needs("get", "set", "list")
    async def test_every_kind_of_name_can_be_used(self, bridge: BridgeView, canary: Canary) -> None:
        """What is in the grammar is stored apart from every other name, and listed as it was written."""
        for name in _GOOD:
            assert (await bridge.secrets.set(name, canary.text(name))).name == name
        for name in _GOOD:
            secret = await bridge.secrets.get(name)
            assert (secret.name, secret.value) == (name, canary.text(name))
        assert sorted(await names(bridge.secrets.list())) == sorted(_GOOD)

    @needs("get", "set", "list")
    async def test_a_native_name_is_used_as_it_is(self, bridge: BridgeView, canary: Canary) -> None:
        """``native:`` reaches what has no portable name, and listings show it so."""
        name = f"native:{self.harness.native_name}"
        assert (await bridge.secrets.set(name, canary.text())).name == name
        secret = await bridge.secrets.get(name)
        assert (secret.name, secret.value) == (name, canary.text())
        assert await names(bridge.secrets.list()) == [name]

    async def test_a_native_name_that_has_a_portable_one_is_refused(self, bridge: BridgeView, canary: Canary) -> None:
        """An item has one name: the error says which."""
        for operation in NAMED:
            if operation in self.claimed:
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await self.act(bridge.secrets, operation, canary, name="native:name")
                assert "'name'" in info.value.remediation

    @needs("get", "set", "list")
    async def test_a_profile_maps_names(
        self, bridge: BridgeView, connect: Connect, canary: Canary, backend: Backend, tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A table says where a name lives: it is read, written and listed under it; others stay as they are."""
        native = self.harness.native_name
        _write_profile(tmp_path, monkeypatch, backend.url, {"team/password": native})
        mapped = connect("contract")
        await bridge.secrets.set(f"native:{native}", canary.text("old"))
        secret = await mapped.secrets.get("team/password")
        assert (secret.name, secret.value) == ("team/password", canary.text("old"))
        await mapped.secrets.set("team/password", canary.text("new"))
        await mapped.secrets.set("other", canary.text("other"))
        assert (await bridge.secrets.get(f"native:{native}")).value == canary.text("new")
        assert sorted(await names(mapped.secrets.list())) == ["other", "team/password"]
        assert sorted(await names(bridge.secrets.list())) == [f"native:{native}", "other"]

    @needs("get")
    async def test_a_mapped_item_has_its_mapped_name_only(
        self, connect: Connect, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Under a table that maps it, a native name is refused, and the error says what it is called."""
        native = self.harness.native_name
        _write_profile(tmp_path, monkeypatch, backend.url, {"team/password": native})
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await connect("contract").secrets.get(f"native:{native}")
        assert "'team/password'" in info.value.remediation

    @needs("get")
    async def test_an_error_names_the_mapped_name(
        self, connect: Connect, backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the caller wrote is what the error is about."""
        _write_profile(tmp_path, monkeypatch, backend.url, {"team/password": self.harness.native_name})
        with refused(Code.NOT_FOUND) as info:
            await connect("contract").secrets.get("team/password")
        assert info.value.resource is not None
        assert info.value.resource.name == "team/password"


def _write_profile(folder: Path, monkeypatch: pytest.MonkeyPatch, url: str, mapped: Mapping[str, str]) -> None:
    """A configuration file with one profile, ``contract``, for this case alone."""
    path = folder / "kmsbridge.toml"
    lines = ["[profiles.contract]", f"url = {_quoted(url)}", "[profiles.contract.secrets]"]
    lines += [f"{_quoted(portable)} = {_quoted(native)}" for portable, native in mapped.items()]
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(path))


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
