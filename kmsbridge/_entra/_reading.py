"""What an answer of a token source says: Microsoft Entra, a managed identity's endpoint, azure-identity.

Token endpoints answer ``{"error": "invalid_client", "error_description": "AADSTS7000215: ..."}``
(RFC 6749, 5.2). What azure-identity raises holds the same words, or those of what broke.
"""

from __future__ import annotations

import re

from kmsbridge._decode import MAX_BODY, Answer, Reading, member, request_ids
from kmsbridge._entra._azure_core import told
from kmsbridge._errors import Identity

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_SAYS = 4 * 1024
"""Characters of words that patterns are tried on: every pattern reads all of them."""
GUID = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_NUMBER = re.compile(r"\bAADSTS\d{4,8}\b")
_TRACE = re.compile(rf"\b(Trace ID|Correlation ID): {GUID}", re.IGNORECASE)
_APPLICATION = re.compile(rf"identifier '{GUID}' was not found in the directory '{GUID}'", re.IGNORECASE)


def read(answer: Answer) -> Reading:
    """Everything that it says; of one that ended in an exception, what that says."""
    codes: list[str] = []
    said = [answer.text]
    body = answer.json()
    if isinstance(body, dict) and isinstance(error := member(body, "error"), str):
        codes, words = refusal(error, body)
        said += words
    elif answer.body and (answer.status or 0) >= 400:
        said.append(answer.body[:MAX_BODY].decode("utf-8", "replace"))
    if answer.exception is not None and (answer.status is None or answer.status < 300):
        said.append(told(answer.exception))
    says = plain(said)
    codes += [number for number in _NUMBER.findall(says)[-1:] if number not in codes]  # the last is what others wrap
    return Reading(
        tuple(codes), says=says, request_ids={**traces(says), **request_ids(answer)}, identity=application(says)
    )


def refusal(error: str, body: Mapping[str, object]) -> tuple[list[str], list[str]]:
    """The codes and the words of a token endpoint's answer whose ``error`` is this."""
    words = [text for text in (member(body, "error_description"), member(body, "message")) if isinstance(text, str)]
    numbers = member(body, "error_codes")
    if not words and isinstance(numbers, list):
        words = [f"AADSTS{number}" for number in numbers[:8] if isinstance(number, int)]
    return [error], words


def plain(words: list[str]) -> str:
    """Words on one line, each blank a single one, so that a pattern need not care."""
    says = " ".join(words)
    if len(says) > MAX_SAYS:
        says = f"{says[: MAX_SAYS * 3 // 4]} {says[-MAX_SAYS // 4 :]}"
    return " ".join(says.split())


def traces(says: str) -> dict[str, str]:
    """The request ids that Microsoft Entra puts into its words."""
    if "Trace ID" not in says:
        return {}
    found: dict[str, str] = {}
    for name, value in _TRACE.findall(says)[:4]:
        found.setdefault(name.lower().replace(" ", "-"), value)
    return found


def application(says: str) -> Identity | None:
    """The application that the tenant does not know, by ids alone."""
    if "identifier" not in says or (found := _APPLICATION.search(says)) is None:
        return None
    return Identity(application=found[1], tenant=found[2])
