"""The envelope format: what it refuses, and that nothing but the same inputs opens it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsbridge import _envelope
from kmsbridge._aead import TAG, Aead
from kmsbridge._ciphertext import Broken, Ciphertext, Foreign, labels, read
from kmsbridge._envelope import SEGMENT, read_header, seal, unseal
from kmsbridge._errors import Code, InvalidRequestError
from kmsbridge._keys import MAX_CONTEXT, encoded_context

if TYPE_CHECKING:
    from collections.abc import Mapping

PROVIDER, KEY, VERSION = "local", "billing-kek", "0123456789abcdef0123456789abcdef"
DATA_KEY = bytes(range(32))
WRAPPED = Ciphertext(PROVIDER, KEY, VERSION, "A256GCM", b"w" * 80)


def sealed(data: bytes, context: bytes = b"") -> bytes:
    """An envelope under the data key of these tests."""
    return seal(data, context, DATA_KEY, [WRAPPED])


def opened(envelope: bytes, context: bytes = b"", data_key: bytes = DATA_KEY) -> bytes:
    """Open an envelope as `KeyOperations.unseal` does, with a backend that knows one wrapped key."""
    opening = read_header(envelope, PROVIDER, KEY)
    if opening.version != VERSION:
        raise Foreign
    if (opening.algorithm, opening.wrapped) != (WRAPPED.algorithm, WRAPPED.payload):
        raise Broken
    return unseal(envelope, context, data_key, opening)


def test_opens_what_it_sealed_at_every_boundary() -> None:
    """Sizes round the copy limit and the segment size come back as they were."""
    for size in (0, 1, 190, 65_536, 65_537, SEGMENT - 1, SEGMENT, SEGMENT + 1, 2 * SEGMENT, 5 << 20):
        data = os.urandom(size)
        envelope = sealed(data, b"context")
        assert opened(envelope, b"context") == data
        assert len(envelope) - read_header(envelope, PROVIDER, KEY).size == size + TAG * max(1, -(-size // SEGMENT))


def test_every_bit_flip_truncation_and_appended_byte_is_refused() -> None:
    """Once the header names our key, every damage is the one `Broken`; before, `Foreign`."""
    envelope = sealed(b"4111 1111 1111 1111", b"ctx")
    names_end = envelope.index(VERSION.encode()) + len(VERSION)
    kinds: dict[type[Exception], int] = {Broken: 0, Foreign: 0}
    for position in range(len(envelope)):
        for bit in range(8):
            damaged = bytearray(envelope)
            damaged[position] ^= 1 << bit
            with pytest.raises((Broken, Foreign)) as caught:
                opened(bytes(damaged), b"ctx")
            assert str(caught.value) == ""
            kinds[caught.type] += 1
            if position >= names_end:
                assert caught.type is Broken, position
        with pytest.raises(Broken if position >= names_end else Foreign):
            opened(envelope[:position], b"ctx")
    assert kinds[Foreign] > 0
    with pytest.raises(Broken):
        opened(envelope + b"\0", b"ctx")


def test_segments_cannot_be_swapped_repeated_dropped_or_added() -> None:
    """Number and last-flag of a segment are bound to its place."""
    envelope = sealed(os.urandom(3 * SEGMENT))
    start = read_header(envelope, PROVIDER, KEY).size
    size = SEGMENT + TAG
    header, a, b, c = envelope[:start], *(envelope[start + i * size : start + (i + 1) * size] for i in range(3))
    for segments in ([b, a, c], [a, c, b], [a, b], [a], [], [a, a, b, c], [a, b, c, c], [b, c], [a, b, c, bytes(TAG)]):
        with pytest.raises(Broken):
            opened(header + b"".join(segments))


def test_segments_of_another_envelope_do_not_fit() -> None:
    """Two envelopes under one data key have their own salts, so their segments cannot be exchanged."""
    one, other = sealed(b"a" * 100), sealed(b"b" * 100)
    start = read_header(one, PROVIDER, KEY).size
    with pytest.raises(Broken):
        opened(one[:start] + other[start:])


def test_another_context_or_data_key_does_not_open() -> None:
    """What was said when sealing must be said when opening."""
    envelope = sealed(b"data", b"context")
    for context, data_key in ((b"", DATA_KEY), (b"contexu", DATA_KEY), (b"context", bytes(32)), (b"context", b"short")):
        with pytest.raises(Broken):
            opened(envelope, context, data_key)


def test_another_key_or_provider_is_foreign() -> None:
    """The caller's key decides, not the envelope's."""
    envelope = sealed(b"data")
    for provider, key in (("azure-keyvault", KEY), (PROVIDER, "other-kek")):
        with pytest.raises(Foreign):
            read_header(envelope, provider, key)


def test_a_reader_finds_its_own_recipient_among_several() -> None:
    """Later releases may add recipients; this reader opens their envelopes."""
    other = Ciphertext("azure-keyvault", "kek", "v1", "RSA-OAEP-256", b"x" * 256)
    for recipients in ([WRAPPED, other], [other, WRAPPED], [other, WRAPPED, other]):
        assert opened(seal(b"data", b"", DATA_KEY, recipients)) == b"data"


def test_salts_do_not_repeat() -> None:
    """Every envelope has a salt of its own."""
    salts = {read_header(sealed(b""), PROVIDER, KEY).salt for _ in range(10_000)}
    assert len(salts) == 10_000


@given(st.binary(max_size=400))
def test_any_bytes_are_refused(data: bytes) -> None:
    """What is no envelope is `Foreign` or `Broken`, never another exception."""
    for candidate in (data, _envelope.MAGIC + data, sealed(b"x")[:60] + data):
        with pytest.raises((Broken, Foreign)):
            opened(candidate)


texts = st.text(st.sampled_from("ab\0é:="), max_size=4)


@given(st.dictionaries(texts, texts, max_size=4), st.dictionaries(texts, texts, max_size=4))
@settings(max_examples=500)
def test_contexts_are_encoded_canonically(one: Mapping[str, str], other: Mapping[str, str]) -> None:
    """Equal contexts give equal bytes in any order; different ones never do."""
    assert encoded_context(one).encoded == encoded_context(dict(reversed(list(one.items())))).encoded
    assert (encoded_context(one).encoded == encoded_context(other).encoded) == (one == other)


def test_no_context_is_the_empty_context() -> None:
    """None and {} are the same."""
    assert encoded_context(None) == encoded_context({})
    assert encoded_context(None).encoded == b""


@pytest.mark.parametrize("context", [{"a": 1}, {1: "a"}, "text", {"a": "\ud800"}, {"a": "x" * MAX_CONTEXT}])
def test_contexts_that_are_none_are_refused(context: Mapping[str, str]) -> None:
    """Wrong types, half surrogate pairs and too much of it."""
    with pytest.raises(InvalidRequestError) as caught:
        encoded_context(context)
    assert caught.value.code is Code.INVALID_ARGUMENT
    assert caught.value.__context__ is None


def test_containers_round_trip_and_refuse_damage() -> None:
    """A container says which key it is of; what is no container is `Foreign`."""
    container = bytes(WRAPPED)
    assert read(container) == WRAPPED
    assert Ciphertext.parse(container) == WRAPPED
    for size in range(container.index(WRAPPED.payload)):
        with pytest.raises(Foreign):
            read(container[:size])
    with pytest.raises(InvalidRequestError):
        Ciphertext.parse(b"KMBC\x02" + container[5:])


@given(st.binary(max_size=64))
def test_any_bytes_are_no_container_or_a_whole_one(data: bytes) -> None:
    """Reading a container raises nothing but `Foreign`, and what it reads it writes again."""
    for candidate in (data, b"KMBC\x01" + data):
        try:
            parsed = read(candidate)
        except Foreign:
            continue
        assert bytes(parsed) == candidate


def crafted(*, suite: int = 1, commitment: bytes | None = None, data: bytes = b"data") -> bytes:
    """An envelope that is right in all but what is said, by whoever holds the data key."""
    salt = bytes(32)
    keys = HKDF(SHA256(), 64, salt, b"kmsbridge envelope 1").derive(DATA_KEY)
    size = len(WRAPPED.payload).to_bytes(2, "big")
    label = labels(WRAPPED.provider, WRAPPED.key, WRAPPED.version, WRAPPED.algorithm) + size + WRAPPED.payload
    header = b"KMBE\x01" + bytes((suite, 1)) + label + salt + (keys[32:] if commitment is None else commitment)
    boxes = [data[start : start + SEGMENT] for start in range(0, len(data), SEGMENT)]
    if data and len(data) % SEGMENT == 0:
        boxes.append(b"")
    return header + b"".join(
        Aead(keys[:32]).seal(number.to_bytes(11, "big") + bytes((number == len(boxes) - 1,)), box, header)
        for number, box in enumerate(boxes)
    )


def test_the_commitment_the_suite_and_the_last_segment_are_looked_at() -> None:
    """What whoever holds the data key could seal otherwise is refused, though every tag fits."""
    assert opened(crafted()) == b"data"
    for envelope in (crafted(commitment=bytes(32)), crafted(suite=2), crafted(data=bytes(SEGMENT))):
        with pytest.raises(Broken):
            opened(envelope)
    with pytest.raises(Broken):
        unseal(crafted(), b"", DATA_KEY[:16], read_header(crafted(), PROVIDER, KEY))
    with pytest.raises(Broken):
        opened(crafted()[: -(TAG + 4)] + bytes(TAG - 1))
