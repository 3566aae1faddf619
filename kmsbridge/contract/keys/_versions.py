"""Versions: each rotation appends one, and what an older one gave is still taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome, Resource
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract._wrong import VERSIONS
from kmsbridge.contract.keys._acts import KeyCases, drained

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from kmsbridge import KeySpec
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class VersionCases(KeyCases):
    """Cases about versions."""

    @needs("create", "rotate", "get")
    async def test_rotate_appends_a_version(self, bridge: BridgeView) -> None:
        """Of the same kind; it is the latest from then on."""
        made = await self.create(bridge.keys, spec=self.rotated())
        rotated = [await bridge.keys.rotate("some/key") for _ in range(2)]
        assert len({made.version, *(key.version for key in rotated)}) == 3
        for key in (*rotated, await bridge.keys.get("some/key")):
            assert (key.name, key.spec, key.enabled) == ("some/key", made.spec, True)
        assert (await bridge.keys.get("some/key")).version == rotated[-1].version

    @needs("create", "rotate")
    async def test_everything_is_done_with_the_latest_version(self, bridge: BridgeView, canary: Canary) -> None:
        """Ciphertexts and signatures say with which."""
        for number, spec in enumerate(self._used()):
            name = f"key/{number}"
            versions = [(await self.create(bridge.keys, name, spec)).version]
            for turn in range(2):
                samples = await self.samples(bridge.keys, name, spec, canary)
                given = [it for it in (samples.encrypted, samples.wrapped, samples.signature) if it is not None]
                if "generate_data_key" in self.uses(spec):
                    given.append((await bridge.keys.generate_data_key(name)).ciphertext)
                assert {it.version for it in given} == {versions[turn]}
                versions.append((await bridge.keys.rotate(name)).version)

    def _used(self) -> list[KeySpec]:
        """A kind that encrypts and one that signs, of those that are rotated."""
        return list(dict.fromkeys([*self.rotating(self.ciphers())[:1], *self.rotating(self.signers())[:1]]))

    @needs("create", "rotate")
    async def test_what_an_old_version_gave_is_taken_back(self, bridge: BridgeView, canary: Canary) -> None:
        """However often the key was rotated, and for each family of keys."""
        for number, spec in enumerate(self.rotating(self.families())):
            name = f"key/{number}"
            await self.create(bridge.keys, name, spec)
            samples = []
            for _ in range(2):
                samples.append(await self.samples(bridge.keys, name, spec, canary))
                await bridge.keys.rotate(name)
            for sample in samples:
                await self.check_samples(bridge.keys, name, sample, canary)

    @needs("create", "rotate")
    async def test_a_kind_that_is_not_rotated_is_refused(self, bridge: BridgeView, fixed: str) -> None:
        """What is claimed of a kind is so."""
        await self.create(bridge.keys, spec=fixed)
        with refused(Code.UNSUPPORTED, None):
            await bridge.keys.rotate("some/key")

    @needs("create", "rotate", "versions")
    async def test_versions_are_listed_newest_first(self, bridge: BridgeView) -> None:
        """All versions of this key and of no other."""
        await self.create(bridge.keys, "some/key/else")
        made = await self.create(bridge.keys, spec=self.rotated())
        versions = [made.version, *[(await bridge.keys.rotate("some/key")).version for _ in range(3)]]
        listed = await drained(bridge.keys.versions("some/key"))
        assert [key.version for key in listed] == versions[::-1]
        assert {(key.name, key.spec, key.enabled) for key in listed} == {("some/key", made.spec, True)}

    @needs("create", "rotate", "versions")
    async def test_versions_go_over_more_than_one_page(self, bridge: BridgeView) -> None:
        """Paging loses none and repeats none."""
        versions = [(await self.create(bridge.keys, spec=self.rotated())).version]
        versions += [(await bridge.keys.rotate("some/key")).version for _ in range(self.harness.page_size)]
        assert [key.version async for key in bridge.keys.versions("some/key")] == versions[::-1]

    @needs("create", "versions", "disable")
    async def test_versions_of_a_disabled_key_are_listed(self, bridge: BridgeView) -> None:
        """Seeing what there is is not using it."""
        version = (await self.create(bridge.keys)).version
        await bridge.keys.disable("some/key")
        assert [key.version async for key in bridge.keys.versions("some/key")] == [version]

    @needs("create", "public_key")
    async def test_a_version_that_is_not_there_is_version_not_found(
        self, bridge: BridgeView, canary: Canary, asymmetric: str
    ) -> None:
        """The key is there, that version is not: a version of another key is none of this one."""
        await self.create(bridge.keys, spec=asymmetric)
        version = (await self.create(bridge.keys, "other", asymmetric)).version
        with refused(Code.VERSION_NOT_FOUND) as info:
            await bridge.keys.public_key("some/key", version)
        assert info.value.resource == Resource("key", "some/key", version)
        if "verify" in self.uses(asymmetric):
            algorithm = self.algorithm(asymmetric)
            with refused(Code.VERSION_NOT_FOUND) as info:
                await bridge.keys.verify("some/key", canary.bytes(), b"x", algorithm=algorithm, version=version)
            assert info.value.resource == Resource("key", "some/key", version)

    @needs("create", "public_key")
    async def test_a_version_of_a_missing_key_is_not_found(self, bridge: BridgeView) -> None:
        """Where there is no key, its version is not what is missing."""
        version = (await self.create(bridge.keys, "other")).version
        with refused(Code.NOT_FOUND):
            await bridge.keys.public_key("some/key", version)

    @for_each("kind", VERSIONS)
    async def test_what_is_no_version_is_refused(self, bridge: BridgeView, canary: Canary, kind: str) -> None:
        """A malformed version is not sent."""
        version = cast("str", VERSIONS[kind])
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "public_key": lambda: bridge.keys.public_key("some/key", version),
            "verify": lambda: bridge.keys.verify(
                "some/key", canary.bytes(), b"", algorithm=self._algorithm, version=version
            ),
            "enable": lambda: bridge.keys.enable("some/key", version=version),
            "disable": lambda: bridge.keys.disable("some/key", version=version),
        }
        for operation, call in calls.items():
            if self.can(operation) and (operation in ("public_key", "verify") or self.can("enable_version")):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await call()
                assert [field.path for field in info.value.fields] == ["version"]
