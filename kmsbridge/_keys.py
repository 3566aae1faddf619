"""The portable operations on keys, written once for the sync and the async bridge.

The caller names the key, never the ciphertext: what was encrypted under another key or
by another provider is refused before anything is sent.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from hashlib import new as new_hash
from typing import cast

from kmsbridge._ciphertext import Ciphertext, Foreign, read
from kmsbridge._errors import Code, InvalidRequestError, Outcome, invalid, unsupported
from kmsbridge._model import (
    Context,
    DataKey,
    Key,
    KeyAbilities,
    KeySpec,
    Page,
    PublicKey,
    Signature,
    SignatureAlgorithm,
)
from kmsbridge._operations import VERSION, Operations, checked_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._driver import KeysDriver

    Fetch = Callable[[str | None], Coroutine[Any, Any, Page[Key]]]

LARGE = 1 << 20
"""Bytes from which hashing and sealing leave the thread of an event loop."""
MAX_CONTEXT = 8 * 1024
"""Bytes of a context, encoded."""
_NO_CONTEXT = Context({}, b"")


class KeyOperations(Operations[KeyAbilities]):
    """What a bridge can do with keys."""

    async def create(
        self, name: str, spec: KeySpec | str, tags: Mapping[str, str] | None, timeout: float | None
    ) -> Key:
        async def body(call: Call) -> Key:
            self._need("create")
            native = self._about(call, name)
            checked = self._checked_spec(spec)
            if tags:
                self._need("tags")
            labels = checked_tags(tags or {}, self._abilities.max_tags)
            driver = await _driver(call)
            return self._ours(await driver.create_key(call, native, checked, labels))

        return await self._calls.run("keys.create", body, timeout)

    async def get(self, name: str, timeout: float | None) -> Key:
        async def body(call: Call) -> Key:
            self._need("get")
            native = self._about(call, name)
            driver = await _driver(call)
            return self._ours(await driver.get_key(call, native))

        return await self._calls.run("keys.get", body, timeout)

    def list(self, prefix: str, timeout: float | None) -> Fetch:
        async def body(call: Call, cursor: str | None) -> Page[Key]:
            self._need("list")
            self._names.check_prefix(prefix)
            driver = await _driver(call)
            page = await driver.list_keys(call, cursor)
            keys = [self._ours(key) for key in page.items]
            return Page([key for key in keys if key.name.startswith(prefix)], page.cursor)

        return self._pages("keys.list", body, timeout)

    def versions(self, name: str, timeout: float | None) -> Fetch:
        async def body(call: Call, cursor: str | None) -> Page[Key]:
            self._need("versions")
            native = self._about(call, name)
            driver = await _driver(call)
            page = await driver.list_key_versions(call, native, cursor)
            return Page([self._ours(key) for key in page.items], page.cursor)

        return self._pages("keys.versions", body, timeout)

    async def rotate(self, name: str, timeout: float | None) -> Key:
        async def body(call: Call) -> Key:
            self._need("rotate")
            native = self._about(call, name)
            driver = await _driver(call)
            return self._ours(await driver.rotate_key(call, native))

        return await self._calls.run("keys.rotate", body, timeout)

    async def enable(self, name: str, version: str | None, enabled: bool, timeout: float | None) -> Key:
        operation = "enable" if enabled else "disable"

        async def body(call: Call) -> Key:
            self._need(operation)
            if version is not None:
                self._need("enable_version")
            native = self._about(call, name, version)
            driver = await _driver(call)
            return self._ours(await driver.enable_key(call, native, version, enabled))

        return await self._calls.run(f"keys.{operation}", body, timeout)

    async def schedule_deletion(self, name: str, days: int | None, timeout: float | None) -> Key:
        async def body(call: Call) -> Key:
            self._need("schedule_deletion")
            if days is not None:
                self._need("deletion_days")
            native = self._about(call, name)
            low, high = self._abilities.min_deletion_days, self._abilities.max_deletion_days
            if days is not None and (isinstance(days, bool) or not isinstance(days, int) or not low <= days <= high):
                hint = "Leave it out for what the backend has."
                raise invalid(f"days must be a whole number from {low} to {high}", "days", remediation=hint)
            driver = await _driver(call)
            return self._ours(await driver.schedule_key_deletion(call, native, days))

        return await self._calls.run("keys.schedule_deletion", body, timeout)

    async def cancel_deletion(self, name: str, timeout: float | None) -> Key:
        async def body(call: Call) -> Key:
            self._need("cancel_deletion")
            native = self._about(call, name)
            driver = await _driver(call)
            return self._ours(await driver.cancel_key_deletion(call, native))

        return await self._calls.run("keys.cancel_deletion", body, timeout)

    async def public_key(self, name: str, version: str | None, timeout: float | None) -> PublicKey:
        async def body(call: Call) -> PublicKey:
            self._need("public_key")
            native = self._about(call, name, version)
            driver = await _driver(call)
            key = await driver.get_public_key(call, native, version)
            return replace(key, name=self._names.portable(key.name))

        return await self._calls.run("keys.public_key", body, timeout)

    async def sign(
        self,
        name: str,
        message: bytes | None,
        digest: bytes | None,
        algorithm: SignatureAlgorithm | str,
        timeout: float | None,
    ) -> Signature:
        async def body(call: Call) -> Signature:
            self._need("sign")
            native = self._about(call, name)
            checked = _checked_algorithm(algorithm)
            size = len(message) if isinstance(message, bytes) else 0
            hashed = await self._worked(call, size, partial(_digest, message, digest, checked))
            driver = await _driver(call)
            signature = await driver.sign_digest(call, native, None, checked, hashed)
            return replace(signature, key=self._names.portable(signature.key))

        return await self._calls.run("keys.sign", body, timeout)

    async def verify(
        self,
        name: str,
        message: bytes | None,
        signature: Signature | bytes,
        digest: bytes | None,
        algorithm: SignatureAlgorithm | str | None,
        version: str | None,
        timeout: float | None,
    ) -> bool:
        async def body(call: Call) -> bool:
            self._need("verify")
            which, how = version, algorithm
            if isinstance(signature, Signature) and isinstance(signature.value, bytes):
                how = how or signature.algorithm
                if signature.key == name:  # another key's does not fit, and its version is none of this one
                    which = which or signature.version
            elif not isinstance(signature, bytes):
                raise invalid(
                    f"a signature must be a Signature or bytes, not {type(signature).__name__}",
                    "signature",
                    remediation="Pass on what sign gave, or bytes() of it.",
                )
            if how is None:
                hint = 'Give algorithm="ES256", for instance, or the Signature that sign gave.'
                raise invalid("a signature given as bytes needs algorithm=", "algorithm", remediation=hint)
            native = self._about(call, name, which)
            checked = _checked_algorithm(how)
            size = len(message) if isinstance(message, bytes) else 0
            hashed = await self._worked(call, size, partial(_digest, message, digest, checked))
            driver = await _driver(call)
            return await driver.verify_digest(call, native, which, checked, hashed, bytes(signature))

        return await self._calls.run("keys.verify", body, timeout)

    async def encrypt(
        self, name: str, plaintext: bytes, context: Mapping[str, str] | None, timeout: float | None
    ) -> Ciphertext:
        async def body(call: Call) -> Ciphertext:
            self._need("encrypt")
            native = self._about(call, name)
            _check_bytes(plaintext, "plaintext")
            checked = self._checked_context(context)
            limit = max((spec.max_plaintext for spec in self._abilities.specs.values()), default=0)
            if len(plaintext) > limit:
                raise InvalidRequestError(
                    f"the plaintext has {len(plaintext)} bytes; this backend encrypts at most {limit}",
                    code=Code.PAYLOAD_TOO_LARGE,
                    outcome=Outcome.NOT_SENT,
                    remediation="Use seal, which takes any size.",
                )
            driver = await _driver(call)
            return await driver.encrypt(call, native, plaintext, checked)

        return await self._calls.run("keys.encrypt", body, timeout)

    async def decrypt(
        self, name: str, ciphertext: Ciphertext | bytes, context: Mapping[str, str] | None, timeout: float | None
    ) -> bytes:
        async def body(call: Call) -> bytes:
            self._need("decrypt")
            native = self._about(call, name)
            checked = self._checked_context(context)
            ours = self._checked_ciphertext(ciphertext, native)
            driver = await _driver(call)
            return await driver.decrypt(call, native, ours, checked)

        return await self._calls.run("keys.decrypt", body, timeout)

    async def wrap(self, name: str, data_key: bytes, timeout: float | None) -> Ciphertext:
        async def body(call: Call) -> Ciphertext:
            self._need("wrap")
            native = self._about(call, name)
            _check_bytes(data_key, "data_key")
            if not 16 <= len(data_key) <= 64:
                hint = "Use seal for other data."
                raise invalid("a key to wrap must have 16 to 64 bytes", "data_key", remediation=hint)
            driver = await _driver(call)
            return await driver.wrap_key(call, native, data_key)

        return await self._calls.run("keys.wrap", body, timeout)

    async def unwrap(self, name: str, wrapped: Ciphertext | bytes, timeout: float | None) -> bytes:
        async def body(call: Call) -> bytes:
            self._need("unwrap")
            native = self._about(call, name)
            ours = self._checked_ciphertext(wrapped, native)
            driver = await _driver(call)
            return await driver.unwrap_key(call, native, ours)

        return await self._calls.run("keys.unwrap", body, timeout)

    async def generate_data_key(self, name: str, context: Mapping[str, str] | None, timeout: float | None) -> DataKey:
        async def body(call: Call) -> DataKey:
            self._need("generate_data_key")
            native = self._about(call, name)
            checked = self._checked_context(context)
            driver = await _driver(call)
            return await driver.generate_data_key(call, native, checked)

        return await self._calls.run("keys.generate_data_key", body, timeout)

    async def seal(self, name: str, data: bytes, context: Mapping[str, str] | None, timeout: float | None) -> bytes:
        from kmsbridge import _envelope

        async def body(call: Call) -> bytes:
            self._need("wrap")
            native = self._about(call, name)
            _check_bytes(data, "data")
            checked = encoded_context(context)
            driver = await _driver(call)
            data_key = _envelope.new_data_key()
            wrapped = await driver.wrap_key(call, native, data_key)
            return await self._worked(
                call, len(data), partial(_envelope.seal, data, checked.encoded, data_key, [wrapped])
            )

        return await self._calls.run("keys.seal", body, timeout)

    async def unseal(self, name: str, sealed: bytes, context: Mapping[str, str] | None, timeout: float | None) -> bytes:
        from kmsbridge import _envelope

        async def body(call: Call) -> bytes:
            self._need("unwrap")
            native = self._about(call, name)
            _check_bytes(sealed, "sealed")
            checked = encoded_context(context)
            provider = self._calls.provider
            opening = _envelope.read_header(sealed, provider, native)
            wrapped = Ciphertext(provider, native, opening.version, opening.algorithm, opening.wrapped)
            wrapped = self._checked_ciphertext(wrapped, native)
            driver = await _driver(call)
            data_key = await driver.unwrap_key(call, native, wrapped)
            work = partial(_envelope.unseal, sealed, checked.encoded, data_key, opening)
            return await self._worked(call, len(sealed), work)

        return await self._calls.run("keys.unseal", body, timeout)

    def _ours(self, key: Key) -> Key:
        return replace(key, name=self._names.portable(key.name))

    # -- what the caller can get wrong --------------------------------------------------

    def _checked_spec(self, spec: KeySpec | str) -> KeySpec:
        known = [kind.value for kind in self._abilities.specs]
        if spec not in known:
            hint = f"Kinds of key here: {', '.join(known)}."
            if spec in list(KeySpec):
                raise unsupported(f"keys of kind {spec}", hint)
            raise invalid("spec is no kind of key that is known", "spec", remediation=hint)
        return KeySpec(spec)

    def _checked_context(self, context: Mapping[str, str] | None) -> Context:
        checked = encoded_context(context)
        if checked.pairs:
            self._need("context")
        return checked

    async def _worked(self, call: Call, size: int, work: Callable[[], bytes]) -> bytes:
        """Do what takes a millisecond for each few MB where it holds up no event loop."""
        return work() if size <= LARGE else await self._calls.runtime.in_thread(work, call.time_left())

    def _checked_ciphertext(self, ciphertext: Ciphertext | bytes, native: str) -> Ciphertext:
        if isinstance(ciphertext, bytes):
            ciphertext = read(ciphertext, damaged=True)
        elif not isinstance(ciphertext, Ciphertext):
            raise invalid(
                f"a ciphertext must be a Ciphertext or bytes, not {type(ciphertext).__name__}",
                "ciphertext",
                remediation="Pass on what encrypt, wrap or generate_data_key gave, or bytes() of it.",
            )
        if (ciphertext.provider, ciphertext.key) != (self._calls.provider, native):
            raise Foreign
        if not (isinstance(ciphertext.version, str) and isinstance(ciphertext.algorithm, str)):
            raise Foreign
        if not (
            isinstance(ciphertext.payload, bytes) and VERSION.fullmatch(ciphertext.version)
        ):  # nor does it choose what is written into a URL
            raise Foreign
        return ciphertext


def encoded_context(context: Mapping[str, str] | None) -> Context:
    """A context, checked and encoded: count, then each pair in the order of its key's UTF-8 bytes.

    Every count and length has four bytes (big-endian). None and empty are the same: no bytes.

    Raises:
        InvalidRequestError: It is no mapping of str to str, or too large.
    """
    if context is None:
        return _NO_CONTEXT
    parts: list[bytes] = []
    hint = 'Write context={"tenant": "acme"}, for instance.'
    try:
        for key, value in sorted((key.encode(), value.encode()) for key, value in context.items()):
            parts += len(key).to_bytes(4, "big"), key, len(value).to_bytes(4, "big"), value
        encoded = len(context).to_bytes(4, "big") + b"".join(parts) if parts else b""
    except (AttributeError, TypeError, ValueError):
        fault = "a context must map text to text"
    else:
        if len(encoded) <= MAX_CONTEXT:
            return Context(dict(context), encoded)
        fault = f"the context has {len(encoded)} bytes; at most {MAX_CONTEXT} are allowed"
        hint = "Say less: a name or an id of what the data belongs to."
    raise invalid(fault, "context", remediation=hint)


def _check_bytes(data: bytes, what: str) -> None:
    if not isinstance(data, bytes):
        hint = "Encode text first: text.encode()." if isinstance(data, str) else None
        raise invalid(f"{what} must be bytes, not {type(data).__name__}", what, remediation=hint)


def _checked_algorithm(algorithm: SignatureAlgorithm | str) -> SignatureAlgorithm:
    if algorithm not in list(SignatureAlgorithm):
        known = ", ".join(SignatureAlgorithm)
        raise invalid("this is no signature algorithm that is known", "algorithm", remediation=f"Known: {known}.")
    return SignatureAlgorithm(algorithm)


def _digest(message: bytes | None, digest: bytes | None, algorithm: SignatureAlgorithm) -> bytes:
    if (message is None) == (digest is None):
        hint = "Give the message as bytes, or its digest as digest=."
        raise invalid("either a message or digest= is needed, and not both", "message", remediation=hint)
    if message is not None:
        _check_bytes(message, "message")
        return new_hash(f"sha{algorithm[2:]}", message).digest()
    given = cast("bytes", digest)
    _check_bytes(given, "digest")
    if len(given) * 8 != int(algorithm[2:]):
        hint = f"Give the SHA-{algorithm[2:]} of the message, or the message itself."
        size = int(algorithm[2:]) // 8
        raise invalid(f"{algorithm} signs a digest of {size} bytes, not {len(given)}", "digest", remediation=hint)
    return given


async def _driver(call: Call) -> KeysDriver:
    return cast("KeysDriver", await call.driver())
