"""Sealing data, beside AES-GCM alone and the envelopes of others. Targets: 100 B 12 µs plus the wrap, 1 MB 8 GB/s.

Every wrapping key is local and costs one AES-GCM call, so that what is measured is the
library. Peers are in ``peers.txt``; one that is not installed is left out by name.
"""

from __future__ import annotations

import os
import tracemalloc
import warnings
from functools import partial
from importlib import import_module
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsbridge import _envelope
from kmsbridge._ciphertext import Ciphertext
from kmsbridge._keys import encoded_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Subject = tuple[Callable[[bytes], object], Callable[[object], object]]

ROUNDS = 9
SECONDS = 0.05
SIZES = {"100 B": 100, "4 KB": 4096, "1 MB": 1 << 20, "16 MB": 16 << 20}
CONTEXT = {"tenant": "acme"}


def raw() -> Iterator[tuple[str, Subject]]:
    """AES-256-GCM under one key: the limit."""
    cipher = AESGCM(os.urandom(32))

    def seal(data: bytes) -> tuple[bytes, bytes]:
        nonce = os.urandom(12)
        return nonce, cipher.encrypt(nonce, data, b"")

    yield "AES-256-GCM alone", (seal, lambda box: cipher.decrypt(*cast("tuple[bytes, bytes]", box), b""))


def ours() -> Iterator[tuple[str, Subject]]:
    """The envelope of this library: context, wrap, header, segments."""
    wrapping = AESGCM(os.urandom(32))

    def wrap(data_key: bytes) -> Ciphertext:
        nonce = os.urandom(12)
        return Ciphertext("local", "billing-kek", "0" * 32, "A256GCM", nonce + wrapping.encrypt(nonce, data_key, b""))

    def seal(data: bytes) -> bytes:
        data_key = _envelope.new_data_key()
        return _envelope.seal(data, encoded_context(CONTEXT).encoded, data_key, [wrap(data_key)])

    def unseal(sealed: object) -> bytes:
        assert isinstance(sealed, bytes)
        opening = _envelope.read_header(sealed, "local", "billing-kek")
        data_key = wrapping.decrypt(opening.wrapped[:12], opening.wrapped[12:], b"")
        return _envelope.unseal(sealed, encoded_context(CONTEXT).encoded, data_key, opening)

    def joined(data: bytes) -> bytes:
        cipher, nonce = AESGCM(os.urandom(32)), os.urandom(12)
        return b"".join((bytes(300), cipher.encrypt(nonce, data, b"")))

    yield "kmsbridge", (seal, unseal)
    yield "the same, joined (not done)", (joined, lambda _: None)


def tink() -> Iterator[tuple[str, Subject]]:
    """tink's envelope AEAD."""
    aead = peer("tink.aead")
    aead.register()

    class Kms:
        cipher = AESGCM(os.urandom(32))

        def encrypt(self, plaintext: bytes, associated_data: bytes) -> bytes:
            nonce = os.urandom(12)
            return nonce + self.cipher.encrypt(nonce, plaintext, associated_data)

        def decrypt(self, ciphertext: bytes, associated_data: bytes) -> bytes:
            return self.cipher.decrypt(ciphertext[:12], ciphertext[12:], associated_data)

    envelope = aead.KmsEnvelopeAead(aead.aead_key_templates.AES256_GCM, Kms())
    yield "tink KmsEnvelopeAead", (lambda data: envelope.encrypt(data, b"c"), lambda box: envelope.decrypt(box, b"c"))


def aws() -> Iterator[tuple[str, Subject]]:
    """The AWS Encryption SDK, with and without a signature."""
    names = peer("aws_encryption_sdk.identifiers")
    wrapping = peer("aws_encryption_sdk.internal.crypto.wrapping_keys").WrappingKey(
        names.WrappingAlgorithm.AES_256_GCM_IV12_TAG16_NO_PADDING, os.urandom(32), names.EncryptionKeyType.SYMMETRIC
    )
    base = peer("aws_encryption_sdk.key_providers.raw").RawMasterKeyProvider
    keys = type("Keys", (base,), {"provider_id": "benchmark", "_get_raw_key": lambda *_: wrapping})()
    keys.add_master_key("key")
    client = peer("aws_encryption_sdk").EncryptionSDKClient()

    def subject(**options: object) -> Subject:
        def seal(data: bytes) -> object:
            return client.encrypt(source=data, key_provider=keys, encryption_context=CONTEXT, **options)[0]

        return seal, lambda box: client.decrypt(source=box, key_provider=keys)[0]

    yield "AWS Encryption SDK", subject()
    yield "the same, no signature", subject(algorithm=names.Algorithm.AES_256_GCM_HKDF_SHA512_COMMIT_KEY)


def peer(module: str) -> Any:
    """A package that only `make bench` installs: type checkers do not see it."""
    return import_module(module)


def timed(function: Callable[[], object]) -> float:
    """Seconds a call takes, over about `SECONDS`."""
    calls, start = 0, perf_counter()
    while (taken := perf_counter() - start) < SECONDS or not calls:
        function()
        calls += 1
    return taken / calls


def peak(function: Callable[[], object]) -> float:
    """Bytes allocated at once, at most."""
    tracemalloc.start()
    function()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return size


def main() -> None:
    """Print a table for each size, the subjects taken in turn."""
    warnings.simplefilter("ignore")
    subjects: dict[str, Subject] = {}
    for group in (raw, ours, tink, aws):
        try:
            subjects |= dict(group())
        except ModuleNotFoundError as error:
            print(f"left out, not installed: {error.name}")
    for label, size in SIZES.items():
        measure(subjects, label, os.urandom(size))


def measure(subjects: dict[str, Subject], label: str, data: bytes) -> None:
    """Print the table for one message."""
    size = len(data)
    sealing: dict[str, list[float]] = {name: [] for name in subjects}
    opening: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(ROUNDS):
        for name, (seal, unseal) in subjects.items():
            sealed = seal(data)
            sealing[name].append(timed(partial(seal, data)))
            opening[name].append(timed(partial(unseal, sealed)))
    limit = median(sealing["AES-256-GCM alone"])
    print(f"\n{label:28} {'seal us':>10} {'GB/s':>7} {'x alone':>8} {'open us':>10} {'peak/size':>10}")
    for name, times in sealing.items():
        taken = median(times)
        memory = peak(partial(subjects[name][0], data)) / size
        print(
            f"{name:28} {taken * 1e6:10.1f} {size / taken / 1e9:7.2f} {taken / limit:8.2f}"
            f" {median(opening[name]) * 1e6:10.1f} {memory:10.2f}"
        )


if __name__ == "__main__":
    main()
