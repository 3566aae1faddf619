"""What earlier releases wrote, this one reads; and the formats are those that the documents write down.

Each folder of ``tests/vectors/frozen/`` is named after the release that made it, and is
never changed: ``store.sqlite`` with its root key, and ``made.json`` with what was sealed,
encrypted, signed and stored there. The next release's is made, once, by

    python -c "import sys; sys.path.insert(0, 'tests'); import test_frozen; test_frozen.freeze('0.2.0')"

``formats.jsonl`` holds containers and envelopes, valid and invalid, under data keys that are
known. They were made by this file's own implementation of ``docs/envelope.md``, which uses
nothing of kmsbridge; `format_lines` makes them again.
"""

from __future__ import annotations

import hashlib
import hmac
import importlib.metadata
import json
import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

import kmsbridge
from kmsbridge import _envelope
from kmsbridge._ciphertext import Broken, Ciphertext, Foreign, read
from kmsbridge._keys import encoded_context

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

FROZEN = Path(__file__).parent / "vectors" / "frozen"
RELEASES = sorted(path.name for path in FROZEN.iterdir() if path.is_dir())
CONTEXTS: list[dict[str, str]] = [{}, {"tenant": "acme"}, {"tenant": "acme", "größe": "", "": "empty"}]


# -- stores of earlier releases ---------------------------------------------------------


def freeze(release: str) -> None:
    """Make the files of a release: a store with keys in two versions, secrets, and what they sealed."""
    folder = FROZEN / release
    folder.mkdir(parents=True)
    made: list[dict[str, Any]] = []
    with kmsbridge.connect(f"local:{folder}/store.sqlite") as bridge:
        for kind in ("AES_256", "RSA_2048"):
            bridge.keys.create(kind.lower().replace("_", "-"), kind)
        bridge.keys.create("ec-p256", "EC_P256", tags={"team": "payments"})
        for _ in range(2):
            for name in ("aes-256", "rsa-2048"):
                for context in CONTEXTS:
                    for data in (b"", b"4111 1111 1111 1111"):
                        envelope = bridge.keys.seal(name, data, context=context)
                        made.append(_row("unseal", name, data, envelope, context))
                data_key = hashlib.sha256(name.encode()).digest()
                made.append(_row("unwrap", name, data_key, bytes(bridge.keys.wrap(name, data_key))))
            for context in CONTEXTS:
                ciphertext = bridge.keys.encrypt("aes-256", b"direct", context=context)
                made.append(_row("decrypt", "aes-256", b"direct", bytes(ciphertext), context))
            made.append(_row("decrypt", "rsa-2048", b"direct", bytes(bridge.keys.encrypt("rsa-2048", b"direct"))))
            for name, algorithm in (("rsa-2048", "PS256"), ("rsa-2048", "RS256"), ("ec-p256", "ES256")):
                signature = bridge.keys.sign(name, b"message", algorithm=algorithm)
                row = _row("verify", name, b"message", bytes(signature))
                made.append({**row, "version": signature.version, "algorithm": algorithm})
            for name in ("aes-256", "rsa-2048", "ec-p256"):
                bridge.keys.rotate(name)
        for value in ("first", b"\x00\xff"):
            secret = bridge.secrets.set("billing/db-password", value, content_type="text/plain", tags={"k": "v"})
            given = {"text": value} if isinstance(value, str) else {"hex": value.hex()}
            made.append({"what": "get", "name": secret.name, "version": secret.version, **given})
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()
    (folder / "store.sqlite.key").rename(folder / "root-key.txt")
    (folder / "made.json").write_text(json.dumps(made, indent=1) + "\n")


def _row(what: str, name: str, plain: bytes, closed: bytes, context: Mapping[str, str] | None = None) -> dict[str, Any]:
    return {"what": what, "name": name, "plain": plain.hex(), "closed": closed.hex(), "context": dict(context or {})}


@pytest.fixture(params=RELEASES)
def frozen(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Frozen]:
    """A copy of what a release made, and a bridge to its store."""
    folder = FROZEN / request.param
    monkeypatch.delenv("KMSBRIDGE_LOCAL_ROOT_KEY_FILE", raising=False)
    monkeypatch.setenv("KMSBRIDGE_LOCAL_ROOT_KEY", (folder / "root-key.txt").read_text())
    shutil.copyfile(folder / "store.sqlite", tmp_path / "store.db")
    (tmp_path / "store.db").chmod(0o600)
    with kmsbridge.connect(f"local:{tmp_path}/store.db") as bridge:
        yield Frozen(bridge, json.loads((folder / "made.json").read_text()))
    from kmsbridge._registry import DRIVERS

    DRIVERS.close_process()


class Frozen(NamedTuple):
    """What a release made."""

    bridge: kmsbridge.Bridge
    made: list[dict[str, Any]]

    def rows(self, what: str) -> list[dict[str, Any]]:
        """What is opened by this operation."""
        return [row for row in self.made if row["what"] == what]


def test_this_release_is_frozen() -> None:
    """There is a folder for every minor release that there has been."""
    version: str = importlib.metadata.version("kmsbridge")
    assert f"{version.rpartition('.')[0]}.0" in RELEASES


@pytest.mark.parametrize("what", ["unseal", "decrypt", "unwrap"])
def test_what_was_closed_opens(frozen: Frozen, what: str) -> None:
    """Envelopes and ciphertexts, of every version of a key and with every context, give what was put in."""
    rows = frozen.rows(what)
    assert len(rows) >= 4
    for row in rows:
        said = {} if what == "unwrap" else {"context": row["context"]}
        opened = getattr(frozen.bridge.keys, what)(row["name"], bytes.fromhex(row["closed"]), **said)
        assert opened.hex() == row["plain"]


def test_what_was_signed_is_valid(frozen: Frozen) -> None:
    """Signatures of every version."""
    for row in frozen.rows("verify"):
        signature, message = bytes.fromhex(row["closed"]), bytes.fromhex(row["plain"])
        how = {"algorithm": row["algorithm"], "version": row["version"]}
        assert frozen.bridge.keys.verify(row["name"], message, signature, **how)
        assert not frozen.bridge.keys.verify(row["name"], message + b".", signature, **how)


def test_what_was_stored_is_there(frozen: Frozen) -> None:
    """Secrets with all versions; keys with all versions and tags."""
    for row in frozen.rows("get"):
        value = row["text"] if "text" in row else bytes.fromhex(row["hex"])
        assert frozen.bridge.secrets.get(row["name"], row["version"]).value == value
    assert frozen.bridge.keys.get("ec-p256").tags == {"team": "payments"}
    assert all(len(list(frozen.bridge.keys.versions(key.name))) == 3 for key in frozen.bridge.keys.list())


def test_an_old_store_can_be_used_on(frozen: Frozen) -> None:
    """It takes new versions and secrets, and what was made before still opens."""
    [row, *_] = frozen.rows("unseal")
    frozen.bridge.keys.rotate(row["name"])
    frozen.bridge.secrets.set("billing/db-password", "newest")
    assert (
        frozen.bridge.keys.unseal(row["name"], bytes.fromhex(row["closed"]), context=row["context"]).hex()
        == row["plain"]
    )


# -- docs/envelope.md, implemented anew -------------------------------------------------


def documented_label(provider: str, key: str, version: str, algorithm: str) -> bytes:
    """``key-label``."""
    name = key.encode()
    return b"".join(
        (
            bytes([len(provider)]), provider.encode(), len(name).to_bytes(2, "big"), name,
            bytes([len(version)]), version.encode(), bytes([len(algorithm)]), algorithm.encode(),
        )
    )  # fmt: skip


def documented_context(pairs: Mapping[str, str]) -> bytes:
    """The canonical form of a context."""
    if not pairs:
        return b""
    form = len(pairs).to_bytes(4, "big")
    for key, value in sorted((key.encode(), value.encode()) for key, value in pairs.items()):
        form += len(key).to_bytes(4, "big") + key + len(value).to_bytes(4, "big") + value
    return form


def documented_keys(data_key: bytes, salt: bytes) -> tuple[bytes, bytes]:
    """Content key and commitment: HKDF-SHA-256 by RFC 5869, for 64 bytes."""
    extracted = hmac.digest(salt, data_key, "sha256")
    first = hmac.digest(extracted, b"kmsbridge envelope 1\x01", "sha256")
    return first, hmac.digest(extracted, first + b"kmsbridge envelope 1\x02", "sha256")


def documented_envelope(
    data: bytes, context: bytes, data_key: bytes, salt: bytes, recipients: Sequence[tuple[str, str, str, str, bytes]]
) -> bytes:
    """An envelope by the steps under "To seal", with a data key and a salt that are given."""
    content_key, commitment = documented_keys(data_key, salt)
    header = b"KMBE\x01" + bytes([1, len(recipients)])
    for provider, key, version, algorithm, wrapped in recipients:
        header += documented_label(provider, key, version, algorithm) + len(wrapped).to_bytes(2, "big") + wrapped
    header += salt + commitment
    segments = [data[start : start + 1_048_576] for start in range(0, len(data), 1_048_576)] or [b""]
    sealed = header
    for number, segment in enumerate(segments):
        nonce = bytes(7) + number.to_bytes(4, "big") + bytes([number == len(segments) - 1])
        sealed += AESGCM(content_key).encrypt(nonce, segment, header + context)
    return sealed


def documented_opening(envelope: bytes, context: bytes, data_key: bytes, header_size: int) -> bytes | None:
    """The data by the steps under "To open" from the third, or None."""
    header, boxes = envelope[:header_size], envelope[header_size:]
    content_key, commitment = documented_keys(data_key, header[-64:-32])
    cut = [boxes[start : start + 1_048_592] for start in range(0, len(boxes), 1_048_592)]
    data = b""
    try:
        for number, box in enumerate(cut):
            nonce = bytes(7) + number.to_bytes(4, "big") + bytes([number == len(cut) - 1])
            data += AESGCM(content_key).decrypt(nonce, box, header + context)
    except (InvalidTag, ValueError):
        return None
    return data if cut and commitment == header[-32:] else None


LABEL = ("local", "billing-kek", "0123456789abcdef0123456789abcdef", "A256GCM")
DATA_KEY = hashlib.sha256(b"data key").digest()
SALT = hashlib.sha256(b"salt").digest()
WRAPPED = b"wrapped data key"


def format_lines() -> list[dict[str, Any]]:
    """Vectors, valid and invalid, from the document alone."""
    other = ("azure-keyvault", "kek", "v1", "RSA-OAEP-256")
    lines: list[dict[str, Any]] = []

    def add(comment: str, data: bytes, context: Mapping[str, str], envelope: bytes, result: str) -> None:
        lines.append(
            {
                "format": "envelope", "comment": comment, "data_key": DATA_KEY.hex(), "context": dict(context),
                "envelope": envelope.hex(), "result": result, "data": data.hex() if result == "valid" else None,
            }
        )  # fmt: skip

    mine = (*LABEL, WRAPPED)
    for data in (b"", b"x", b"4111 1111 1111 1111"):
        for context in CONTEXTS:
            made = documented_envelope(data, documented_context(context), DATA_KEY, SALT, [mine])
            add(f"{len(data)} bytes, {len(context)} pairs", data, context, made, "valid")
    for recipients in ([(*other, bytes(256)), mine], [mine, (*other, bytes(256)), mine]):
        add("several recipients", b"x", {}, documented_envelope(b"x", b"", DATA_KEY, SALT, recipients), "valid")
    whole = documented_envelope(b"x", b"", DATA_KEY, SALT, [mine])
    end = len(whole) - 17
    add("another context", b"x", {"tenant": "acme"}, whole, "broken")
    add("cut inside the tag", b"x", {}, whole[:-1], "broken")
    add("no segment", b"x", {}, whole[:end], "broken")
    add("a byte too many", b"x", {}, whole + b"\0", "broken")
    add("another commitment", b"x", {}, whole[: end - 1] + bytes([whole[end - 1] ^ 1]) + whole[end:], "broken")
    add("another salt", b"x", {}, whole[: end - 33] + bytes([whole[end - 33] ^ 1]) + whole[end - 32 :], "broken")
    add("another suite", b"x", {}, whole[:5] + b"\x02" + whole[6:], "broken")
    add("cut inside the header", b"x", {}, whole[: end - 1], "broken")
    segment = AESGCM(documented_keys(DATA_KEY, SALT)[0]).encrypt(bytes(12), b"x", whole[:end])
    add("not marked as the last segment", b"x", {}, whole[:end] + segment, "broken")
    add("another format", b"x", {}, b"KMBE\x02" + whole[5:], "foreign")
    add("another magic", b"x", {}, b"KMBF" + whole[4:], "foreign")
    add("no recipient", b"x", {}, documented_envelope(b"x", b"", DATA_KEY, SALT, []), "foreign")
    add("another's only", b"x", {}, documented_envelope(b"x", b"", DATA_KEY, SALT, [(*other, b"w")]), "foreign")
    add("nothing", b"", {}, b"", "foreign")

    container = b"KMBC\x01" + documented_label(*LABEL)
    unicode = b"KMBC\x01" + documented_label("local", "schlüssel", "1", "RSA-OAEP-256")
    for comment, content, label in (
        ("a payload", container + b"payload", LABEL),
        ("an empty payload", container, LABEL),
        ("a name in UTF-8", unicode + b"p", ("local", "schlüssel", "1", "RSA-OAEP-256")),
        ("cut inside the label", container[:-1], None),
        ("another format", b"KMBC\x02" + container[5:], None),
        ("an envelope", whole, None),
        ("a name that is no UTF-8", unicode.replace("ü".encode(), b"\xff\xff"), None),
        ("a provider that is no ASCII", b"KMBC\x01\x01\xe9" + container[11:], None),
        ("nothing", b"", None),
    ):
        lines.append(
            {
                "format": "container", "comment": comment, "container": content.hex(), "label": label,
                "result": "foreign" if label is None else "valid",
            }
        )  # fmt: skip
    return lines


LINES = [json.loads(line) for line in (FROZEN / "formats.jsonl").read_text().splitlines()]
ENVELOPES = [line for line in LINES if line["format"] == "envelope"]
CONTAINERS = [line for line in LINES if line["format"] == "container"]


def _named(line: dict[str, Any]) -> str:
    return str(line["comment"])


def test_the_vectors_are_those_of_the_document() -> None:
    """The file holds what the implementation of the document above gives, today as on the day it was made."""
    assert json.loads(json.dumps(format_lines())) == LINES


@pytest.mark.parametrize("line", ENVELOPES, ids=_named)
def test_envelopes_are_read_as_documented(line: dict[str, Any]) -> None:
    """Each opens, or is broken or foreign, as the document has it."""
    envelope, data_key = bytes.fromhex(line["envelope"]), bytes.fromhex(line["data_key"])

    def opened() -> bytes:
        opening = _envelope.read_header(envelope, *LABEL[:2])
        assert (opening.version, opening.algorithm, opening.wrapped) == (*LABEL[2:], WRAPPED)
        return _envelope.unseal(envelope, encoded_context(line["context"]).encoded, data_key, opening)

    if line["result"] == "valid":
        assert opened().hex() == line["data"]
        return
    with pytest.raises(Broken if line["result"] == "broken" else Foreign):
        opened()


@pytest.mark.parametrize("line", CONTAINERS, ids=_named)
def test_containers_are_read_as_documented(line: dict[str, Any]) -> None:
    """Each is read and written again, or is foreign."""
    container = bytes.fromhex(line["container"])
    if line["result"] == "valid":
        found = read(container)
        assert [found.provider, found.key, found.version, found.algorithm] == line["label"]
        assert bytes(found) == container
        return
    with pytest.raises(Foreign):
        read(container)


@pytest.mark.parametrize("size", [0, 1, 65_536, 65_537, 1_048_576, 1_048_577, 2_097_153], ids=str)
@pytest.mark.parametrize("context", CONTEXTS, ids=len)
def test_code_and_document_seal_the_same_bytes(
    size: int, context: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the same data key and salt, byte for byte, at every boundary; and each opens what the other sealed."""
    data = (hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1))[:size]
    monkeypatch.setattr(os, "urandom", lambda count: SALT[:count])
    ours = _envelope.seal(data, encoded_context(context).encoded, DATA_KEY, [Ciphertext(*LABEL, WRAPPED)])
    documented = documented_envelope(data, documented_context(context), DATA_KEY, SALT, [(*LABEL, WRAPPED)])
    assert ours == documented
    header = _envelope.read_header(ours, *LABEL[:2]).size
    assert documented_opening(ours, documented_context(context), DATA_KEY, header) == data
    assert documented_opening(ours, b"another", DATA_KEY, header) is None


def test_local_ciphertexts_are_as_documented() -> None:
    """docs/local-store.md says enough of an AES key's ciphertext to open it with the key and nothing of ours."""
    from kmsbridge_local._database import MemoryDatabase
    from kmsbridge_local._keys import KeyStore
    from kmsbridge_local._rows import KEYS
    from kmsbridge_local._store import Store

    context = encoded_context({"tenant": "acme"})
    with closing(Store(MemoryDatabase())) as store:
        keys = KeyStore(store, 7)
        keys.create(lambda: 5.0, "kek", kmsbridge.KeySpec.AES_256, {})
        with store.read(lambda: 5.0) as transaction:
            head = KEYS.head(transaction, "kek")
            assert head is not None
            row, material = KEYS.version(transaction, head, None)
        encrypted = keys.encrypt(lambda: 5.0, "kek", b"plaintext", context)
        wrapped = keys.wrap(lambda: 5.0, "kek", bytes(32))

    def field(kind: bytes, content: bytes) -> bytes:
        return kind + len(content).to_bytes(4, "big") + content

    for ciphertext, use, said, plaintext in (
        (encrypted, "encrypt", context.encoded, b"plaintext"), (wrapped, "wrap", b"", bytes(32)),
    ):  # fmt: skip
        salt, box = ciphertext.payload[:32], ciphertext.payload[32:]
        info = b"kmsbridge local 1: message\x01"
        message_key = hmac.digest(hmac.digest(salt, material, "sha256"), info, "sha256")
        texts = ("ciphertext", use, "local", "kek", row.version, "A256GCM")
        associated = b"".join(field(b"s", text.encode()) for text in texts) + field(b"b", said)
        assert AESGCM(message_key).decrypt(bytes(12), box, associated) == plaintext
