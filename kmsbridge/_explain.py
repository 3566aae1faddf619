"""The offline door to the decoders: an answer from a log in, the error it stands for out.

Needs no SDK and makes no call: of a provider only its decoder is used. What cannot be
read is answered too, by an ``invalid_argument`` that names the member at fault, so that
line n out always belongs to line n in.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import cast

from kmsbridge._decode import MAX_BODY, Answer, Decoder, copied
from kmsbridge._errors import FieldError, InvalidRequestError, Outcome

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, BinaryIO, NoReturn

    from kmsbridge._errors import KMSError

MAX_LINE = 32 * 1024 * 1024
"""Bytes of one line of input; what is longer is answered without being read as JSON."""

_PROVIDER = re.compile(r"[a-z][a-z0-9-]*")
_NOT_INSTALLED = "no provider of this name is installed; read by the HTTP status alone"
_WHAT_IT_TAKES = (
    "Give a JSON object with any of: provider, http_status, headers, body or body_base64, text, door, sub_status."
)


def explain(record: Mapping[str, object]) -> dict[str, Any]:
    """What an answer means, as `KMSError.to_dict` has it. Total: anything gives a result.

    Args:
        record: Any of ``provider`` (a scheme such as ``azure-keyvault``), ``http_status``,
            ``headers`` (an object of texts or lists of texts, or a list of pairs), ``body``
            or ``body_base64``, ``text`` (what an SDK printed), ``door`` and ``sub_status``.
            None counts as absent; other members are ignored.
    """
    return explained(record).to_dict()


def explained(record: object) -> KMSError:
    """The error itself; see `explain`."""
    if not isinstance(record, Mapping):
        return _refused("the input is not a JSON object")
    members = _Members(record)
    answer = members.answer()
    provider = members.text("provider")
    if members.wrong:
        return _refused("the input has members of the wrong kind", *members.wrong)
    if not provider:
        return Decoder(None).decode(answer)
    name = copied(provider, _PROVIDER)
    decoder, reason = (None, _NOT_INSTALLED) if name is None else _decoder_of(name)
    if decoder is not None:
        try:
            return decoder.decode(answer)
        except Exception:  # a decoder of a third party may break the law that ours are tested for
            reason = "the decoder of this provider failed; read by the HTTP status alone"
    error = Decoder(name).decode(answer)
    error.fields = (*error.fields, FieldError("provider", reason))
    return error


@lru_cache(maxsize=256)
def _decoder_of(provider: str) -> tuple[Decoder | None, str]:
    """The decoder of a provider, or why there is none. Remembered: a miss reads all installed metadata."""
    from kmsbridge._registry import provider_for

    try:
        decoder: object = provider_for(provider).decoder
    except InvalidRequestError:
        return None, _NOT_INSTALLED
    except Exception:  # a module of that name that is broken, or is no provider
        decoder = None
    if isinstance(decoder, Decoder):
        return decoder, ""
    return None, "this provider cannot be loaded; read by the HTTP status alone"


class _Members:
    """The members of one input object; remembers which are wrong."""

    def __init__(self, record: Mapping[str, object]) -> None:
        self._record = record
        self.wrong: list[FieldError] = []

    def answer(self) -> Answer:
        headers = self._headers()
        sub_status = self._sub_status()
        if sub_status is not None and not any(name.lower() == "x-ms-substatus" for name, _ in headers):
            headers.append(("x-ms-substatus", sub_status))
        text = self.text("text")[:MAX_BODY]
        return Answer(self._status(), headers, self._body(), text=text, door=self.text("door") or None)

    def text(self, name: str) -> str:
        value = self._record.get(name)
        if value is None or isinstance(value, str):
            return value or ""
        self._refuse(name, "must be text")
        return ""

    def _status(self) -> int | None:
        status = self._record.get("http_status")
        if status is None or (_is_int(status) and 0 <= cast("int", status) <= 999):
            return cast("int | None", status)
        self._refuse("http_status", "must be a whole number from 0 to 999")
        return None

    def _sub_status(self) -> str | None:
        value = self._record.get("sub_status")
        if value is None or isinstance(value, str):
            return value
        if _is_int(value) and 0 <= cast("int", value) <= 999_999:
            return str(value)
        self._refuse("sub_status", "must be a whole number from 0 to 999999, or text")
        return None

    def _headers(self) -> list[tuple[str, str]]:
        given = self._record.get("headers")
        pairs: list[tuple[str, str]] = []
        items: list[object] = []
        wrong = False
        if isinstance(given, Mapping):
            items.extend(given.items())
        elif isinstance(given, list):
            items = given
        else:
            wrong = given is not None
        for item in items:
            name, values = item if isinstance(item, list | tuple) and len(item) == 2 else (None, None)
            for value in values if isinstance(values, list) else [values]:
                if isinstance(name, str) and isinstance(value, str):
                    pairs.append((name, value))
                elif not isinstance(name, str) or value is not None:
                    wrong = True
        if wrong:
            self._refuse("headers", "must be an object of texts or lists of texts, or a list of pairs of texts")
        return pairs

    def _body(self) -> bytes:
        encoded = self._record.get("body_base64")
        if encoded is None:
            return self.text("body").encode("utf-8", "surrogatepass")
        if self._record.get("body") is not None:
            self._refuse("body_base64", "must not be given beside body")
        elif isinstance(encoded, str):
            from base64 import b64decode

            try:
                return b64decode(encoded, validate=True)
            except ValueError:
                pass
            self._refuse("body_base64", "must be Base64")
        else:
            self._refuse("body_base64", "must be text")
        return b""

    def _refuse(self, name: str, reason: str) -> None:
        self.wrong.append(FieldError(name, reason))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _refused(message: str, *wrong: FieldError) -> KMSError:
    """The input, not the answer, is wrong: ``operation`` tells the two apart."""
    if wrong:
        message = "; ".join(f"{field.path} {field.reason}" for field in wrong)
    return InvalidRequestError(
        message, operation="explain", outcome=Outcome.NOT_SENT, fields=wrong, remediation=_WHAT_IT_TAKES
    )


# -- a line at a time -------------------------------------------------------------------


def explain_lines(source: BinaryIO) -> Iterator[str]:
    """For each line of JSON one line of JSON, in order, as soon as it is there.

    A blank line is a line: it is answered as no JSON object. The end of the last line
    begins no further one.
    """
    while line := source.readline(MAX_LINE + 1):
        if len(line) <= MAX_LINE:
            error = _explained_line(line)
        else:
            error = _refused(f"the line has more than {MAX_LINE} bytes")
            while line and not line.endswith(b"\n"):
                line = source.readline(MAX_LINE)
        yield json.dumps(error.to_dict())


def _explained_line(line: bytes) -> KMSError:
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return _refused("the line is not UTF-8 text; what is not can be given as body_base64")
    try:
        record = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):  # also a number of thousands of digits
        return _refused("the line is not JSON")
    return explained(record)


def _no_constant(_: str) -> NoReturn:
    """NaN and Infinity are not JSON."""
    raise ValueError
