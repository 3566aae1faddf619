"""AES-256-GCM as this library opens it, against the vectors of the Wycheproof project."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kmsbridge._aead import Aead
from kmsbridge._ciphertext import Broken

VECTORS = [
    json.loads(line) for line in (Path(__file__).parent / "vectors/crypto/aes-gcm.jsonl").read_text().splitlines()
]


def test_all_vectors_of_our_sizes_are_there() -> None:
    """Wycheproof has 66 for a key of 256, a nonce of 96 and a tag of 128 bits; 39 of them are valid."""
    assert len(VECTORS) == 66
    assert sum(vector["valid"] for vector in VECTORS) == 39


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"].rpartition(" ")[2])
def test_opens_the_valid_boxes_and_refuses_the_others(vector: dict[str, str]) -> None:
    """Both ways to open a box agree with the vector; a valid one is sealed to the same bytes."""
    key, nonce, associated, plaintext, box = (
        bytes.fromhex(vector[name]) for name in ("key", "nonce", "associated", "plaintext", "box")
    )
    aead, target = Aead(key), bytearray(len(plaintext))
    if vector["valid"]:
        assert aead.open(nonce, box, associated) == plaintext
        aead.open_into(nonce, memoryview(box), associated, memoryview(target))
        assert target == plaintext
        assert aead.seal(nonce, plaintext, associated) == box
    else:
        with pytest.raises(Broken):
            aead.open(nonce, box, associated)
        with pytest.raises(Broken):
            aead.open_into(nonce, memoryview(box), associated, memoryview(target))
