"""The AccessKeys of this process: one store per identity, for all regions, threads and event loops.

An AccessKey comes from a credential of alibabacloud-credentials, which renews what is
temporary long before it expires. It is asked once a minute, however many calls there are,
and again when the service refuses what it gave. It blocks, so under asyncio it works in a
thread; it makes its own connections, with its own time limits.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple, cast
from weakref import WeakSet, WeakValueDictionary

from kmsbridge._decode import CODE, Answer, Phase, Refused, copied
from kmsbridge._errors import Identity
from kmsbridge._runtime import NotStarted, SingleFlight
from kmsbridge_alibaba_kms import _findings
from kmsbridge_alibaba_kms._config import Given, Login
from kmsbridge_alibaba_kms._logs import silenced

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime

ASK_EVERY = 60.0
"""Seconds; the credentials of the SDK renew themselves 180 s and more before they expire."""


class AccessKey(NamedTuple):
    """What a request is signed with."""

    id: str
    secret: str
    token: str | None
    """The security token (STS) of a temporary one."""
    who: Identity

    def __repr__(self) -> str:
        return "<AccessKey, not shown>"


class AccessKeys:
    """The AccessKeys of one identity.

    Args:
        identity: Who asks for them.
    """

    def __init__(self, identity: Login | Given) -> None:
        self._identity = identity
        self._held: tuple[AccessKey, float] | None = None
        self._source: Callable[[], AccessKey] | None = None
        self._refused: AccessKey | None = None
        self._flights: SingleFlight[str, AccessKey] = SingleFlight()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's credential and locks alone."""
        _ABANDONED.append((self._source, self._flights))
        self._source, self._flights = None, SingleFlight()

    async def get(self, runtime: Runtime, call: Call) -> AccessKey:
        """An AccessKey, fetched by us or by who asked first.

        Raises:
            Refused: None is to be had, or not in time.
        """
        held = self._held
        if held is None or time.monotonic() >= held[1]:
            return await self._flown(runtime, call)
        return held[0]

    async def _flown(self, runtime: Runtime, call: Call) -> AccessKey:
        try:
            return await self._flights.do(runtime, "key", partial(self._fetched, runtime, call), call.time_left)
        except TimeoutError:
            pass
        raise _none(TimeoutError("waiting for an AccessKey"))

    async def _fetched(self, runtime: Runtime, call: Call) -> AccessKey:
        held = self._held
        if held is not None and time.monotonic() < held[1]:
            return held[0]  # somebody was faster than our look at what is held
        failure: Exception
        try:
            key = await runtime.in_thread(self._ask, call.time_left())
        except NotStarted:
            raise
        except Exception as error:
            failure = error
        else:
            self._held = (key, time.monotonic() + ASK_EVERY)
            return key
        raise _none(failure)

    def _ask(self) -> AccessKey:
        source = self._source = self._source or _source(self._identity)
        return source()

    def refuse(self, key: AccessKey) -> None:
        """Note that the service does not take this one."""
        self._refused = key

    def renew(self) -> bool:
        """Drop the refused one, and what would give it again; True if there was one."""
        refused, held = self._refused, self._held
        if refused is not None and held is not None and held[0] == refused:
            self._held = None
            if isinstance(self._identity, Login):
                self._source = None
        return refused is not None


def _none(failure: Exception) -> Refused:
    """There is none, so KMS was not asked."""
    return Refused(Answer(phase=Phase.BEFORE_SEND, exception=failure, door=_findings.CREDENTIAL))


_LOCK = threading.Lock()
_BY_LOGIN: dict[Login, AccessKeys] = {}
_BY_OBJECT: WeakValueDictionary[Given, AccessKeys] = WeakValueDictionary()
_ALL: WeakSet[AccessKeys] = WeakSet()
_ABANDONED: list[object] = []
"""What belongs to the parent of this process: neither used nor closed here."""


def access_keys_of(identity: Login | Given) -> AccessKeys:
    """The AccessKeys of an identity; of a credential that was given, as long as a driver uses it."""
    known = cast("dict[Login | Given, AccessKeys]", _BY_OBJECT if isinstance(identity, Given) else _BY_LOGIN)
    with _LOCK:
        found = known.get(identity)
        if found is None:
            found = known[identity] = AccessKeys(identity)
            _ALL.add(found)
        return found


def _after_fork() -> None:
    global _LOCK  # noqa: PLW0603 - another thread may have held it
    _LOCK = threading.Lock()
    for keys in list(_ALL):
        keys.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# -- where they come from ---------------------------------------------------------------


def _source(identity: Login | Given) -> Callable[[], AccessKey]:
    with silenced():
        provider: Any = import_module("alibabacloud_credentials.provider")
    if isinstance(identity, Given):
        return partial(_asked, identity.credential)
    kind, arn, role = identity
    if kind == "environment" or (kind == "default" and _environment() is not None):
        return _from_environment
    if kind == "role":
        key = _from_environment()
        return partial(_asked, provider.RamRoleArnCredentialsProvider(
            access_key_id=key.id, access_key_secret=key.secret, security_token=key.token,
            role_arn=arn, role_session_name="kmsbridge",
        ))  # fmt: skip
    makers: dict[str, Callable[[], object]] = {
        "default": provider.DefaultCredentialsProvider,
        "workload-identity": lambda: provider.OIDCRoleArnCredentialsProvider(
            role_arn=arn or os.environ.get("ALIBABA_CLOUD_ROLE_ARN"),
            oidc_provider_arn=os.environ.get("ALIBABA_CLOUD_OIDC_PROVIDER_ARN"),
            oidc_token_file_path=os.environ.get("ALIBABA_CLOUD_OIDC_TOKEN_FILE"),
            role_session_name=os.environ.get("ALIBABA_CLOUD_ROLE_SESSION_NAME", "kmsbridge"),
        ),
        "managed-identity": lambda: provider.EcsRamRoleCredentialsProvider(role_name=role),
        "cli": provider.CLIProfileCredentialsProvider,
    }
    return partial(_asked, makers[kind]())


def _asked(credential: Any) -> AccessKey:
    """What a credential or provider of the SDK gives, if it is an AccessKey."""
    if hasattr(credential, "get_credential"):
        given = credential.get_credential()
        found = (given.access_key_id, given.access_key_secret, given.security_token, given.provider_name)
    else:
        given = credential.get_credentials()
        found = (
            given.get_access_key_id(), given.get_access_key_secret(), given.get_security_token(),
            given.get_provider_name(),
        )  # fmt: skip
    id_, secret, token, name = found
    if not (isinstance(id_, str) and id_ and isinstance(secret, str) and secret):
        raise NoAccessKey("the credential gave no AccessKey")
    who = Identity(credential=copied(name or type(credential).__name__, CODE))
    return AccessKey(id_.strip(), secret.strip(), token or None, who)


class NoAccessKey(Exception):
    """A source that has none."""


def _environment() -> tuple[str, str, str | None] | None:
    names = ("ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN")
    id_, secret, token = (os.environ.get(name, "").strip() for name in names)
    return (id_, secret, token or None) if id_ and secret else None


def _from_environment() -> AccessKey:
    """Read anew each time: the SDK reads these variables once, when it is imported."""
    if (found := _environment()) is None:
        raise NoAccessKey("ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET are not set")
    return AccessKey(*found, Identity(credential="environment"))
