"""What goes in and comes out of a bridge: frozen records, the same for every backend."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, NamedTuple, NoReturn, TypeVar

from kmsbridge._errors import Code, Fault, Identity, invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from kmsbridge._ciphertext import Ciphertext

T_co = TypeVar("T_co", covariant=True)


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """One version of a secret, with its value.

    Its repr shows no value and it refuses pickling, so that it can be logged or
    passed by accident without harm.
    """

    name: str
    version: str
    """Opaque; compare it, do not read it."""
    value: str | bytes
    """As it was set: text comes back as str, bytes as bytes."""
    content_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    expires_at: datetime | None = None
    stale: bool = False
    """True when it comes from a cache because the backend could not be asked."""

    @property
    def text(self) -> str:
        """The value as text.

        Raises:
            InvalidRequestError: The value is bytes that are not UTF-8.
        """
        if isinstance(self.value, str):
            return self.value
        try:
            return self.value.decode()
        except UnicodeDecodeError:
            pass  # raised below: the exception of the decoder carries the value
        raise invalid(f"the value of secret {self.name!r} is not UTF-8 text", remediation="Read .bytes, not .text.")

    @property
    def bytes(self) -> bytes:
        """The value as bytes; text is encoded as UTF-8.

        Raises:
            InvalidRequestError: The value is text that holds half a surrogate pair.
        """
        if not isinstance(self.value, str):
            return self.value
        try:
            return self.value.encode()
        except UnicodeEncodeError:
            pass  # raised below: the exception of the encoder carries the value
        raise invalid(f"the value of secret {self.name!r} is no text that has bytes", remediation="Read .value.")

    def json(self) -> Any:
        """The value, parsed as JSON.

        Raises:
            InvalidRequestError: The value is not JSON.
        """
        import json

        try:
            return json.loads(self.value)
        except (ValueError, RecursionError):
            pass  # raised below: the exception of the parser carries the value
        raise invalid(f"the value of secret {self.name!r} is not JSON", remediation="Read .text or .bytes.")

    def __repr__(self) -> str:
        return f"<Secret {self.name!r} version {self.version!r}, value not shown>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled: it would carry its value; pass the name instead")


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """A secret or one of its versions, without its value."""

    name: str
    version: str | None = None
    """None where a backend's listing does not say which version is the latest."""
    enabled: bool = True
    content_type: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    updated_at: datetime | None = None
    expires_at: datetime | None = None
    deleted_at: datetime | None = None
    purge_at: datetime | None = None
    """When the backend removes a deleted secret for good."""


class NewSecret(NamedTuple):
    """A value on its way to a backend, checked; its repr shows no value."""

    value: str | bytes
    content_type: str | None
    tags: Mapping[str, str]
    expires_at: datetime | None
    if_absent: bool

    def __repr__(self) -> str:
        return "<NewSecret, value not shown>"


class SecretChange(NamedTuple):
    """What `update` changes; None leaves a thing as it is."""

    enabled: bool | None = None
    tags: Mapping[str, str] | None = None
    expires_at: datetime | None = None


class Page(NamedTuple, Generic[T_co]):
    """One page of a listing."""

    items: Sequence[T_co]
    cursor: str | None = None
    """Where the next page starts; None on the last page. Opaque."""


@dataclass(frozen=True, slots=True)
class SecretAbilities:
    """What the backend can do with secrets, and how large things may be."""

    get: bool = False
    set: bool = False
    list: bool = False
    versions: bool = False
    update: bool = False
    delete: bool = False
    deleted: bool = False
    recover: bool = False
    purge: bool = False
    get_version: bool = False
    """`get` takes ``version=``."""
    if_absent: bool = False
    content_type: bool = False
    tags: bool = False
    expires_at: bool = False
    enabled: bool = False
    """`update` takes ``enabled=``."""
    update_version: bool = False
    """`update` takes ``version=``."""
    max_value: int = 0
    """Bytes of a value at most; text counts as UTF-8."""
    max_binary: int = 0
    """Bytes at most of a value given as bytes, where the backend stores text only."""
    max_tags: int = 0
    max_content_type: int = 0
    """Characters."""
    max_batch: int = 0
    """Names that `get_many` asks for by one request; 0 where each is a request of its own."""


class KeySpec(StrEnum):
    """What kind of key. AES and RSA keys encrypt and wrap; RSA and EC keys sign."""

    AES_256 = "AES_256"
    RSA_2048 = "RSA_2048"
    RSA_3072 = "RSA_3072"
    RSA_4096 = "RSA_4096"
    EC_P256 = "EC_P256"
    EC_P384 = "EC_P384"
    EC_P521 = "EC_P521"


class SignatureAlgorithm(StrEnum):
    """How a key signs, by the names of RFC 7518. The number is that of the SHA-2 hash."""

    PS256 = "PS256"
    PS384 = "PS384"
    PS512 = "PS512"
    RS256 = "RS256"
    RS384 = "RS384"
    RS512 = "RS512"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"


@dataclass(frozen=True, slots=True)
class Key:
    """A key, or one of its versions, without its material."""

    name: str
    version: str | None = None
    """The latest version, where the backend says so."""
    spec: KeySpec | None = None
    """None for a kind of key that is not known here."""
    enabled: bool = True
    tags: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None
    expires_at: datetime | None = None
    deletes_at: datetime | None = None
    """When a scheduled deletion takes effect; None when none is scheduled."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of one version of a key."""

    name: str
    version: str
    spec: KeySpec
    pem: str
    """SubjectPublicKeyInfo (RFC 5280) as PEM."""

    def jwk(self) -> dict[str, str]:
        """The same as a JSON Web Key (RFC 7517)."""
        from base64 import urlsafe_b64encode

        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
        from cryptography.hazmat.primitives.serialization import load_pem_public_key

        def number(value: int, size: int) -> str:
            return urlsafe_b64encode(value.to_bytes(size, "big")).rstrip(b"=").decode()

        key: Any = load_pem_public_key(self.pem.encode())
        numbers = key.public_numbers()
        size = (key.key_size + 7) // 8
        if isinstance(key, RSAPublicKey):
            exponent = number(numbers.e, (numbers.e.bit_length() + 7) // 8)
            return {"kty": "RSA", "n": number(numbers.n, size), "e": exponent}
        return {"kty": "EC", "crv": f"P-{key.key_size}", "x": number(numbers.x, size), "y": number(numbers.y, size)}


@dataclass(frozen=True, slots=True)
class Signature:
    """What `sign` gives; ``bytes(signature)`` is the signature itself (r and s side by side for EC, RFC 7518)."""

    key: str
    version: str
    """The version of the key that signed: needed to verify once the key has been rotated."""
    algorithm: SignatureAlgorithm
    value: bytes

    def __bytes__(self) -> bytes:
        return self.value


@dataclass(frozen=True, slots=True, repr=False)
class DataKey:
    """A fresh key of 32 bytes: to use now, and wrapped, to keep. Its repr does not show it."""

    plaintext: bytes
    ciphertext: Ciphertext

    def __repr__(self) -> str:
        return f"<DataKey under {self.ciphertext.key!r}, not shown>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a DataKey is not pickled: it would carry the key; keep its ciphertext instead")


class Context(NamedTuple):
    """What was said beside a plaintext and must be said again to decrypt it, checked."""

    pairs: Mapping[str, str]
    encoded: bytes
    """The same for the same pairs in any order, and never the same for others; empty for none."""


@dataclass(frozen=True, slots=True)
class SpecAbilities:
    """What the backend can do with one kind of key."""

    encrypt: bool = False
    """Also decrypt, wrap, unwrap and generate_data_key."""
    context: bool = False
    """The context is bound by the backend."""
    max_plaintext: int = 0
    """Bytes."""
    signature_algorithms: tuple[SignatureAlgorithm, ...] = ()
    rotate: bool = True
    """Where the backend rotates keys at all, also this kind."""


@dataclass(frozen=True, slots=True)
class KeyAbilities:
    """What the backend can do with keys; by kind of key in `specs`."""

    create: bool = False
    get: bool = False
    list: bool = False
    versions: bool = False
    rotate: bool = False
    enable: bool = False
    disable: bool = False
    enable_version: bool = False
    """`enable` and `disable` take ``version=``."""
    schedule_deletion: bool = False
    deletion_days: bool = False
    """`schedule_deletion` takes ``days=``; else the backend has a time of its own."""
    cancel_deletion: bool = False
    public_key: bool = False
    sign: bool = False
    verify: bool = False
    encrypt: bool = False
    decrypt: bool = False
    wrap: bool = False
    unwrap: bool = False
    generate_data_key: bool = False
    context: bool = False
    """Some kind of key binds a context; see `specs`."""
    tags: bool = False
    max_tags: int = 0
    min_deletion_days: int = 0
    max_deletion_days: int = 0
    """0 where ``days=`` is not taken."""
    specs: Mapping[KeySpec, SpecAbilities] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do: ``bridge.capabilities.secrets.if_absent`` and so on."""

    secrets: SecretAbilities = SecretAbilities()
    keys: KeyAbilities = KeyAbilities()


@dataclass(frozen=True, slots=True)
class Health:
    """What one harmless call found out. True when the backend can be used."""

    provider: str
    reachable: bool | None
    """None where it could not be found out."""
    authenticated: bool | None
    key_usable: bool | None
    """The key the backend itself depends on, such as a customer-managed key."""
    code: Code | None = None
    """Why it cannot be used; None when it can."""
    fault: Fault | None = None
    message: str = ""
    remediation: str = ""
    identity: Identity | None = None
    elapsed: float = 0.0
    """Seconds."""

    def __bool__(self) -> bool:
        return self.code is None

    def to_dict(self) -> dict[str, Any]:
        """The same as JSON-ready data."""
        from dataclasses import asdict

        record = asdict(self)
        record["identity"] = None if self.identity is None else self.identity._asdict()
        return {"healthy": bool(self), **record}


for _record in (
    Capabilities,
    DataKey,
    Health,
    Key,
    KeyAbilities,
    KeySpec,
    PublicKey,
    Secret,
    SecretAbilities,
    SecretInfo,
    Signature,
    SignatureAlgorithm,
    SpecAbilities,
):  # tracebacks and reprs show the public path
    _record.__module__ = "kmsbridge"
