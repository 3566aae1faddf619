"""The tokens that requests show: one that was given, or those that a client's credentials are exchanged for."""

from __future__ import annotations

import base64
import math
import re
import time
from functools import partial
from typing import NamedTuple
from urllib.parse import quote, urlencode

from kmsbridge._decode import CODE, Answer, Phase, Refused, copied
from kmsbridge._errors import Identity
from kmsbridge._held import Held, Kept, Stores
from kmsbridge_scaivault._config import Client, Token
from kmsbridge_scaivault._findings import TOKEN

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._runtime import Runtime
    from kmsbridge._wire._blocking import Wire
    from kmsbridge._wire._loop import AsyncWire

REFRESH_BEFORE = 300.0
"""Seconds of a token's life in which another is fetched; of a short life, the last tenth."""
TRY_AGAIN_AFTER = 30.0
"""Seconds between two tries to replace a token that is still good."""
LIFE = 300.0
"""Seconds that a token counts on whose answer does not say how long it lives."""


MAX_LIFE = 365 * 86_400.0
"""Seconds; an answer that promises more is not believed."""


class Issued(NamedTuple):
    """A token, and when it ends, in seconds since 1970."""

    token: str
    ends: float

    def __repr__(self) -> str:
        return "<Issued, not shown>"


class Tokens:
    """The tokens of one identity.

    Args:
        identity: Who asks for them.
    """

    def __init__(self, identity: Token | Client) -> None:
        self._identity = identity
        self._held: Held[str, Issued] = Held(lambda issued: issued.token)
        if isinstance(identity, Token):
            self.who = Identity(credential="token")
            self._held.kept["token"] = Kept(Issued(identity.token, math.inf), math.inf)
        else:
            self.who = Identity(credential="client", application=copied(identity.id, CODE))

    def after_fork(self) -> None:
        """In a forked child: leave the parent's locks alone."""
        self._held.after_fork()

    async def get(self, runtime: Runtime, wire: Wire | AsyncWire, call: Call) -> Issued:
        """A token, fetched by us or by who asked first.

        Args:
            runtime: How to wait.
            wire: Sends the request for one.
            call: Whose time it takes.

        Raises:
            Refused: None is to be had, or not in time.
        """
        try:
            return await self._held.get(runtime, "token", partial(self._fetched, runtime, wire, call), call.time_left)
        except TimeoutError:
            pass
        late = TimeoutError("the time for the call was over before there was a token")
        raise Refused(Answer(phase=Phase.BEFORE_SEND, exception=late, door=TOKEN))

    async def _fetched(self, runtime: Runtime, wire: Wire | AsyncWire, call: Call) -> Kept[Issued] | None:
        assert isinstance(self._identity, Client)  # a token that was given is held for ever
        old = self._held.kept.get("token")
        try:
            return await _exchanged(self._identity, runtime, wire, call)
        except Refused as error:
            refused = error
        if old is not None and old.value.ends - time.time() > TRY_AGAIN_AFTER:
            return old._replace(again=time.time() + TRY_AGAIN_AFTER)
        try:
            call.time_left()
        except TimeoutError:
            return None
        raise refused

    def refuse(self, issued: Issued) -> None:
        """Note that the service does not take this one."""
        if isinstance(self._identity, Client):
            self._held.refuse(issued.token)

    def renew(self) -> bool:
        """Drop what was refused; True if another may be had."""
        return self._held.renew()


async def _exchanged(client: Client, runtime: Runtime, wire: Wire | AsyncWire, call: Call) -> Kept[Issued]:
    form = {"grant_type": "client_credentials", "scope": client.scope}
    headers = {
        "accept": "application/json",
        "content-type": "application/x-www-form-urlencoded",
        "user-agent": "kmsbridge",
    }
    if client.auth == "basic":  # RFC 6749, 2.3.1: each encoded as in a form
        login = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"
        headers["authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    else:
        form |= {"client_id": client.id, "client_secret": client.secret}
    asked = time.time()
    try:
        request = wire.request("POST", client.token_url, headers, urlencode(form).encode(), timeout=call.time_left())
        answer = await runtime.settle(request)
    except Refused as refused:
        answer = refused.answer
    else:
        if (kept := _issued(answer, asked)) is not None:
            return kept
    broken = answer.exception is not None and answer.status is not None and answer.status < 300
    raise Refused(answer._replace(phase=Phase.BEFORE_SEND, door=None if broken else TOKEN))


def _issued(answer: Answer, asked: float) -> Kept[Issued] | None:
    """The token in an answer; None where there is none."""
    found = answer.json() if answer.status is not None and 200 <= answer.status < 300 else None
    if not isinstance(found, dict):
        return None
    token, kind, life = found.get("access_token"), found.get("token_type", "Bearer"), found.get("expires_in")
    if not isinstance(token, str) or not re.fullmatch(r"[!-~]{1,16384}", token):
        return None
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return None
    seconds = LIFE
    if isinstance(life, int | float) and not isinstance(life, bool) and 0 < life <= MAX_LIFE:
        seconds = float(life)
    return Kept(Issued(token, asked + seconds), asked + seconds - min(REFRESH_BEFORE, seconds / 10))


_STORES: Stores[Token | Client, Tokens] = Stores(Tokens)


def tokens_of(identity: Token | Client) -> Tokens:
    """The tokens of an identity."""
    return _STORES.of(identity)
