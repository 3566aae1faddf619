"""A provider of keys for the tests of the contract suite: it can lack abilities, lie about them, err, and leak.

``fakekeys://<store>?lacks=a,b&boasts=c&hides=d&errs=e&leaks=f``: it neither has nor claims
a and b, claims c without having it, has d without claiming it, does wrong what e names,
and leaks in the way of f. Abilities are those of `kmsbridge.KeyAbilities`, and kinds of key.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from kmsbridge import (
    Capabilities,
    Ciphertext,
    Code,
    DataKey,
    Identity,
    Key,
    KeyAbilities,
    KeySpec,
    PublicKey,
    Signature,
    SignatureAlgorithm,
    SpecAbilities,
)
from kmsbridge._aead import Aead
from kmsbridge._ciphertext import Broken, Foreign
from kmsbridge._decode import Answer, Decoder, Reading, Refused, Rule
from kmsbridge._model import Page
from kmsbridge._names import IdentityNames
from kmsbridge_local import _asymmetric

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge import KMSError
    from kmsbridge._call import Call
    from kmsbridge._driver import Location
    from kmsbridge._model import Context
    from kmsbridge._runtime import Runtime

name = "fakekeys"
PAGE_SIZE = 3
KINDS = (KeySpec.AES_256, KeySpec.RSA_2048, KeySpec.EC_P256)
ABILITIES = frozenset(field.name for field in fields(KeyAbilities) if field.type == "bool") | set(KINDS)
_RSA_SIGNS = tuple(algorithm for algorithm in SignatureAlgorithm if not algorithm.startswith("ES"))
_SIGNS = {KeySpec.RSA_2048: _RSA_SIGNS, KeySpec.EC_P256: (SignatureAlgorithm.ES256,)}
_LARGEST = {KeySpec.AES_256: 1024, KeySpec.RSA_2048: 190}

decoder = Decoder(
    name,
    [
        Rule("missing", Code.NOT_FOUND),
        Rule("version-missing", Code.VERSION_NOT_FOUND),
        Rule("pending", Code.PENDING_DELETION),
        Rule("held", Code.DELETED_BUT_RECOVERABLE),
        Rule("disabled", Code.DISABLED),
        Rule("exists", Code.ALREADY_EXISTS),
        Rule("cannot", Code.UNSUPPORTED),
        Rule("too-large", Code.PAYLOAD_TOO_LARGE, remediation="Use seal, which takes any size."),
        Rule("place", Code.DECRYPTION_FAILED),
    ],
    read=lambda answer: Reading(codes=(answer.text,), sentence=answer.body.decode(errors="replace") or None),
)


class _Version:
    def __init__(self, version: str, material: bytes) -> None:
        self.version = version
        self.material = material
        self.enabled = True


class _Entry:
    def __init__(self, spec: KeySpec, tags: Mapping[str, str]) -> None:
        self.spec = spec
        self.tags = tags
        self.enabled = True
        self.deletes_at: datetime | None = None
        self.versions: list[_Version] = []


_STORES: dict[str, dict[str, _Entry]] = {}
_LOCK = threading.RLock()


class Settings(NamedTuple):
    """Which store, and how it misbehaves."""

    store: str
    claims: frozenset[str]
    does: frozenset[str]
    errs: frozenset[str]
    leaks: str

    @property
    def address(self) -> tuple[object, ...]:
        """Everything: two that misbehave differently are two."""
        return tuple(self)

    @property
    def identity(self) -> None:
        """There is one."""

    @property
    def capabilities(self) -> Capabilities:
        """What is claimed, true or not."""
        flags = {ability: True for ability in self.claims if ability not in list(KeySpec)}
        claims = KeyAbilities(specs={}, **flags)
        return Capabilities(
            keys=replace(
                claims,
                max_tags=4 if claims.tags else 0,
                min_deletion_days=7 if claims.deletion_days else 0,
                max_deletion_days=30 if claims.deletion_days else 0,
                specs={spec: _claimed(spec, claims) for spec in KeySpec if spec in self.claims},
            )
        )

    @property
    def secret_names(self) -> IdentityNames:
        """The same as of keys."""
        return self.key_names

    @property
    def key_names(self) -> IdentityNames:
        """Any printable ASCII."""
        return IdentityNames(r"[!-~]{1,128}")


def _claimed(spec: KeySpec, claims: KeyAbilities) -> SpecAbilities:
    encrypts = spec in _LARGEST and (claims.encrypt or claims.wrap or claims.generate_data_key)
    return SpecAbilities(
        encrypt=encrypts,
        context=encrypts and claims.context and spec is KeySpec.AES_256,
        max_plaintext=_LARGEST[spec] if encrypts else 0,
        signature_algorithms=_SIGNS.get(spec, ()) if claims.sign or claims.verify else (),
    )


def configure(location: Location) -> Settings:
    """See the module."""
    lacks, boasts, hides, errs = (
        frozenset(filter(None, location.parameters.get(how, "").split(",")))
        for how in ("lacks", "boasts", "hides", "errs")
    )
    assert lacks | boasts | hides <= ABILITIES | set(KeySpec)
    claims, does = (ABILITIES | boasts) - lacks - hides, ABILITIES - lacks - boasts
    return Settings(location.host, claims, does, errs, location.parameters.get("leaks", ""))


async def open(settings: Settings, runtime: Runtime) -> Driver:  # noqa: A001 - what the core asks for
    """The driver on its store."""
    return Driver(settings, runtime)


class Driver:
    """Keeps keys in a dictionary."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self._entries = _STORES.setdefault(settings.store, {})
        self._does = settings.does
        self._errs = settings.errs
        self._leaks = settings.leaks
        self._runtime = runtime

    def repeatable(self, operation: str) -> bool:
        """Nothing gets lost on the way."""
        return operation != "keys.rotate"

    async def reauthenticate(self) -> bool:
        """There is no credential."""
        return False

    async def refresh(self, error: KMSError) -> bool:
        """Nothing is stale."""
        del error
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:
        """Nothing takes long."""
        del error, call
        return True

    async def health(self, call: Call) -> Identity | None:
        """It is there."""
        call.time_left()
        return Identity(credential="nobody")

    async def close(self) -> None:
        """Nothing is open."""

    # -- what becomes of a key ----------------------------------------------------------

    async def create_key(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key:
        """With its first version."""
        del call
        self._need("create")
        if spec not in self._does:
            raise Refused(Answer(400, text="cannot"))
        material = await self._runtime.in_thread(lambda: _material(spec))
        with _LOCK:
            if (entry := self._entries.get(name)) is not None and "overwrites" not in self._errs:
                raise Refused(Answer(409, text="held" if entry.deletes_at else "exists"))
            entry = self._entries[name] = _Entry(spec, tags if "tags" in self._does else {})
            entry.versions.append(_Version(os.urandom(8).hex(), material))
            return _key(name, entry)

    async def get_key(self, call: Call, name: str) -> Key:
        """Whatever its state."""
        del call
        self._need("get")
        with _LOCK:
            return _key(name, self._entry(name))

    async def list_keys(self, call: Call, cursor: str | None) -> Page[Key]:
        """By name."""
        del call
        self._need("list")
        with _LOCK:
            return _page({name: _key(name, entry) for name, entry in self._entries.items()}, cursor)

    async def list_key_versions(self, call: Call, name: str, cursor: str | None) -> Page[Key]:
        """Newest first."""
        del call
        self._need("versions")
        with _LOCK:
            entry = self._entry(name)
            numbered = {f"{9999 - number}": _key(name, entry, it) for number, it in enumerate(entry.versions)}
            return _page(numbered, cursor)

    async def rotate_key(self, call: Call, name: str) -> Key:
        """Append a version."""
        del call
        self._need("rotate")
        with _LOCK:
            spec = self._usable(name).spec
        material = await self._runtime.in_thread(lambda: _material(spec))
        with _LOCK:
            entry = self._usable(name)
            if "forgets" in self._errs:
                entry.versions.clear()
            entry.versions.append(_Version(os.urandom(8).hex(), material))
            return _key(name, entry)

    async def enable_key(self, call: Call, name: str, version: str | None, enabled: bool) -> Key:
        """The key, or one version."""
        del call
        self._need("enable" if enabled else "disable")
        with _LOCK:
            entry = self._entry(name)
            self._refuse_pending(entry)
            if version is None or "enable_version" not in self._does:
                entry.enabled = enabled
                return _key(name, entry)
            found = _version(entry, version)
            found.enabled = enabled
            return _key(name, entry, found)

    async def schedule_key_deletion(self, call: Call, name: str, days: int | None) -> Key:
        """In a week, if nothing is said."""
        del call
        self._need("schedule_deletion")
        with _LOCK:
            entry = self._entry(name)
            self._refuse_pending(entry)
            chosen = days if "deletion_days" in self._does else None
            entry.deletes_at = datetime.now(UTC) + timedelta(days=chosen or 7)
            return _key(name, entry)

    async def cancel_key_deletion(self, call: Call, name: str) -> Key:
        """Enabled or disabled as it was."""
        del call
        self._need("cancel_deletion")
        with _LOCK:
            entry = self._entry(name)
            if entry.deletes_at is None:
                raise Refused(Answer(404, text="missing"))
            entry.deletes_at = None
            entry.enabled = entry.enabled or "enables" in self._errs
            return _key(name, entry)

    # -- what a key does ----------------------------------------------------------------

    async def get_public_key(self, call: Call, name: str, version: str | None) -> PublicKey:
        """Of the latest version, if none is named."""
        del call
        self._need("public_key")
        with _LOCK:
            entry = self._entry(name)
            found = _version(entry, version)
        if entry.spec is KeySpec.AES_256:
            raise Refused(Answer(400, text="cannot"))
        return PublicKey(
            name, found.version, entry.spec, _asymmetric.pem(_asymmetric.load(found.material).public_key())
        )

    async def sign_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes
    ) -> Signature:
        """Sign."""
        del call
        self._need("sign")
        entry, found = self._used(name, version)
        self._refuse_algorithm(entry, algorithm)
        return Signature(
            name, found.version, algorithm, _asymmetric.sign(_asymmetric.load(found.material), algorithm, digest)
        )

    async def verify_digest(
        self, call: Call, name: str, version: str | None, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes
    ) -> bool:
        """Verify."""
        del call
        self._need("verify")
        entry, found = self._used(name, version)
        self._refuse_algorithm(entry, algorithm)
        key = _asymmetric.load(found.material).public_key()
        return "verifies" in self._errs or _asymmetric.verify(key, algorithm, digest, signature)

    async def encrypt(self, call: Call, name: str, plaintext: bytes, context: Context) -> Ciphertext:
        """Encrypt."""
        self._need("encrypt")
        self._leak(call, plaintext)
        return self._encrypted(name, plaintext, context.encoded)

    async def decrypt(self, call: Call, name: str, ciphertext: Ciphertext, context: Context) -> bytes:
        """Decrypt."""
        del call
        self._need("decrypt")
        return self._decrypted(name, ciphertext, context.encoded)

    async def wrap_key(self, call: Call, name: str, data_key: bytes) -> Ciphertext:
        """As `encrypt`."""
        del call
        self._need("wrap")
        return self._encrypted(name, data_key, b"")

    async def unwrap_key(self, call: Call, name: str, wrapped: Ciphertext) -> bytes:
        """As `decrypt`."""
        del call
        self._need("unwrap")
        return self._decrypted(name, wrapped, b"")

    async def generate_data_key(self, call: Call, name: str, context: Context) -> DataKey:
        """Made here."""
        del call
        self._need("generate_data_key")
        plaintext = bytes(32) if "guessed" in self._errs else os.urandom(32)
        return DataKey(plaintext, self._encrypted(name, plaintext, context.encoded))

    def _encrypted(self, name: str, plaintext: bytes, context: bytes) -> Ciphertext:
        entry, found = self._used(name, None)
        self._refuse_context(entry, context)
        if len(plaintext) > _LARGEST[entry.spec]:
            said = repr(plaintext).encode() if self._leaks == "message" else b""
            raise Refused(Answer(413, text="too-large", body=said))
        if self._leaks == "ciphertext":
            return Ciphertext("fakekeys", name, found.version, "none", plaintext)
        if entry.spec is not KeySpec.AES_256:
            key = _asymmetric.load(found.material)
            assert isinstance(key, RSAPrivateKey)
            return Ciphertext(
                "fakekeys", name, found.version, "RSA-OAEP-256", _asymmetric.encrypt(key.public_key(), plaintext)
            )
        nonce = bytes(12) if "repeats" in self._errs else os.urandom(12)
        box = nonce + Aead(found.material).seal(nonce, plaintext, self._bound(context))
        return Ciphertext("fakekeys", name, found.version, "A256GCM", box)

    def _decrypted(self, name: str, ciphertext: Ciphertext, context: bytes) -> bytes:
        try:
            entry, found = self._used(name, ciphertext.version)
        except Refused as refused:
            if refused.answer.text != "version-missing":
                raise
            raise Foreign from None
        self._refuse_context(entry, context)
        payload = ciphertext.payload
        if self._leaks == "ciphertext":
            return payload
        if "places" in self._errs and len(payload) < 12:
            raise Refused(Answer(400, text="place", body=b"the ciphertext is too short"))
        if "trusts" not in self._errs and ciphertext.algorithm not in ("A256GCM", "RSA-OAEP-256"):
            raise Broken
        if entry.spec is KeySpec.AES_256:
            return (
                Aead(found.material).open(payload[:12], payload[12:], self._bound(context)) if payload[12:] else _no()
            )
        key = _asymmetric.load(found.material)
        assert isinstance(key, RSAPrivateKey)
        return _asymmetric.decrypt(key, payload)

    def _bound(self, context: bytes) -> bytes:
        return context if "context" in self._does else b""

    def _leak(self, call: Call, plaintext: bytes) -> None:
        """What a careless driver does on its way."""
        if self._leaks == "log":
            logging.getLogger("kmsbridge_fakekeys.wire").debug("POST %s", plaintext.hex())
        if self._leaks == "event":
            call.request_ids["x-request-id"] = plaintext.decode(errors="replace")

    # -- what stands in the way ---------------------------------------------------------

    def _need(self, operation: str) -> None:
        if operation not in self._does:
            raise NotImplementedError(operation)

    def _entry(self, name: str) -> _Entry:
        entry = self._entries.get(name)
        if entry is None:
            raise Refused(Answer(404, text="missing"))
        return entry

    def _usable(self, name: str) -> _Entry:
        entry = self._entry(name)
        if "uses-pending" not in self._errs:
            self._refuse_pending(entry)
        if not entry.enabled and "uses-disabled" not in self._errs:
            raise Refused(Answer(403, text="disabled"))
        return entry

    def _used(self, name: str, version: str | None) -> tuple[_Entry, _Version]:
        with _LOCK:
            entry = self._usable(name)
            found = _version(entry, version)
            if not found.enabled and "falls-back" in self._errs:
                found = next(it for it in entry.versions[::-1] if it.enabled)
        if not found.enabled:
            raise Refused(Answer(403, text="disabled"))
        return entry, found

    def _refuse_pending(self, entry: _Entry) -> None:
        if entry.deletes_at is not None:
            raise Refused(Answer(409, text="pending"))

    def _refuse_algorithm(self, entry: _Entry, algorithm: SignatureAlgorithm) -> None:
        if algorithm not in _SIGNS.get(entry.spec, ()):
            raise Refused(Answer(400, text="cannot"))

    def _refuse_context(self, entry: _Entry, context: bytes) -> None:
        drops = "drops-context" in self._errs
        if entry.spec not in _LARGEST or (context and entry.spec is not KeySpec.AES_256 and not drops):
            raise Refused(Answer(400, text="cannot"))


def _no() -> bytes:
    raise Broken


def _material(spec: KeySpec) -> bytes:
    return os.urandom(32) if spec is KeySpec.AES_256 else _asymmetric.generate(spec)


def _version(entry: _Entry, version: str | None) -> _Version:
    for found in entry.versions[::-1]:
        if version in (found.version, None):
            return found
    raise Refused(Answer(404, text="version-missing"))


def _key(name: str, entry: _Entry, of: _Version | None = None) -> Key:
    return Key(
        name,
        (of or entry.versions[-1]).version,
        entry.spec,
        enabled=of.enabled if of else entry.enabled,
        tags=entry.tags,
        created_at=datetime.now(UTC),
        deletes_at=entry.deletes_at,
    )


def _page(items: dict[str, Key], cursor: str | None) -> Page[Key]:
    keys = sorted(key for key in items if cursor is None or key > cursor)
    page = keys[:PAGE_SIZE]
    return Page([items[key] for key in page], page[-1] if len(keys) > PAGE_SIZE else None)
