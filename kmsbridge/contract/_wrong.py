"""What no backend takes: tables of wrong arguments, by what is wrong with them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

NAMES: Mapping[str, object] = {
    "empty": "",
    "upper case": "Some/Name",
    "two hyphens": "a--b",
    "hyphen first": "-a",
    "hyphen last": "a-",
    "slash last": "a/",
    "slash first": "/a",
    "two slashes": "a//b",
    "only a slash": "/",
    "101 characters": "a" * 101,
    "11 segments": "/".join("abcdefghijk"),
    "reserved first segment": "acs/x",
    "reserved alone": "acs",
    "one dot": ".",
    "two dots": "..",
    "dots inside": "a/../b",
    "underscore": "some_name",
    "blank": "some name",
    "blank last": "name ",
    "newline last": "name\n",
    "NUL": "a\0b",
    "CR LF": "a\r\nb",
    "emoji": "fire\N{FIRE}",
    "letter beyond ASCII": "zürich",
    "digit beyond ASCII": "\N{ARABIC-INDIC DIGIT FIVE}",
    "right-to-left mark": "a\N{RIGHT-TO-LEFT MARK}b",
    "percent": "a%2fb",
    "question mark": "a?b",
    "hash": "a#b",
    "backslash": "a\\b",
    "colon": "a:b",
    "nothing after native:": "native:",
    "NUL in a native name": "native:a\0b",
    "int": 5,
    "None": None,
    "bytes": b"name",
}
GOOD_NAMES = (
    "a",
    "0",
    "9-a",
    "a/acs",
    "acs-x",
    "acsx/y",
    "a-b/c-d/0",
    "a" * 100,
    "/".join("abcdefghij"),
    "deleted",
)
"""And names that every backend takes."""
PREFIXES = ("Team", "te am", "a%", "\0", "team\n", 5)
VERSIONS: Mapping[str, object] = {
    "empty": "",
    "blank": "a b",
    "slash": "a/b",
    "dots": "..",
    "one dot": ".",
    "percent": "%2e%2e",
    "newline": "1\n",
    "NUL": "1\0",
    "emoji": "\N{FIRE}",
    "129 characters": "a" * 129,
    "int": 1,
    "bytes": b"1",
}
TIMEOUTS: Mapping[str, object] = {
    "zero": 0,
    "negative": -1.0,
    "not a number": math.nan,
    "infinite": math.inf,
    "True": True,
    "text": "5",
    "list": [5],
}
TAGS: Mapping[str, object] = {
    "a tag that is no text": {5: "value"},
    "a value that is no text": {"team": 5},
    "an empty tag": {"": "value"},
    "a long tag": {"t" * 257: "value"},
    "a long value": {"team": "v" * 257},
    "a newline": {"team": "a\nb"},
    "a NUL": {"team": "a\0b"},
    "a list": ["team"],
    "text": "team",
    "a number": 5,
}
