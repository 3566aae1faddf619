"""One API for secrets over several clouds' key services, with one error vocabulary."""

from kmsbridge._bridge import AsyncBridge, Bridge, connect, connect_async
from kmsbridge._errors import (
    TAXONOMY,
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
from kmsbridge._faces import AsyncSecrets, Secrets
from kmsbridge._model import Capabilities, Health, Secret, SecretAbilities, SecretInfo
from kmsbridge._telemetry import Event

__all__ = [
    "TAXONOMY",
    "AsyncBridge",
    "AsyncSecrets",
    "AuthenticationError",
    "Bridge",
    "Capabilities",
    "Category",
    "Cause",
    "Code",
    "ConflictError",
    "CryptoError",
    "DeadlineExceededError",
    "Event",
    "Fault",
    "FieldError",
    "Health",
    "Identity",
    "InvalidRequestError",
    "KMSError",
    "Meaning",
    "NetworkError",
    "NotFoundError",
    "Outcome",
    "PermissionDeniedError",
    "PreconditionError",
    "RateLimit",
    "Resource",
    "RetryAction",
    "RetryAdvice",
    "Secret",
    "SecretAbilities",
    "SecretInfo",
    "Secrets",
    "ThrottledError",
    "UnavailableError",
    "UnknownError",
    "UnsupportedError",
    "connect",
    "connect_async",
]

for _public in map(globals().__getitem__, __all__):  # tracebacks and reprs show the public path
    if hasattr(_public, "__module__"):
        _public.__module__ = __name__


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib.metadata import version

        return version(__name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
