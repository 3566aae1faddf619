"""The AccessKeys of this process: one store per identity, for all regions, threads and event loops.

An AccessKey comes from a credential of alibabacloud-credentials, which renews what is
temporary long before it expires. It is asked once a minute, however many calls there are,
and again when the service refuses what it gave. It blocks, so under asyncio it works in a
thread; it makes its own connections, with its own time limits.
"""

from __future__ import annotations

import os
import time
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from kmsbridge._decode import CODE, Answer, Phase, Refused, copied
from kmsbridge._errors import Identity
from kmsbridge._held import Held, Kept, Stores, abandon
from kmsbridge._runtime import NotStarted
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
        self._held: Held[str, AccessKey] = Held(lambda key: key)
        self._source: Callable[[], AccessKey] | None = None

    def after_fork(self) -> None:
        """In a forked child: leave the parent's credential and locks alone."""
        abandon(self._source)
        self._source = None
        self._held.after_fork()

    async def get(self, runtime: Runtime, call: Call) -> AccessKey:
        """An AccessKey, fetched by us or by who asked first.

        Raises:
            Refused: None is to be had, or not in time.
        """
        try:
            return await self._held.get(runtime, "key", partial(self._fetched, runtime, call), call.time_left)
        except TimeoutError:
            pass
        raise _none(TimeoutError("waiting for an AccessKey"))

    async def _fetched(self, runtime: Runtime, call: Call) -> Kept[AccessKey] | None:
        failure: Exception
        try:
            key = await runtime.in_thread(self._ask, call.time_left())
        except NotStarted:
            return None
        except Exception as error:
            failure = error
        else:
            return Kept(key, time.time() + ASK_EVERY)
        raise _none(failure)

    def _ask(self) -> AccessKey:
        source, self._source = self._source or _source(self._identity), None
        key = source()
        self._source = source  # one that fails is made anew: what it was made of may have changed
        return key

    def refuse(self, key: AccessKey) -> None:
        """Note that the service does not take this one."""
        self._held.refuse(key)

    def renew(self) -> bool:
        """Drop the refused one, and what would give it again; True if there was one."""
        return self._held.renew(self._dropped)

    def _dropped(self) -> None:
        if isinstance(self._identity, Login):
            self._source = None


def _none(failure: Exception) -> Refused:
    """There is none, so KMS was not asked."""
    return Refused(Answer(phase=Phase.BEFORE_SEND, exception=failure, door=_findings.CREDENTIAL))


_STORES: Stores[Login | Given, AccessKeys] = Stores(AccessKeys, Given)


def access_keys_of(identity: Login | Given) -> AccessKeys:
    """The AccessKeys of an identity; of a credential that was given, as long as a driver uses it."""
    return _STORES.of(identity)


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
