"""Encrypting with the backend's own operation, within its limits; and what does not decrypt."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

from kmsbridge import Ciphertext, Code, KeySpec, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import KeyCases
from kmsbridge.contract.keys._damage import code_for, damaged

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_CONTEXT = {"tenant": "acme", "table": "cards", "é": "\0", "empty": ""}
OTHER_CONTEXTS: Mapping[str, Mapping[str, str] | None] = {
    "none": None,
    "empty": {},
    "one value other": {**_CONTEXT, "tenant": "acmé"},
    "one key other": {**{key: value for key, value in _CONTEXT.items() if key != "table"}, "tables": "cards"},
    "one missing": {key: value for key, value in _CONTEXT.items() if key != "empty"},
    "one more": {**_CONTEXT, "": ""},
    "key and value swapped": {value: key for key, value in _CONTEXT.items()},
    "put together": {"tenant": "acme", "table": "cardsé", "": "\0", "empty": ""},
}
NO_CIPHERTEXTS: Mapping[str, object] = {"text": "KMBC", "None": None, "int": 5, "bytearray": bytearray(b"KMBC\x01")}


class CiphertextCases(KeyCases):
    """Cases about `encrypt` and `decrypt`."""

    @needs("create", "encrypt", "decrypt")
    async def test_what_is_encrypted_is_decrypted(
        self, bridge: BridgeView, connect: Connect, canary: Canary, cipher: str
    ) -> None:
        """By whoever has the key, from the container or its bytes; nothing to the largest size."""
        made = await bridge.keys.create("some/key", cipher)
        limit = self.claims.specs[KeySpec(cipher)].max_plaintext
        for plaintext in (b"", b"\0", canary.bytes(), canary.sized(limit - 1).encode() + b"\xff"):
            ciphertext = await bridge.keys.encrypt("some/key", plaintext)
            assert (ciphertext.provider, ciphertext.key) == (bridge.keys.provider, bridge.keys.native("some/key"))
            assert ciphertext.version == made.version
            assert ciphertext.algorithm
            assert Ciphertext.parse(bytes(ciphertext)) == ciphertext
            for given in (ciphertext, bytes(ciphertext)):
                decrypted = await connect().keys.decrypt("some/key", given)
                assert type(decrypted) is bytes
                assert decrypted == plaintext

    @needs("create", "encrypt")
    async def test_no_two_ciphertexts_are_the_same(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """Nobody sees that the same was encrypted twice."""
        await bridge.keys.create("some/key", cipher)
        ciphertexts = [await bridge.keys.encrypt("some/key", canary.bytes()) for _ in range(8)]
        assert len({ciphertext.payload for ciphertext in ciphertexts}) == 8

    @needs("create", "encrypt")
    async def test_one_byte_too_many_is_refused(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """Beyond the limit of the key; `seal` has none."""
        await bridge.keys.create("some/key", cipher)
        limit = self.claims.specs[KeySpec(cipher)].max_plaintext
        with refused(Code.PAYLOAD_TOO_LARGE, None) as info:
            await bridge.keys.encrypt("some/key", canary.sized(limit + 1).encode())
        assert "seal" in info.value.remediation

    @needs("encrypt")
    async def test_what_no_key_encrypts_is_not_sent(self, bridge: BridgeView, canary: Canary) -> None:
        """Beyond the limit of every kind of key, it need not be asked which kind this one is."""
        limit = max(spec.max_plaintext for spec in self.claims.specs.values())
        with refused(Code.PAYLOAD_TOO_LARGE, Outcome.NOT_SENT):
            await bridge.keys.encrypt("some/key", canary.sized(limit + 1).encode())

    @needs("create", "encrypt", "decrypt", "context")
    async def test_a_context_must_be_said_again(self, bridge: BridgeView, canary: Canary, binder: str) -> None:
        """The same pairs in any order; nothing else will do."""
        await bridge.keys.create("some/key", binder)
        ciphertext = await bridge.keys.encrypt("some/key", canary.bytes(), context=_CONTEXT)
        backwards = dict(reversed(_CONTEXT.items()))
        assert await bridge.keys.decrypt("some/key", ciphertext, context=backwards) == canary.bytes()
        texts = set()
        for context in OTHER_CONTEXTS.values():
            with refused(Code.DECRYPTION_FAILED) as info:
                await bridge.keys.decrypt("some/key", ciphertext, context=context)
            texts.add(str(info.value))
        assert len(texts) == 1

    @needs("create", "encrypt", "decrypt", "context")
    async def test_no_context_is_the_empty_context(self, bridge: BridgeView, canary: Canary, binder: str) -> None:
        """And any other does not fit."""
        await bridge.keys.create("some/key", binder)
        for said, again in ((None, {}), ({}, None)):
            ciphertext = await bridge.keys.encrypt("some/key", canary.bytes(), context=said)
            assert await bridge.keys.decrypt("some/key", ciphertext, context=again) == canary.bytes()
            with refused(Code.DECRYPTION_FAILED):
                await bridge.keys.decrypt("some/key", ciphertext, context={"": ""})

    @needs("create", "encrypt", "decrypt", "context")
    async def test_a_kind_of_key_that_binds_no_context_takes_none(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """It is not dropped without a word."""
        if self.claims.specs[KeySpec(cipher)].context:
            return
        await bridge.keys.create("some/key", cipher)
        ciphertext = await bridge.keys.encrypt("some/key", canary.bytes(), context={})
        with refused(Code.UNSUPPORTED, None):
            await bridge.keys.encrypt("some/key", canary.bytes(), context=_CONTEXT)
        with refused(Code.UNSUPPORTED, None):
            await bridge.keys.decrypt("some/key", ciphertext, context=_CONTEXT)

    @needs("create", "encrypt", "decrypt")
    async def test_the_caller_names_the_key(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """What another key or provider encrypted is not sent."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, cipher)
        ciphertext = await bridge.keys.encrypt("some/key", canary.bytes())
        foreign = (
            ("other", ciphertext),
            ("some/key", replace(ciphertext, provider="other")),
            ("some/key", replace(ciphertext, provider="")),
        )
        for name, it in foreign:
            for given in (it, bytes(it)):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                    await bridge.keys.decrypt(name, given)

    @needs("create", "encrypt", "decrypt")
    async def test_a_ciphertext_under_a_false_name_does_not_decrypt(
        self, bridge: BridgeView, canary: Canary, cipher: str
    ) -> None:
        """What says it is of a key, and is not; and of a version that the key does not have, it is not of the key."""
        versions = {name: (await bridge.keys.create(name, cipher)).version for name in ("some/key", "other")}
        ciphertext = await bridge.keys.encrypt("some/key", canary.bytes())
        stolen = replace(ciphertext, key=bridge.keys.native("other"))
        with refused(Code.DECRYPTION_FAILED):
            await bridge.keys.decrypt("other", replace(stolen, version=cast("str", versions["other"])))
        with refused(Code.INVALID_ARGUMENT, None):
            await bridge.keys.decrypt("other", stolen)

    @needs("create", "encrypt", "decrypt", "rotate")
    async def test_a_ciphertext_of_another_version_does_not_decrypt(
        self, bridge: BridgeView, canary: Canary, rotating_cipher: str
    ) -> None:
        """Each version decrypts what it encrypted."""
        await bridge.keys.create("some/key", rotating_cipher)
        old = await bridge.keys.encrypt("some/key", canary.bytes())
        await bridge.keys.rotate("some/key")
        new = await bridge.keys.encrypt("some/key", canary.bytes())
        for changed in (replace(old, version=new.version), replace(new, version=old.version)):
            with refused(Code.DECRYPTION_FAILED):
                await bridge.keys.decrypt("some/key", changed)

    @needs("decrypt")
    @for_each("version", ["", ".", "..", "../keys", "a/b", "a?b=c", "a b", "%2e%2e", "a\n", "a" * 129])
    async def test_what_is_no_version_is_not_looked_up(self, bridge: BridgeView, version: str) -> None:
        """What a ciphertext says of its version is not made part of a request unread."""
        keys = bridge.keys
        ciphertext = Ciphertext(keys.provider, keys.native("some/key"), version, "A256GCM", b"payload")
        for given in (ciphertext, bytes(ciphertext)):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await keys.decrypt("some/key", given)
        if self.can("unseal"):
            sealed = b"KMBE\x01\x01\x01" + bytes(ciphertext)[5 : -len(b"payload")] + b"\0\x07payload" + bytes(80)
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await keys.unseal("some/key", sealed)

    @needs("create", "encrypt", "decrypt")
    async def test_another_algorithm_does_not_decrypt(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """The ciphertext does not choose how it is decrypted."""
        await bridge.keys.create("some/key", cipher)
        ciphertext = await bridge.keys.encrypt("some/key", canary.bytes())
        for algorithm in ("RSA1_5", "RSA-OAEP", "A256CBC", "none", "x" * 255, ""):
            for given in (other := replace(ciphertext, algorithm=algorithm), bytes(other)):
                with refused(Code.DECRYPTION_FAILED, None):
                    await bridge.keys.decrypt("some/key", given)

    @needs("decrypt")
    @for_each("garbage", [b"", b"K", b"KMBC", b"KMBC\x01", b"KMBC\x02", bytes(100), b"\xff" * 300])
    async def test_what_is_no_ciphertext_is_refused(self, bridge: BridgeView, garbage: bytes) -> None:
        """It names no key, so nothing is sent."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await bridge.keys.decrypt("some/key", garbage)
        if self.can("unwrap"):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await bridge.keys.unwrap("some/key", garbage)

    @needs("decrypt")
    @for_each("kind", NO_CIPHERTEXTS)
    async def test_a_ciphertext_is_a_container_or_bytes(self, bridge: BridgeView, kind: str) -> None:
        """Nothing else."""
        ciphertext = cast("bytes", NO_CIPHERTEXTS[kind])
        for operation in (bridge.keys.decrypt, bridge.keys.unwrap):
            if operation != bridge.keys.unwrap or self.can("unwrap"):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await operation("some/key", ciphertext)
                assert [field.path for field in info.value.fields] == ["ciphertext"]

    @needs("create", "encrypt", "decrypt")
    async def test_no_damaged_ciphertext_decrypts(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """Whatever was altered, cut off or added, and one text for all of it: nobody learns where."""
        await bridge.keys.create("some/key", cipher)
        blob = bytes(await bridge.keys.encrypt("some/key", canary.bytes()))
        altered = list(damaged(blob, every_bit=self.harness.every_bit and cipher == self.ciphers()[0]))
        errors = await bridge.keys.each("decrypt", "some/key", altered)
        wanted = [code_for(it, blob) for it in altered]
        assert [error and error.code for error in errors] == wanted
        assert len({str(error) for error in errors}) == len(set(wanted)) == 2
