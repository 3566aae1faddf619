"""Signatures: verified here and by others; and what is none."""

from __future__ import annotations

from hashlib import new as new_hash
from typing import TYPE_CHECKING, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kmsbridge import Code, KeySpec, Outcome, PublicKey, Signature, SignatureAlgorithm
from kmsbridge.contract._contract import for_each, needs, refused
from kmsbridge.contract.keys._acts import KeyCases

if TYPE_CHECKING:
    from kmsbridge.contract._contract import Connect
    from kmsbridge.contract._views import BridgeView
    from kmsbridge.contract._witness import Canary

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
_SIZES: dict[str, object] = {"empty": b"", "short": bytes(31), "long": bytes(33), "another's": bytes(20)}
_NO_ALGORITHMS = ("", "RS1", "ps256", "none", "HS256", 256, None)


class SignatureCases(KeyCases):
    """Cases about `sign` and `verify`."""

    @needs("create", "sign", "verify")
    async def test_what_is_signed_is_verified(
        self, bridge: BridgeView, connect: Connect, canary: Canary, signer: str
    ) -> None:
        """By whoever has the key, in each way that is claimed, over a message or the digest of it."""
        await bridge.keys.create("some/key", signer)
        other = connect()
        for algorithm in self._algorithms(signer):
            for message in (b"", canary.bytes()):
                digest = _digest(message, algorithm)
                for signature in (
                    await bridge.keys.sign("some/key", message, algorithm=algorithm),
                    await bridge.keys.sign("some/key", digest=digest, algorithm=str(algorithm)),
                ):
                    raw = bytes(signature)
                    assert await other.keys.verify("some/key", message, signature) is True
                    assert await other.keys.verify("some/key", message, raw, algorithm=algorithm) is True
                    assert await other.keys.verify("some/key", signature=signature, digest=digest) is True

    @needs("create", "sign", "public_key")
    async def test_a_signature_is_verified_by_others(self, bridge: BridgeView, canary: Canary, signer: str) -> None:
        """With the public key alone, by the letter of RFC 7518."""
        await bridge.keys.create("some/key", signer)
        public = await bridge.keys.public_key("some/key")
        for algorithm in self._algorithms(signer):
            signature = await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
            assert (signature.key, signature.version) == ("some/key", public.version)
            assert signature.algorithm is algorithm
            assert _verified(public, canary.bytes(), signature)
            assert not _verified(public, canary.bytes(b"!"), signature)

    @needs("create", "sign", "verify")
    async def test_what_does_not_fit_is_false(self, bridge: BridgeView, canary: Canary, signer: str) -> None:
        """Another message or key, or a signature that was altered, cut off, added to or made up: never an error."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, signer)
        algorithm = self._algorithms(signer)[0]
        signature = await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
        raw = bytes(signature)
        false = {
            "empty": b"",
            "one byte": b"\0",
            "zeros": bytes(len(raw)),
            "ones": b"\xff" * len(raw),
            "cut off": raw[:-1],
            "cut off in front": raw[1:],
            "half": raw[: len(raw) // 2],
            "added to": raw + b"\0",
            "added to in front": b"\0" + raw,
            "twice": raw + raw,
            "backwards": raw[::-1],
            "very long": bytes(20_000),
            **{f"bit {bit}": _flipped(raw, bit) for bit in range(0, len(raw) * 8, len(raw) // 4 + 1)},
        }
        if signer.startswith("EC"):
            size = len(raw) // 2
            r, s = (int.from_bytes(half, "big") for half in (raw[:size], raw[size:]))
            false |= {
                "as DER": encode_dss_signature(r, s),
                "swapped": raw[size:] + raw[:size],
                "without r": bytes(size) + raw[size:],
                "without s": raw[:size] + bytes(size),
            }
        results = {
            kind: await bridge.keys.verify("some/key", canary.bytes(), given, algorithm=algorithm)
            for kind, given in false.items()
        }
        assert results == dict.fromkeys(false, False)
        assert await bridge.keys.verify("some/key", canary.bytes(b"!"), signature) is False
        assert await bridge.keys.verify("some/key", b"", signature) is False
        assert await bridge.keys.verify("other", canary.bytes(), raw, algorithm=algorithm) is False
        assert await bridge.keys.verify("some/key", canary.bytes(), signature) is True

    @needs("create", "sign", "verify")
    async def test_a_signature_of_another_key_is_false(self, bridge: BridgeView, canary: Canary, signer: str) -> None:
        """It names a version that this key does not have, which is one way of not fitting."""
        for name in ("some/key", "other"):
            await bridge.keys.create(name, signer)
        signature = await bridge.keys.sign("some/key", canary.bytes(), algorithm=self._algorithms(signer)[0])
        assert await bridge.keys.verify("other", canary.bytes(), signature) is False

    @needs("create", "sign", "verify")
    async def test_a_signature_made_in_another_way_is_false(
        self, bridge: BridgeView, canary: Canary, signer: str
    ) -> None:
        """The caller says how, and only that way counts."""
        await bridge.keys.create("some/key", signer)
        algorithms = self._algorithms(signer)
        for made, said in zip(algorithms, [*algorithms[1:], algorithms[0]], strict=True):
            signature = await bridge.keys.sign("some/key", canary.bytes(), algorithm=made)
            fits = await bridge.keys.verify("some/key", canary.bytes(), signature, algorithm=said)
            assert fits is (made is said)

    @needs("create", "sign", "verify", "rotate")
    async def test_a_signature_outlives_a_rotation(
        self, bridge: BridgeView, canary: Canary, rotating_signer: str
    ) -> None:
        """It knows its version; bytes alone are compared with the latest one, or the one that is named."""
        await bridge.keys.create("some/key", rotating_signer)
        algorithm = self._algorithms(rotating_signer)[0]
        old = await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
        await bridge.keys.rotate("some/key")
        new = await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
        assert old.version != new.version
        fits = {
            "old": await bridge.keys.verify("some/key", canary.bytes(), old),
            "new": await bridge.keys.verify("some/key", canary.bytes(), new),
            "old, as the new version's": await bridge.keys.verify("some/key", canary.bytes(), old, version=new.version),
        }
        for name, signature in (("old", old), ("new", new)):
            for said, version in (("none", None), ("old", old.version), ("new", new.version)):
                fits[f"bytes of {name}, version {said}"] = await bridge.keys.verify(
                    "some/key", canary.bytes(), bytes(signature), algorithm=algorithm, version=version
                )
        assert fits == {
            "old": True,
            "new": True,
            "old, as the new version's": False,
            "bytes of old, version none": False,
            "bytes of old, version old": True,
            "bytes of old, version new": False,
            "bytes of new, version none": True,
            "bytes of new, version old": False,
            "bytes of new, version new": True,
        }

    @needs("create")
    async def test_a_way_of_signing_that_the_key_does_not_have_is_unsupported(
        self, bridge: BridgeView, canary: Canary, signer: str
    ) -> None:
        """It exists, and is another kind of key's."""
        await bridge.keys.create("some/key", signer)
        for algorithm in set(SignatureAlgorithm) - set(self._algorithms(signer)):
            if self.can("sign"):
                with refused(Code.UNSUPPORTED, None):
                    await bridge.keys.sign("some/key", canary.bytes(), algorithm=algorithm)
            if self.can("verify"):
                with refused(Code.UNSUPPORTED, None):
                    await bridge.keys.verify("some/key", canary.bytes(), bytes(64), algorithm=algorithm)

    @needs("sign", "verify")
    @for_each("algorithm", _NO_ALGORITHMS)
    async def test_what_is_no_way_of_signing_is_refused(
        self, bridge: BridgeView, canary: Canary, algorithm: object
    ) -> None:
        """There is a fixed set of them; bytes do not say how they were made."""
        given = cast("str", algorithm)
        for call in (
            lambda: bridge.keys.sign("some/key", canary.bytes(), algorithm=given),
            lambda: bridge.keys.verify("some/key", canary.bytes(), bytes(64), algorithm=given),
        ):
            with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                await call()
            assert [field.path for field in info.value.fields] == ["algorithm"]

    @needs("sign", "verify")
    async def test_a_message_or_its_digest_is_needed(self, bridge: BridgeView, canary: Canary) -> None:
        """Exactly one of them."""
        algorithm = self._algorithm
        for message, digest in ((None, None), (canary.bytes(), _digest(canary.bytes(), algorithm))):
            for call in (
                lambda: bridge.keys.sign("some/key", message, digest=digest, algorithm=algorithm),  # noqa: B023 - called here
                lambda: bridge.keys.verify("some/key", message, b"", digest=digest, algorithm=algorithm),  # noqa: B023
            ):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await call()
                assert [field.path for field in info.value.fields] == ["message"]

    @needs("sign", "verify")
    @for_each("kind", _SIZES)
    async def test_a_digest_has_the_size_of_its_hash(self, bridge: BridgeView, kind: str) -> None:
        """Any other is not sent."""
        digest = cast("bytes", _SIZES[kind])
        for algorithm in SignatureAlgorithm:
            for call in (
                lambda: bridge.keys.sign("some/key", digest=digest, algorithm=algorithm),  # noqa: B023 - called here
                lambda: bridge.keys.verify("some/key", signature=b"", digest=digest, algorithm=algorithm),  # noqa: B023
            ):
                with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
                    await call()
                assert [field.path for field in info.value.fields] == ["digest"]

    @needs("verify")
    @for_each("signature", ["text", None, 5, [1]])
    async def test_a_signature_is_a_signature_or_bytes(
        self, bridge: BridgeView, canary: Canary, signature: object
    ) -> None:
        """What is neither is a mistake, and not a signature that does not fit."""
        given = cast("bytes", signature)
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT) as info:
            await bridge.keys.verify("some/key", canary.bytes(), given, algorithm=self._algorithm)
        assert [field.path for field in info.value.fields] == ["signature"]

    def _algorithms(self, spec: str) -> tuple[SignatureAlgorithm, ...]:
        return self.claims.specs[KeySpec(spec)].signature_algorithms


def _digest(message: bytes, algorithm: SignatureAlgorithm) -> bytes:
    return new_hash(f"sha{algorithm[2:]}", message).digest()


def _flipped(raw: bytes, bit: int) -> bytes:
    return raw[: bit // 8] + bytes([raw[bit // 8] ^ 1 << bit % 8]) + raw[bit // 8 + 1 :]


def _verified(public: PublicKey, message: bytes, signature: Signature) -> bool:
    """Whether `cryptography` verifies it."""
    key, hashed = load_pem_public_key(public.pem.encode()), _HASHES[signature.algorithm[2:]]
    try:
        if isinstance(key, rsa.RSAPublicKey):
            pss = padding.PSS(padding.MGF1(hashed), hashed.digest_size)
            how = pss if signature.algorithm.startswith("PS") else padding.PKCS1v15()
            key.verify(bytes(signature), message, how, hashed)
        else:
            assert isinstance(key, ec.EllipticCurvePublicKey)
            size = (key.key_size + 7) // 8
            assert len(bytes(signature)) == 2 * size
            r, s = (int.from_bytes(half, "big") for half in (signature.value[:size], signature.value[size:]))
            key.verify(encode_dss_signature(r, s), message, ec.ECDSA(hashed))
    except InvalidSignature:
        return False
    return True
