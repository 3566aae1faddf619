"""Answers that no service should give, and some give: the same for every backend, made of an error of its own."""

from __future__ import annotations

import gzip
import re

from kmsbridge.emulation import Answer, Garbage

JSON = (("Content-Type", "application/json"),)
Headers = tuple[tuple[str, str], ...]


def refusal(body: bytes, *headers: tuple[str, str], status: int = 403) -> Answer:
    """An error answer, as JSON unless its headers say otherwise."""
    return Answer(status, headers or JSON, body)


def raw(head: bytes, body: bytes = b"", length: int | None = None) -> Garbage:
    """An answer in the bytes of HTTP, of a length that may be a lie.

    Args:
        head: Status and headers.
        body: What follows.
        length: What is said of it; None for the truth.
    """
    size = len(body) if length is None else length
    return Garbage(b"HTTP/1.1 " + head + b"\r\nContent-Length: " + str(size).encode() + b"\r\n\r\n" + body)


def bad_answers(error: bytes, headers: Headers = JSON) -> dict[str, Answer]:
    """Bad answers by what is wrong with them; those of status 2xx are no success.

    Args:
        error: A refusal of the backend, as JSON with a member "code" in either case, whose message is "m".
        headers: What each of its answers in JSON has.
    """
    code = re.search(rb'"code":', error, re.IGNORECASE)
    assert code is not None
    assert b'"m"' in error

    def json(body: bytes, *more: tuple[str, str], status: int = 403) -> Answer:
        return Answer(status, (*headers, *more), body)

    def saying(message: bytes) -> Answer:
        return json(error.replace(b'"m"', message))

    return {
        "empty": json(b""),
        "a page": refusal(b"<html><h1>403 Forbidden</h1></html>", ("Content-Type", "text/html")),
        "a page labelled JSON": json(b"<html></html>"),
        "truncated JSON": json(error[:20]),
        "null": json(b"null"),
        "a list": json(b"[]"),
        "a string": json(b'"no"'),
        "a number": json(b"42"),
        "no UTF-8": saying(b'"\xff\xfe"'),
        "UTF-16": json(error.decode().encode("utf-16")),
        "a BOM": json(b"\xef\xbb\xbf" + error),
        "half a surrogate pair": saying(b'"\\ud800"'),
        "a member twice": json(error.replace(code[0], code[0] + b'"A",' + code[0], 1)),
        "NaN": saying(b"NaN"),
        "100,000 brackets": json(b"[" * 100_000),
        "2,000 levels": saying(b'{"m":' * 2_000 + b"1" + b"}" * 2_000),
        "8 MB": saying(b'"' + b"x" * (8 << 20) + b'"'),
        "a charset that is none": refusal(error, ("Content-Type", "application/json; charset=no-such")),
        "no content type": refusal(error, ("X-None", "1")),
        "gzip label, plain body": json(error, ("Content-Encoding", "gzip")),
        "a gzip bomb": json(gzip.compress(bytes(50 << 20)), ("Content-Encoding", "gzip")),
        "Retry-After garbage": json(error, ("Retry-After", "soon"), status=429),
        "Retry-After negative": json(error, ("Retry-After", "-5"), status=429),
        "Retry-After of 30 years": json(error, ("Retry-After", "1000000000"), status=429),
        "1,000 headers": refusal(b"", *((f"X-{number}", "y") for number in range(1000))),
        "a redirect to itself": refusal(b"", ("Location", "/"), status=302),
        "304 to who knows nothing": json(b"", status=304),
        "status 999": json(error, status=999),
        "status 204": Answer(204),
        "success, empty": Answer(200, headers),
        "success, a page": Answer(200, (("Content-Type", "text/html"),), b"<html>login</html>"),
        "success, null": Answer(200, headers, b"null"),
        "success, a list": Answer(200, headers, b"[]"),
        "success, {}": Answer(200, headers, b"{}"),
    }
