"""What azure-core and azure-identity raise: the answer that an exception hides, what it says, what that means.

Their classes are known by their names, so that nothing of them need be imported.
"""

from __future__ import annotations

import re

from kmsbridge._broken_connections import BROKEN_CONNECTIONS
from kmsbridge._decode import MAX_BODY, Answer, Phase, Rule, chain
from kmsbridge._errors import Code, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

IDENTITY = "identity"
"""The door of what a token source answered, for `Answer`: the backend itself was not asked."""

AZURE_CORE: tuple[Rule, ...] = (
    # BearerTokenCredentialPolicy, and the challenge policies of SDKs
    Rule(None, Code.INVALID_ARGUMENT, outcome=Outcome.NOT_SENT,
         says=r"authentication is not permitted for non.?TLS|URL must not contain backslashes",
         sentence="the address is not an https address", remediation="Use an https address."),
    *BROKEN_CONNECTIONS,
    # It does not tell what was not sent: under asyncio a connection lost after sending is one as well.
    Rule(None, Code.NETWORK_ERROR, outcome=Outcome.UNKNOWN, says=r"\bServiceRequestError\b|max retries exceeded"),
)  # fmt: skip
"""Failures below HTTP, as azure-core and what is under it print them: tried where nothing else says what happened."""

_MAX_SAID = 16 * 1024
_SPEAKERS = ("azure.", "requests.", "urllib3.", "aiohttp.", "msal.", "ssl", "socket")
"""Packages whose exceptions say what went wrong below HTTP."""
_TENANT = re.compile(r"Invalid tenant ID ")
"""How the ValueErrors of azure-identity begin that hold nothing of anybody's."""
_TOKEN_ENDPOINT = re.compile(r"/oauth2/|/metadata/identity|/msi/token|://login\.|://169\.254\.169\.254", re.IGNORECASE)


def answer_of(failure: Exception) -> Answer:
    """The raw answer inside an exception of the SDK, or how far the request got."""
    response = _of(failure, "response")
    names = {kind.__name__ for kind in type(failure).__mro__}
    status = _of(response, "status_code")
    if isinstance(status, int) and not isinstance(status, bool):
        asked = _of(_of(response, "request"), "url")
        foreign = isinstance(asked, str) and _TOKEN_ENDPOINT.search(asked) is not None
        return Answer(
            status,
            _headers(_of(response, "headers")),
            _body(response),
            Phase.BEFORE_SEND if foreign else Phase.BODY,
            failure,
            door=IDENTITY if foreign else None,
        )
    if "ClientAuthenticationError" in names:  # azure-identity: no token, so the backend was not asked
        return Answer(phase=Phase.BEFORE_SEND, exception=failure, door=IDENTITY)
    return Answer(phase=Phase.SENT, exception=failure)


def told(exception: BaseException, harmless: re.Pattern[str] = _TENANT) -> str:
    """An exception and its causes, as the last lines of their tracebacks show them.

    Of exceptions that may hold anything, which is all but those of the SDK, its transports
    and the operating system, the name alone; and of ValueErrors those that begin as `harmless` says.
    """
    lines: list[str] = []
    for link in chain(exception):
        kind = type(link)
        line = kind.__name__
        if isinstance(link, OSError) or kind.__module__.startswith(_SPEAKERS):
            line = f"{line}: {_text(link)}"
        elif isinstance(link, ValueError) and harmless.match(said := _text(link)):
            line = f"{line}: {said}"
        lines.append(line[:_MAX_SAID])
    return "\n".join(lines)


def _text(link: BaseException) -> str:
    message = _of(link, "message")
    if isinstance(message, str):  # HttpResponseError's str() may append a body
        return message
    try:
        return str(link)
    except Exception:  # an SDK's exception may do anything when it is printed
        return ""


def _of(thing: object, name: str) -> object:
    """An attribute, if it is there and can be had."""
    try:
        return getattr(thing, name, None)
    except Exception:  # azure-core's properties raise, for a body that was not read
        return None


def _headers(headers: object) -> tuple[tuple[str, str], ...]:
    try:
        pairs: Mapping[str, str] = headers  # type: ignore[assignment]  # whatever class the transport has
        return tuple((str(name), str(value)) for name, value in pairs.items())
    except Exception:  # no mapping, then
        return ()


def _body(response: object) -> bytes:
    """The body's bytes: an attribute of azure-core's new responses, a method of the old ones."""
    content = _of(response, "content")
    if not isinstance(content, bytes):
        read: Callable[[], object] | object = _of(response, "body")
        try:
            content = read() if callable(read) else b""
        except Exception:  # a stream that broke
            content = b""
    return content[:MAX_BODY] if isinstance(content, bytes) else b""
