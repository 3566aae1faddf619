"""Envelopes: data of any size under a key, and every way in which one may be altered."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from kmsbridge import Code, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import KeyCases
from kmsbridge.contract.keys._ciphertexts import NO_CIPHERTEXTS, OTHER_CONTEXTS
from kmsbridge.contract.keys._damage import SEGMENT, TAG, code_for, damaged, label, relabelled, taken_apart

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_CONTEXT = {"tenant": "acme", "table": "cards", "é": "\0", "empty": ""}
_SIZES = (0, 1, 190 + 1, 6 * 1024 + 1, 65_536, 65_537, SEGMENT - 1, SEGMENT, SEGMENT + 1, 5 * 1_000_000)
_PARTS = ("wrapped", "salt", "commitment", "segments")


class EnvelopeCases(KeyCases):
    """Cases about `seal` and `unseal`."""

    @needs("create", "wrap", "unwrap")
    async def test_what_is_sealed_is_unsealed(
        self, bridge: BridgeView, connect: Connect, canary: Canary, cipher: str
    ) -> None:
        """Any size, by whoever has the key."""
        await bridge.keys.create("some/key", cipher)
        other = connect()
        for size in _SIZES:
            data = canary.sized(size).encode()
            sealed = await bridge.keys.seal("some/key", data)
            assert type(sealed) is bytes
            assert canary.token.encode() not in sealed
            opened = await other.keys.unseal("some/key", sealed)
            assert type(opened) is bytes
            assert opened == data

    @needs("create", "wrap")
    async def test_an_envelope_is_of_the_format_that_is_written_down(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """It names provider, key and version, and is longer than the data by as much as it says."""
        version = (await bridge.keys.create("some/key", cipher)).version
        provider, native = bridge.keys.provider.encode(), bridge.keys.native("some/key").encode()
        for size in (0, 1, SEGMENT, SEGMENT + 1):
            sealed = await bridge.keys.seal("some/key", canary.sized(size).encode())
            assert sealed[:7] == b"KMBE\x01\x01\x01"
            start, end = label(sealed)
            lengths = bytes([len(provider)]), len(native).to_bytes(2, "big")
            named = lengths[0] + provider + lengths[1] + native
            assert sealed[start:end] == named + bytes([len(str(version))]) + str(version).encode()
            parts = taken_apart(sealed)
            assert parts.joined() == sealed
            assert (len(parts.salt), len(parts.commitment)) == (32, 32)
            assert [len(segment) - TAG for segment in parts.segments] == (
                [SEGMENT, size - SEGMENT] if size > SEGMENT else [size]
            )

    @needs("create", "wrap")
    async def test_no_two_envelopes_share_a_part(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """The same data in the same context has another key, salt and commitment each time."""
        await bridge.keys.create("some/key", cipher)
        envelopes = [taken_apart(await bridge.keys.seal("some/key", canary.bytes())) for _ in range(8)]
        for part in _PARTS:
            assert len({getattr(envelope, part) for envelope in envelopes}) == 8

    @needs("create", "wrap", "unwrap")
    async def test_the_context_of_an_envelope_must_be_said_again(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """On every kind of key; the same pairs in any order, nothing else, and one text for all that does not fit."""
        await bridge.keys.create("some/key", cipher)
        sealed = await bridge.keys.seal("some/key", canary.bytes(), context=_CONTEXT)
        assert b"acme" not in sealed
        backwards = dict(reversed(_CONTEXT.items()))
        assert await bridge.keys.unseal("some/key", sealed, context=backwards) == canary.bytes()
        texts = set()
        for context in OTHER_CONTEXTS.values():
            with refused(Code.DECRYPTION_FAILED) as info:
                await bridge.keys.unseal("some/key", sealed, context=context)
            texts.add(str(info.value))
        assert len(texts) == 1

    @needs("create", "wrap", "unwrap")
    async def test_an_envelope_without_context_has_the_empty_context(self, bridge: BridgeView, canary: Canary) -> None:
        """And any other does not fit."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        for said, again in ((None, {}), ({}, None)):
            sealed = await bridge.keys.seal("some/key", canary.bytes(), context=said)
            assert await bridge.keys.unseal("some/key", sealed, context=again) == canary.bytes()
            with refused(Code.DECRYPTION_FAILED):
                await bridge.keys.unseal("some/key", sealed, context={"": ""})

    @needs("create", "wrap", "unwrap")
    async def test_a_context_of_the_largest_size_is_bound(self, bridge: BridgeView, canary: Canary) -> None:
        """8,192 bytes in its canonical form: a count and, of each pair, two lengths of four bytes."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        context = {"k": "v" * (8192 - 4 - 4 - 1 - 4)}
        sealed = await bridge.keys.seal("some/key", canary.bytes(), context=context)
        assert await bridge.keys.unseal("some/key", sealed, context=context) == canary.bytes()
        with refused(Code.DECRYPTION_FAILED):
            await bridge.keys.unseal("some/key", sealed, context={"k": context["k"][:-1]})

    @needs("create", "wrap", "unwrap")
    async def test_the_caller_names_the_key_of_an_envelope(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """What was sealed under another key, or by another provider, is not sent."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, cipher)
        sealed = await bridge.keys.seal("some/key", canary.bytes())
        native = bridge.keys.native("some/key")
        for name, given in (
            ("other", sealed),
            ("some/key", relabelled(sealed, "other", native)),
            ("some/key", relabelled(sealed, "", native)),
            ("some/key", relabelled(sealed, bridge.keys.provider, "")),
            ("some/key", relabelled(sealed, bridge.keys.provider, native + "x")),
        ):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await bridge.keys.unseal(name, given)

    @needs("create", "wrap", "unwrap")
    async def test_an_envelope_under_a_false_name_is_not_opened(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """What says it is of a key, and is not."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, cipher)
        sealed = await bridge.keys.seal("some/key", canary.bytes())
        theirs = await bridge.keys.seal("other", canary.bytes())
        (start, end), (_, their_end) = label(sealed), label(theirs)
        with refused(Code.DECRYPTION_FAILED):
            await bridge.keys.unseal("other", sealed[:start] + theirs[start:their_end] + sealed[end:])
        with refused(Code.INVALID_ARGUMENT, None):  # of a version that the other key does not have
            await bridge.keys.unseal("other", relabelled(sealed, bridge.keys.provider, bridge.keys.native("other")))

    @needs("create", "wrap", "unwrap")
    async def test_parts_of_two_envelopes_make_none(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """Recipient, salt, commitment and data belong together, even under one key, and in one context."""
        await bridge.keys.create("some/key", cipher)
        one, other = [taken_apart(await bridge.keys.seal("some/key", canary.bytes())) for _ in range(2)]
        mixed = [one._replace(**{part: getattr(other, part)}).joined() for part in _PARTS]
        mixed += [other._replace(**{part: getattr(one, part)}).joined() for part in _PARTS]
        errors = await bridge.keys.each("unseal", "some/key", mixed)
        assert {error and error.code for error in errors} == {Code.DECRYPTION_FAILED}
        assert len({str(error) for error in errors}) == 1
        assert await bridge.keys.unseal("some/key", one.joined()) == canary.bytes()

    @needs("create", "wrap", "unwrap", "rotate")
    async def test_another_version_does_not_open_an_envelope(
        self, bridge: BridgeView, canary: Canary, rotating_cipher: str
    ) -> None:
        """Each version opens what was sealed under it."""
        await bridge.keys.create("some/key", rotating_cipher)
        old = await bridge.keys.seal("some/key", canary.bytes())
        await bridge.keys.rotate("some/key")
        new = await bridge.keys.seal("some/key", canary.bytes())
        (start, end), (_, new_end) = label(old), label(new)
        for changed in (old[:start] + new[start:new_end] + old[end:], new[:start] + old[start:end] + new[new_end:]):
            with refused(Code.DECRYPTION_FAILED):
                await bridge.keys.unseal("some/key", changed)

    @needs("create", "wrap", "unwrap")
    async def test_segments_have_their_place(self, bridge: BridgeView, canary: Canary) -> None:
        """None can be swapped, repeated, dropped, added or cut short, and one text says so."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        data = canary.sized(2 * SEGMENT + 100).encode()
        parts = taken_apart(await bridge.keys.seal("some/key", data))
        a, b, c = parts.segments
        (other,) = taken_apart(await bridge.keys.seal("some/key", b"")).segments
        altered: dict[str, tuple[bytes, ...]] = {
            "two swapped": (b, a, c),
            "the last two swapped": (a, c, b),
            "backwards": (c, b, a),
            "the first dropped": (b, c),
            "one dropped": (a, c),
            "the last dropped": (a, b),
            "all but the first dropped": (a,),
            "all but the last dropped": (c,),
            "all dropped": (),
            "one repeated": (a, a, b, c),
            "the last repeated": (a, b, c, c),
            "one in place of another": (a, a, c),
            "an empty one added": (a, b, c, other),
            "a tag added": (a, b, c, bytes(TAG)),
            "the last cut short": (a, b, c[:-1]),
            "the last cut to its tag": (a, b, c[-TAG:]),
            "one cut short": (a, b[:-1], c),
            "one without its tag": (a, b[:-TAG], c),
        }
        errors = await bridge.keys.each(
            "unseal", "some/key", (parts._replace(segments=segments).joined() for segments in altered.values())
        )
        codes = dict(zip(altered, [error and error.code for error in errors], strict=True))
        assert codes == dict.fromkeys(altered, Code.DECRYPTION_FAILED)
        assert len({str(error) for error in errors}) == 1
        assert await bridge.keys.unseal("some/key", parts.joined()) == data

    @needs("create", "wrap", "unwrap")
    async def test_a_bit_in_any_segment_counts(self, bridge: BridgeView, canary: Canary) -> None:
        """At its start, in the middle, at its end and in its tag: nothing of the others is given out."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        sealed = await bridge.keys.seal("some/key", canary.sized(2 * SEGMENT + 100).encode())
        body = len(sealed) - sum(map(len, taken_apart(sealed).segments))
        step = SEGMENT + TAG
        places = [body + number * step + place for number in range(2) for place in (0, SEGMENT // 2, SEGMENT, step - 1)]
        places += [body + 2 * step, len(sealed) - TAG, len(sealed) - 1]
        altered = (sealed[:place] + bytes([sealed[place] ^ 1]) + sealed[place + 1 :] for place in places)
        errors = await bridge.keys.each("unseal", "some/key", altered)
        assert [error and error.code for error in errors] == [Code.DECRYPTION_FAILED] * len(places)
        assert len({str(error) for error in errors}) == 1

    @needs("create", "wrap", "unwrap")
    async def test_no_damaged_envelope_is_opened(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """Whatever was altered, cut off or added, and one text for all of it: nobody learns where."""
        await bridge.keys.create("some/key", cipher)
        sealed = await bridge.keys.seal("some/key", canary.bytes(), context=_CONTEXT)
        altered = list(damaged(sealed, every_bit=self.harness.every_bit and cipher == self.ciphers()[0]))
        errors = await bridge.keys.each("unseal", "some/key", altered, _CONTEXT)
        wanted = [code_for(it, sealed) for it in altered]
        assert [error and error.code for error in errors] == wanted
        assert len({str(error) for error in errors}) == len(set(wanted)) == 2

    @needs("unwrap")
    @for_each("garbage", [b"", b"K", b"KMBE", b"KMBE\x01", b"KMBE\x02", bytes(200), b"\xff" * 300])
    async def test_what_is_no_envelope_is_refused(self, bridge: BridgeView, garbage: bytes) -> None:
        """It names no key, so nothing is sent."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await bridge.keys.unseal("some/key", garbage)

    @needs("create", "wrap", "unwrap", "encrypt", "decrypt")
    async def test_envelopes_and_ciphertexts_are_two_things(self, bridge: BridgeView, canary: Canary) -> None:
        """Neither is taken for the other."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await bridge.keys.decrypt("some/key", await bridge.keys.seal("some/key", canary.bytes()))
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await bridge.keys.unseal("some/key", bytes(await bridge.keys.encrypt("some/key", canary.bytes())))

    @needs("unwrap")
    @for_each("kind", NO_CIPHERTEXTS)
    async def test_an_envelope_is_bytes(self, bridge: BridgeView, kind: str) -> None:
        """Text is not encoded by guess."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.unseal("some/key", cast("bytes", NO_CIPHERTEXTS[kind]))
        assert [field.path for field in info.value.fields] == ["sealed"]
