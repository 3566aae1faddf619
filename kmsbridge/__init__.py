"""One API for secrets and keys over several clouds' key services, with one error vocabulary."""

from kmsbridge._bridge import AsyncBridge, Bridge, connect, connect_async
from kmsbridge._errors import (
    TAXONOMY,
    Attempt,
    AuthenticationError,
    Category,
    Cause,
    Code,
    ConflictError,
    CryptoError,
    DeadlineExceededError,
    Fault,
    FieldError,
    Identity,
    InvalidRequestError,
    KMSError,
    Meaning,
    NetworkError,
    NotFoundError,
    Outcome,
    PermissionDeniedError,
    PreconditionError,
    RateLimit,
    Resource,
    RetryAction,
    RetryAdvice,
    ThrottledError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)
from kmsbridge._faces import AsyncKeys, AsyncSecrets, Keys, Secrets
from kmsbridge._telemetry import Event, Stats

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._ciphertext import Ciphertext
    from kmsbridge._model import (
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
    )
    from kmsbridge._retry import RetryPolicy

__all__ = [
    "TAXONOMY",
    "AsyncBridge",
    "AsyncKeys",
    "AsyncSecrets",
    "Attempt",
    "AuthenticationError",
    "Bridge",
    "Capabilities",
    "Category",
    "Cause",
    "Ciphertext",
    "Code",
    "ConflictError",
    "CryptoError",
    "DataKey",
    "DeadlineExceededError",
    "Event",
    "Fault",
    "FieldError",
    "Health",
    "Identity",
    "InvalidRequestError",
    "KMSError",
    "Key",
    "KeyAbilities",
    "KeySpec",
    "Keys",
    "Meaning",
    "NetworkError",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "PreconditionError",
    "PublicKey",
    "RateLimit",
    "Resource",
    "RetryAction",
    "RetryAdvice",
    "RetryPolicy",
    "Secret",
    "SecretAbilities",
    "SecretInfo",
    "Secrets",
    "Signature",
    "SignatureAlgorithm",
    "SpecAbilities",
    "Stats",
    "ThrottledError",
    "UnavailableError",
    "UnknownError",
    "UnsupportedError",
    "connect",
    "connect_async",
]

del TYPE_CHECKING

for _public in map(globals().get, __all__):  # tracebacks and reprs show the public path
    if hasattr(_public, "__module__"):
        _public.__module__ = __name__


def __getattr__(name: str) -> object:
    """The records, which the first `connect` loads: a module that only catches errors pays nothing for them."""
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    if name in __all__:
        from kmsbridge import _ciphertext, _model, _retry

        return getattr({"Ciphertext": _ciphertext, "RetryPolicy": _retry}.get(name, _model), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
