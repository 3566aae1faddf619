"""What the demo does on each backend: steps that must work, and mistakes that must have their code."""

from __future__ import annotations

from typing import NamedTuple

from kmsbridge import Bridge, Code, KeySpec, NotFoundError
from kmsbridge.cli._options import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

NAME = "demo/password"
KEY, SIGNER = "demo-kek", "demo-signer"
CONTEXT = {"tenant": "acme"}
SECONDS = 10.0
"""What one call may take; the application as a whole too."""


class Step(NamedTuple):
    """Something that must work where the backend has the ability."""

    title: str
    ability: str
    """Such as ``secrets.get``."""
    works: Callable[[Bridge], bool]


class Mistake(NamedTuple):
    """Something that must fail, and with which code."""

    title: str
    expected: Code
    ability: str
    make: Callable[[Bridge, str], object]


class Incident(NamedTuple):
    """Something that befalls one backend, and what any call then ends with."""

    title: str
    backend: str
    settings: Mapping[str, object]
    """Of its emulator, that bring it about."""
    expected: Code


def offers(bridge: Bridge, ability: str) -> bool:
    """Whether the backend says that it can do this."""
    kind, _, name = ability.partition(".")
    return bool(getattr(getattr(bridge.capabilities, kind), name))


def _oldest(bridge: Bridge) -> str:
    return [info.version or "" for info in bridge.secrets.versions(NAME)][-1]


def _deleted_and_purged(bridge: Bridge) -> bool:
    if offers(bridge, "secrets.recover"):  # else it is still deleted
        bridge.secrets.delete(NAME)
    bridge.secrets.purge(NAME)
    return NAME not in [info.name for info in bridge.secrets.deleted()]


def _sealed(bridge: Bridge) -> bytes:
    """An envelope under a key that is made if it is missing."""
    try:
        bridge.keys.get(KEY)
    except NotFoundError:
        bridge.keys.create(KEY, KeySpec.RSA_2048)
    return bridge.keys.seal(KEY, b"4111 1111", context=CONTEXT)


def _unsealed(bridge: Bridge) -> bool:
    return bridge.keys.unseal(KEY, _sealed(bridge), context=CONTEXT) == b"4111 1111"


def _rotated(bridge: Bridge) -> bool:
    sealed = _sealed(bridge)
    bridge.keys.rotate(KEY)
    return bridge.keys.unseal(KEY, sealed, context=CONTEXT) == b"4111 1111"


def _signed(bridge: Bridge) -> bool:
    bridge.keys.create(SIGNER, KeySpec.EC_P256)
    signature = bridge.keys.sign(SIGNER, b"message", algorithm="ES256")
    valid = bridge.keys.verify(SIGNER, b"message", signature)
    return valid and not bridge.keys.verify(SIGNER, b"another", signature)


STEPS = (
    Step("health", "secrets.get", lambda bridge: bool(bridge.health(timeout=SECONDS))),
    Step("set text", "secrets.set", lambda bridge: bridge.secrets.set(NAME, "first").value == "first"),
    Step("set bytes", "secrets.set", lambda bridge: bridge.secrets.set(NAME, b"\x00\xff").value == b"\x00\xff"),
    Step("get", "secrets.get", lambda bridge: bridge.secrets.get(NAME).value == b"\x00\xff"),
    Step("versions", "secrets.versions", lambda bridge: len(list(bridge.secrets.versions(NAME))) == 2),
    Step("get the old version", "secrets.get_version",
         lambda bridge: bridge.secrets.get(NAME, _oldest(bridge)).value == "first"),
    Step("list", "secrets.list", lambda bridge: NAME in [info.name for info in bridge.secrets.list("demo/")]),
    Step("update tags", "secrets.update",
         lambda bridge: bridge.secrets.update(NAME, tags={"team": "demo"}).tags == {"team": "demo"}),
    Step("delete", "secrets.delete", lambda bridge: bridge.secrets.delete(NAME).name == NAME),
    Step("deleted", "secrets.deleted", lambda bridge: NAME in [info.name for info in bridge.secrets.deleted()]),
    Step("recover", "secrets.recover", lambda bridge: bridge.secrets.recover(NAME).name == NAME),
    Step("delete and purge", "secrets.purge", _deleted_and_purged),
    Step("seal and unseal", "keys.wrap", _unsealed),
    Step("rotate, unseal the old", "keys.rotate", _rotated),
    Step("sign and verify", "keys.sign", _signed),
)
"""Each works on what the one before has left."""


def _disabled(bridge: Bridge, _: str) -> None:
    bridge.secrets.set("demo/disabled", "x")
    bridge.secrets.update("demo/disabled", enabled=False)
    bridge.secrets.get("demo/disabled")


def _deleted(bridge: Bridge, _: str) -> None:
    bridge.secrets.set("demo/deleted", "x")
    bridge.secrets.delete("demo/deleted")
    bridge.secrets.set("demo/deleted", "y")


def _exists(bridge: Bridge, _: str) -> None:
    bridge.secrets.set("demo/there", "x")
    bridge.secrets.set("demo/there", "y", if_absent=True)


def _version(bridge: Bridge, _: str) -> None:
    bridge.secrets.set("demo/there", "x")
    bridge.secrets.get("demo/there", "0" * 32)


def _too_large(bridge: Bridge, _: str) -> None:
    bridge.secrets.set("demo/large", "x" * (bridge.capabilities.secrets.max_value + 1))


def _closed(_: Bridge, profile: str) -> None:
    bridge = connect(profile, SECONDS)
    bridge.close()
    bridge.secrets.get("demo/there")


def _wrong_context(bridge: Bridge, _: str) -> None:
    bridge.keys.unseal(KEY, _sealed(bridge), context={"tenant": "another"})


def _foreign(bridge: Bridge, _: str) -> None:
    bridge.keys.unseal("demo-other", _sealed(bridge), context=CONTEXT)


def _disabled_key(bridge: Bridge, _: str) -> None:
    sealed = _sealed(bridge)
    bridge.keys.disable(KEY)
    bridge.keys.unseal(KEY, sealed, context=CONTEXT)


MISTAKES = (
    Mistake("missing secret", Code.NOT_FOUND, "secrets.get", lambda bridge, _: bridge.secrets.get("demo/missing")),
    Mistake("wrong version", Code.VERSION_NOT_FOUND, "secrets.get_version", _version),
    Mistake("disabled version", Code.DISABLED, "secrets.enabled", _disabled),
    Mistake("exists already", Code.ALREADY_EXISTS, "secrets.if_absent", _exists),
    Mistake("deleted, recoverable", Code.DELETED_BUT_RECOVERABLE, "secrets.delete", _deleted),
    Mistake("bad name", Code.INVALID_ARGUMENT, "secrets.get", lambda bridge, _: bridge.secrets.get("Demo//Password")),
    Mistake("too large", Code.PAYLOAD_TOO_LARGE, "secrets.set", _too_large),
    Mistake("no time", Code.TIMEOUT, "secrets.get", lambda bridge, _: bridge.secrets.get("demo/there", timeout=1e-9)),
    Mistake("closed bridge", Code.WRONG_STATE, "secrets.get", _closed),
    Mistake("unknown scheme", Code.INVALID_ARGUMENT, "secrets.get",
            lambda _, profile: connect(f"no-{profile}:", SECONDS)),
    Mistake("missing key", Code.NOT_FOUND, "keys.get", lambda bridge, _: bridge.keys.get("demo-missing")),
    Mistake("wrong context", Code.DECRYPTION_FAILED, "keys.wrap", _wrong_context),
    Mistake("envelope of another key", Code.INVALID_ARGUMENT, "keys.unwrap", _foreign),
    Mistake("disabled key", Code.DISABLED, "keys.disable", _disabled_key),
)

INCIDENTS = (
    Incident("the account's customer-managed key is revoked", "azure-cosmos", {"key": "revoked"},
             Code.KEY_ACCESS_REVOKED),
)
