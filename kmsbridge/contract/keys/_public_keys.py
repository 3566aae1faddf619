"""Public halves: what others need to verify and to encrypt, in the two forms that everybody reads."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kmsbridge import Code, KeySpec
from kmsbridge.contract._contract import needs, refused
from kmsbridge.contract.keys._acts import KeyCases

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_OAEP = padding.OAEP(padding.MGF1(SHA256()), SHA256(), None)


class PublicKeyCases(KeyCases):
    """Cases about public keys."""

    @needs("create", "public_key")
    async def test_a_public_key_is_read_by_others(self, bridge: BridgeView, asymmetric: str) -> None:
        """As PEM and as JWK, which say the same."""
        made = await bridge.keys.create("some/key", asymmetric)
        public = await bridge.keys.public_key("some/key")
        assert (public.name, public.version, public.spec) == ("some/key", made.version, asymmetric)
        assert public.pem.startswith("-----BEGIN PUBLIC KEY-----\n")
        assert public.pem.endswith("-----END PUBLIC KEY-----\n")
        key, jwk = load_pem_public_key(public.pem.encode()), public.jwk()
        if isinstance(key, rsa.RSAPublicKey):
            assert f"RSA_{key.key_size}" == asymmetric
            assert set(jwk) == {"kty", "n", "e"}
            assert jwk["kty"] == "RSA"
            numbers = key.public_numbers()
            assert (_decoded(jwk["n"]), _decoded(jwk["e"])) == (_bytes(numbers.n), _bytes(numbers.e))
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            assert f"EC_P{key.key_size}" == asymmetric
            assert set(jwk) == {"kty", "crv", "x", "y"}
            assert (jwk["kty"], jwk["crv"]) == ("EC", f"P-{key.key_size}")
            size, point = (key.key_size + 7) // 8, key.public_numbers()
            assert _decoded(jwk["x"]) == point.x.to_bytes(size, "big")
            assert _decoded(jwk["y"]) == point.y.to_bytes(size, "big")

    @needs("create", "public_key", "rotate")
    async def test_each_version_has_its_public_key(
        self, bridge: BridgeView, connect: Connect, rotating_asymmetric: str
    ) -> None:
        """The latest is given where none is named; an old one stays as it was."""
        first = (await bridge.keys.create("some/key", rotating_asymmetric)).version
        old = await bridge.keys.public_key("some/key")
        second = (await bridge.keys.rotate("some/key")).version
        new = await connect().keys.public_key("some/key")
        assert (old.version, new.version) == (first, second)
        assert old.pem != new.pem
        assert await bridge.keys.public_key("some/key", first) == old
        assert await bridge.keys.public_key("some/key", second) == new

    @needs("create", "public_key")
    async def test_a_symmetric_key_has_no_public_half(self, bridge: BridgeView) -> None:
        """Asking for it is unsupported."""
        for spec in self.kinds():
            if spec is KeySpec.AES_256:
                await bridge.keys.create("some/key", spec)
                with refused(Code.UNSUPPORTED, None):
                    await bridge.keys.public_key("some/key")

    @needs("create", "public_key", "encrypt", "decrypt")
    async def test_what_others_encrypt_is_decrypted(self, bridge: BridgeView, canary: Canary, cipher: str) -> None:
        """RSA is used as everybody uses RSA-OAEP-256, so that a sender needs the public key alone."""
        if not cipher.startswith("RSA"):
            return
        await bridge.keys.create("some/key", cipher)
        key = load_pem_public_key((await bridge.keys.public_key("some/key")).pem.encode())
        assert isinstance(key, rsa.RSAPublicKey)
        ours = await bridge.keys.encrypt("some/key", b"")
        assert ours.algorithm == "RSA-OAEP-256"
        theirs = replace(ours, payload=key.encrypt(canary.bytes(), _OAEP))
        assert await bridge.keys.decrypt("some/key", theirs) == canary.bytes()


def _decoded(text: str) -> bytes:
    assert not set(text) & set("+/=")
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _bytes(number: int) -> bytes:
    """Without a zero before it, as RFC 7518 has it for RSA."""
    return number.to_bytes((number.bit_length() + 7) // 8, "big")
