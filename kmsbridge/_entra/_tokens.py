"""The tokens of this process: one set per identity, for all providers, threads and event loops.

In a forked child what makes them is made anew, with its connections and locks.
"""

from __future__ import annotations

import base64
import json
import logging
import math
import threading
import time
from functools import partial
from typing import Any, NamedTuple

from kmsbridge._decode import CODE, Answer, Phase, Refused, copied
from kmsbridge._entra._azure_core import IDENTITY
from kmsbridge._entra._credentials import Source
from kmsbridge._entra._errors import decoder
from kmsbridge._entra._login import Given
from kmsbridge._errors import Identity
from kmsbridge._held import Held, Kept, Stores, abandon
from kmsbridge._wire._request import time_left

TYPE_CHECKING = False
if TYPE_CHECKING:
    from azure.core.credentials import AccessTokenInfo, TokenRequestOptions

    from kmsbridge._entra._credentials import Fetched, Try
    from kmsbridge._entra._login import Login
    from kmsbridge._runtime import Runtime

REFRESH_BEFORE = 300
"""Seconds of a token's life in which another is fetched: as the SDK has it, which asks again then."""
TRY_AGAIN_AFTER = 30
"""Seconds between two tries to replace a token that is still good."""

_Key = tuple[tuple[str, ...], str | None, str | None, bool]
"""Scopes, tenant, claims, and whether the token may be revoked before its time."""


class Issued(NamedTuple):
    """A token, and whom it is for."""

    token: AccessTokenInfo
    who: Identity

    def __repr__(self) -> str:
        return "<a token, not shown>"


class Tokens:
    """The tokens of one identity.

    Args:
        identity: Who asks for them.
    """

    def __init__(self, identity: Login | Given) -> None:
        self._identity = identity
        self._held: Held[_Key, Issued] = Held(lambda issued: issued.token.token)
        self._source: Source | None = None
        self._lock = threading.Lock()

    def after_fork(self) -> None:
        """In a forked child: leave the parent's credential and locks alone."""
        abandon(self._source, self._lock)
        self._held.after_fork()
        self._lock = threading.Lock()
        if not isinstance(self._identity, Given):
            self._source = None

    async def get(self, runtime: Runtime, scopes: tuple[str, ...], options: TokenRequestOptions) -> Issued:
        """A token, fetched by us or by who asked first.

        Raises:
            Refused: None is to be had, or not in time.
        """
        key: _Key = (
            scopes, options.get("tenant_id") or None, options.get("claims") or None, bool(options.get("enable_cae")),
        )  # fmt: skip
        try:
            return await self._held.get(runtime, key, partial(self._fetched, runtime, key), _left)
        except TimeoutError:
            pass
        late = TimeoutError("the time for the call was over before there was a token")
        raise Refused(Answer(phase=Phase.BEFORE_SEND, exception=late, door=IDENTITY))

    async def _fetched(self, runtime: Runtime, key: _Key) -> Kept[Issued] | None:
        scopes, tenant, claims, revocable = key
        options = request_options(claims, tenant, revocable)
        old = self._held.kept.get(key)
        with self._lock:
            source = self._source = self._source or Source(self._identity)
        try:
            fetched = await source.fetch(runtime, scopes, options)
        except Refused:
            if old is not None and old.value.token.expires_on - time.time() > TRY_AGAIN_AFTER:
                return old._replace(again=time.time() + TRY_AGAIN_AFTER)
            if time_left() <= 0:
                return None
            raise
        token = fetched.token
        again = float(token.refresh_on or math.inf)
        made = Kept(Issued(token, _who(fetched)), min(again, token.expires_on - REFRESH_BEFORE))
        for each, kept in list(self._held.kept.items()):  # claims come and go
            if kept.value.token.expires_on <= time.time():
                self._held.kept.pop(each, None)
        if claims is not None:  # what was asked for with claims replaces what was revoked for the lack of them
            self._held.kept[scopes, tenant, None, revocable] = made
        _tell(made.value.who, fetched.earlier)
        return made

    def refuse(self, authorization: str | None) -> None:
        """Note that the service does not take the token in this header."""
        if token := (authorization or "").partition(" ")[2]:
            self._held.refuse(token)

    def renew(self) -> bool:
        """Drop the refused tokens, and what would give them again; True if there was one."""
        return self._held.renew(self._dropped)

    def _dropped(self) -> None:
        with self._lock:
            if self._source is not None and self._source.renewable:
                self._source = None


STORES: Stores[Login | Given, Tokens] = Stores(Tokens, Given)


def tokens_of(identity: Login | Given) -> Tokens:
    """The tokens of an identity; of a credential that was given, as long as a driver uses it."""
    return STORES.of(identity)


# -- what is told of a token ------------------------------------------------------------


def _who(fetched: Fetched) -> Identity:
    """By the claims of a token, which are the service's to check; a token may also be none that can be read."""
    claims: dict[str, Any] = {}
    payload = fetched.token.token.partition(".")[2].partition(".")[0]
    try:
        found = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict):
        claims = found
    application = claims.get("appid", claims.get("azp"))
    told = (fetched.credential, claims.get("tid"), application, claims.get("oid"))
    return Identity(*[copied(each, CODE) for each in told])


def _tell(who: Identity, earlier: tuple[Try, ...]) -> None:
    log = logging.getLogger("kmsbridge")
    if not log.isEnabledFor(logging.INFO):
        return
    passed = "".join(f"; not from {each.name}: {decoder.decode(each.as_answer()).message}" for each in earlier)
    log.info(
        "new token from %s (tenant %s, application %s, object %s)%s",
        who.credential, who.tenant, who.application, who.object_id, passed,
    )  # fmt: skip


def _left() -> float | None:
    left = time_left()
    return None if left == math.inf else max(left, 0.0)


def request_options(claims: str | None, tenant: str | None, revocable: bool) -> TokenRequestOptions:
    """What is asked for beside the scopes, without what is not."""
    options: TokenRequestOptions = {"enable_cae": revocable}
    if tenant:
        options["tenant_id"] = tenant
    if claims:
        options["claims"] = claims
    return options
