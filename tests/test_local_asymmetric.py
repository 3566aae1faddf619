"""RSA and ECDSA as the local store uses them, against the vectors of the Wycheproof project."""

from __future__ import annotations

import json
from hashlib import new as new_hash
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key

from kmsbridge._ciphertext import Broken
from kmsbridge._model import KeySpec, SignatureAlgorithm
from kmsbridge_local import _asymmetric

FOLDER = Path(__file__).parent / "vectors/crypto"


def groups(name: str) -> list[dict[str, Any]]:
    """The groups of tests in one file: a key, and rows of hexadecimal text with the expected result."""
    return [json.loads(line) for line in (FOLDER / name).read_text().splitlines()]


@pytest.mark.parametrize("group", groups("rsa-oaep-256.jsonl"), ids=lambda group: group["source"][-40:])
def test_rsa_oaep_decrypts_what_is_valid_and_nothing_else(group: dict[str, Any]) -> None:
    """Each size of key: every valid ciphertext gives its plaintext, every other is `Broken`."""
    key = _asymmetric.load(bytes.fromhex(group["key"]))
    assert isinstance(key, rsa.RSAPrivateKey)
    for number, plaintext, ciphertext, valid in group["tests"]:
        if valid:
            assert _asymmetric.decrypt(key, bytes.fromhex(ciphertext)).hex() == plaintext, number
        else:
            with pytest.raises(Broken):
                _asymmetric.decrypt(key, bytes.fromhex(ciphertext))


@pytest.mark.parametrize("algorithm", ["PS256", "RS256", "RS384", "RS512", "ES256", "ES384", "ES512"])
def test_signatures_verify_exactly_where_they_should(algorithm: str) -> None:
    """Valid signatures are True; wrong, malformed, truncated and padded ones are False, never an exception."""
    counted = {True: 0, False: 0}
    for group in groups("signatures.jsonl"):
        if group["algorithm"] != algorithm:
            continue
        key = load_der_public_key(bytes.fromhex(group["key"]))
        assert isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey)
        for number, message, signature, valid in group["tests"]:
            digest = new_hash(f"sha{algorithm[2:]}", bytes.fromhex(message)).digest()
            found = _asymmetric.verify(key, SignatureAlgorithm(algorithm), digest, bytes.fromhex(signature))
            assert found is valid, (group["source"], number)
            counted[valid] += 1
    assert counted[True] > 5
    assert counted[False] > 40


@pytest.mark.parametrize("spec", [spec for spec in KeySpec if spec is not KeySpec.AES_256])
def test_new_keys_sign_and_encrypt(spec: KeySpec) -> None:
    """A key of each kind does what it is for, and survives being stored."""
    key = _asymmetric.load(_asymmetric.generate(spec))
    public = key.public_key()
    algorithms = ["PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        algorithms = [{256: "ES256", 384: "ES384", 521: "ES512"}[key.key_size]]
    for name in algorithms:
        algorithm = SignatureAlgorithm(name)
        digest = new_hash(f"sha{name[2:]}", b"message").digest()
        signature = _asymmetric.sign(key, algorithm, digest)
        assert _asymmetric.verify(public, algorithm, digest, signature)
        assert not _asymmetric.verify(public, algorithm, digest[::-1], signature)
    if isinstance(key, rsa.RSAPrivateKey):
        assert isinstance(public, rsa.RSAPublicKey)
        largest = bytes(key.key_size // 8 - 66)
        assert _asymmetric.decrypt(key, _asymmetric.encrypt(public, largest)) == largest
    assert _asymmetric.pem(public).startswith("-----BEGIN PUBLIC KEY-----")
