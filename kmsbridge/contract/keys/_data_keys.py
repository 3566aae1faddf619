"""Data keys: wrapped, unwrapped, and made."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Ciphertext, Code, KeySpec, Outcome
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import KeyCases

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary


class DataKeyCases(KeyCases):
    """Cases about `wrap`, `unwrap` and `generate_data_key`."""

    @needs("create", "wrap", "unwrap")
    async def test_what_is_wrapped_is_unwrapped(
        self, bridge: BridgeView, connect: Connect, canary: Canary, cipher: str
    ) -> None:
        """Keys of the sizes that there are, from the container or its bytes."""
        made = await bridge.keys.create("some/key", cipher)
        for size in (16, 24, 32, 33, 64):
            wrapped = await bridge.keys.wrap("some/key", canary.sized(size).encode())
            assert (wrapped.provider, wrapped.key) == (bridge.keys.provider, bridge.keys.native("some/key"))
            assert wrapped.version == made.version
            assert Ciphertext.parse(bytes(wrapped)) == wrapped
            for given in (wrapped, bytes(wrapped)):
                assert await connect().keys.unwrap("some/key", given) == canary.sized(size).encode()

    @needs("wrap")
    @for_each("size", [0, 15, 65, 1000])
    async def test_what_is_no_key_is_not_wrapped(self, bridge: BridgeView, canary: Canary, size: int) -> None:
        """A key has 16 to 64 bytes; other data is sealed."""
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.wrap("some/key", canary.sized(size).encode())
        assert [field.path for field in info.value.fields] == ["data_key"]
        assert "seal" in info.value.remediation

    @needs("create", "wrap", "unwrap")
    async def test_the_caller_names_the_key_that_unwraps(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """What another key wrapped is not sent; what was altered does not unwrap."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, cipher)
        wrapped = await bridge.keys.wrap("some/key", canary.sized(32).encode())
        for given in (wrapped, bytes(wrapped)):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
                await bridge.keys.unwrap("other", given)
        altered = bytes(wrapped)[:-1] + bytes([bytes(wrapped)[-1] ^ 1])
        texts = set()
        for given in (altered, bytes(wrapped)[:-1], bytes(wrapped) + b"\0"):
            with refused(Code.DECRYPTION_FAILED) as info:
                await bridge.keys.unwrap("some/key", given)
            texts.add(str(info.value))
        assert len(texts) == 1

    @needs("create", "generate_data_key", "decrypt")
    async def test_a_data_key_is_fresh(self, bridge: BridgeView, connect: Connect, cipher: str) -> None:
        """32 bytes, other ones each time; `decrypt` gives them back."""
        made = await bridge.keys.create("some/key", cipher)
        data_keys = [await bridge.keys.generate_data_key("some/key") for _ in range(8)]
        assert len({data_key.plaintext for data_key in data_keys}) == 8
        for data_key in data_keys:
            assert type(data_key.plaintext) is bytes
            assert len(data_key.plaintext) == 32
            assert data_key.ciphertext.version == made.version
            assert data_key.plaintext not in bytes(data_key.ciphertext)
            assert await connect().keys.decrypt("some/key", bytes(data_key.ciphertext)) == data_key.plaintext

    @needs("create", "generate_data_key", "decrypt", "context")
    async def test_a_data_key_is_bound_to_its_context(self, bridge: BridgeView, cipher: str) -> None:
        """Where this kind of key binds one; where it does not, none is taken."""
        await bridge.keys.create("some/key", cipher)
        context = {"tenant": "acme"}
        if not self.claims.specs[KeySpec(cipher)].context:
            with refused(Code.UNSUPPORTED, None):
                await bridge.keys.generate_data_key("some/key", context=context)
            return
        data_key = await bridge.keys.generate_data_key("some/key", context=context)
        assert await bridge.keys.decrypt("some/key", data_key.ciphertext, context=context) == data_key.plaintext
        for other in (None, {"tenant": "other"}):
            with refused(Code.DECRYPTION_FAILED):
                await bridge.keys.decrypt("some/key", data_key.ciphertext, context=other)

    @needs("create", "generate_data_key")
    async def test_a_data_key_does_not_show_itself(self, bridge: BridgeView) -> None:
        """Its repr has no key, and it refuses to be pickled."""
        await self.create(bridge.keys, spec=self.ciphers()[0])
        data_key = await bridge.keys.generate_data_key("some/key")
        shown = f"{data_key!r} {data_key}"
        assert "not shown" in shown
        for form in (repr(data_key.plaintext)[2:-1], data_key.plaintext.hex()):
            assert form not in shown
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(data_key)
