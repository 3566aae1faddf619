"""`explain` is total: one result for anything, in order, at once, and nothing of the input leaks."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import types
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge import TAXONOMY, Category, Code, KMSError
from kmsbridge import _explain as module
from kmsbridge._decode import Answer, Decoder
from kmsbridge._explain import explain, explain_lines

CANARY = "canary\u00a0{value} \x1b"
"""No alphabet of what is copied lets this through, in whole or in part."""

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
ANY_JSON = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)
MEMBERS = ("provider", "http_status", "headers", "body", "body_base64", "text", "door", "sub_status", "other")
RECORDS = st.dictionaries(st.sampled_from(MEMBERS), ANY_JSON | st.integers(0, 999) | st.sampled_from(["local", "none"]))
ANY_LINE = (st.binary() | RECORDS.map(lambda record: json.dumps(record).encode())).map(
    lambda line: line.replace(b"\n", b" ")
)


def results_of(source: bytes) -> list[dict[str, Any]]:
    """What comes out for this input, parsed."""
    return [json.loads(line) for line in explain_lines(io.BytesIO(source))]


def check(result: dict[str, Any]) -> None:
    """A result has every member of an error, in the vocabulary."""
    assert result.keys() == KMSError().to_dict().keys()
    assert result["category"] == TAXONOMY[Code(result["code"])].category


def wrong(result: dict[str, Any]) -> list[str]:
    """The members of the input that a result says are wrong; checks that it is the input that is refused."""
    assert (result["code"], result["operation"], result["outcome"]) == ("invalid_argument", "explain", "not_sent")
    return [field["path"] for field in result["fields"]]


@given(RECORDS)
def test_any_object_gives_a_result(record: dict[str, Any]) -> None:
    """Whatever the members hold, there is one result, the same each time."""
    result = explain(record)
    check(result)
    assert explain(record) == result


@given(st.lists(ANY_LINE, max_size=8))
def test_any_lines_give_as_many_results_in_order(lines: list[bytes]) -> None:
    """Line n out is what line n alone gives, for any bytes."""
    results = results_of(b"".join(line + b"\n" for line in lines))
    for result in results:
        check(result)
    assert results == [result for line in lines for result in results_of(line + b"\n")]
    assert len(results) == len(lines)


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"{", b"not JSON", b"null", b"[]", b'"text"', b"17", b"NaN", b'{"a": Infinity}', b"\xff\xfe",
        b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"\x00", '{"http_status": "é'.encode("utf-16"),
    ],
    ids=lambda line: repr(line[:12]),
)  # fmt: skip
def test_broken_line_is_answered(line: bytes) -> None:
    """A line that is no JSON object gives one result that says so, and the next line is read as ever."""
    broken, good = results_of(line + b"\n" + b'{"http_status": 404}\n')
    assert wrong(broken) == []
    assert broken["remediation"].startswith("Give a JSON object")
    assert good["code"] == "not_found"


@pytest.mark.parametrize(
    ("record", "paths"),
    [
        ({"provider": 7}, ["provider"]),
        ({"http_status": "404"}, ["http_status"]),
        ({"http_status": True}, ["http_status"]),
        ({"http_status": 404.5}, ["http_status"]),
        ({"http_status": -1}, ["http_status"]),
        ({"http_status": 1000}, ["http_status"]),
        ({"headers": "a: b"}, ["headers"]),
        ({"headers": {"a": 1}}, ["headers"]),
        ({"headers": {"a": ["b", 1]}}, ["headers"]),
        ({"headers": [["a"]]}, ["headers"]),
        ({"headers": ["ab"]}, ["headers"]),
        ({"body": {"error": {}}}, ["body"]),
        ({"body_base64": "?"}, ["body_base64"]),
        ({"body_base64": "é"}, ["body_base64"]),
        ({"body_base64": 1}, ["body_base64"]),
        ({"body": "", "body_base64": ""}, ["body_base64"]),
        ({"text": []}, ["text"]),
        ({"door": 1}, ["door"]),
        ({"sub_status": 1.5}, ["sub_status"]),
        ({"sub_status": False}, ["sub_status"]),
        ({"text": 1, "door": 2}, ["text", "door"]),
    ],
    ids=str,
)
def test_wrong_member_is_named(record: dict[str, Any], paths: list[str]) -> None:
    """A member of the wrong kind is refused by name; every wrong one is."""
    result = explain(record)
    assert wrong(result) == paths
    assert all(path in result["message"] for path in paths)


def test_absent_null_and_unknown_members_count_for_nothing() -> None:
    """null is as good as absent, and what is not known is ignored."""
    nothing = dict.fromkeys(MEMBERS)
    assert explain({"http_status": 404}) == explain({**nothing, "http_status": 404, "id": 1, "expected": {"code": "x"}})


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "7"},
        {"Retry-After": ["7"]},
        {"Retry-After": "7", "X-Absent": None},
        [["retry-after", "7"]],
        [["RETRY-AFTER", ["7", "soon"]]],
    ],
    ids=str,
)
def test_headers_in_any_form(headers: object) -> None:
    """Headers are an object of texts or lists, or a list of pairs."""
    assert explain({"http_status": 429, "headers": headers})["retry_after"] == 7


def test_body_as_text_or_base64() -> None:
    """A body is the same as text and as Base64; only the second carries any bytes."""
    body = '{"error": {"code": "Forbidden"}}'
    as_text = explain({"http_status": 403, "body": body})
    assert as_text["provider_codes"] == ["Forbidden"]
    assert explain({"http_status": 403, "body_base64": b64encode(body.encode()).decode()}) == as_text
    assert explain({"http_status": 403, "body": "\ud800"})["code"] == "access_denied"


def test_sub_status_becomes_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    """``sub_status`` is sent as x-ms-substatus, unless that header is there."""
    seen: list[list[str]] = []

    class Spy(Decoder):
        def decode(self, answer: Answer, *, operation: str | None = None) -> KMSError:
            seen.append(answer.all("x-ms-substatus"))
            return super().decode(answer, operation=operation)

    monkeypatch.setattr(module, "_decoder_of", lambda _: (Spy("spy"), ""))
    explain({"provider": "spy", "sub_status": 1003})
    explain({"provider": "spy", "sub_status": "1003"})
    explain({"provider": "spy", "sub_status": 1003, "headers": {"X-MS-SubStatus": "4001"}})
    assert seen == [["1003"], ["1003"], ["4001"]]


@pytest.mark.parametrize("provider", ["no-such-cloud", "azure_keyvault", "../local", "", "x" * 1000, "Local"])
def test_unknown_provider_is_read_by_the_status(provider: str) -> None:
    """A provider that is not installed leaves the verdict to the status, and the result says so."""
    result = explain({"provider": provider, "http_status": 429})
    assert result["code"] == "rate_limited"
    assert result["provider"] == ("no-such-cloud" if provider == "no-such-cloud" else None)
    reason = "no provider of this name is installed; read by the HTTP status alone"
    assert result["fields"] == ([{"path": "provider", "reason": reason}] if provider else [])


def test_broken_provider_is_read_by_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that is no provider, and a decoder that fails, break no result."""

    class Failing(Decoder):
        def decode(self, answer: Answer, *, operation: str | None = None) -> KMSError:
            raise RuntimeError(str(answer) + str(operation))

    modules: dict[str, dict[str, object]] = {
        "kmsbridge_hollow": {}, "kmsbridge_odd": {"decoder": 7}, "kmsbridge_failing": {"decoder": Failing("x")},
    }
    for name, content in modules.items():
        made = types.ModuleType(name)
        vars(made).update(content)
        monkeypatch.setitem(sys.modules, name, made)
    for name in ("hollow", "odd", "failing"):
        result = explain({"provider": name, "http_status": 503, "body": CANARY})
        assert (result["code"], result["provider"]) == ("service_unavailable", name)
        assert [field["path"] for field in result["fields"]] == ["provider"]
        assert "canary" not in str(result)
    module._decoder_of.cache_clear()


@pytest.mark.parametrize("provider", [None, "local", "no-such-cloud", CANARY])
def test_nothing_leaks(provider: str | None) -> None:
    """No member of the input comes out but through the filter, whether it is read or refused."""
    error = json.dumps({"error": {"code": CANARY, "message": CANARY, "innererror": {"code": CANARY}}})
    members = {
        "headers": {"x-ms-request-id": CANARY, CANARY: CANARY}, "body": error, "text": CANARY, "door": CANARY,
        "sub_status": CANARY, CANARY: CANARY,
    }  # fmt: skip
    for status in (None, 200, 403, 500, "canary"):
        record = {**members, "provider": provider, "http_status": status}
        assert "canary" not in json.dumps(explain(record))
        assert "canary" not in str(results_of(json.dumps(record)[:-1].encode()))


def test_large_line_is_read() -> None:
    """A line of 10 MB is an answer like any other."""
    line = json.dumps({"http_status": 413, "body": "x" * 10_000_000, "text": "y" * 1_000_000}).encode()
    [result] = results_of(line)
    assert result["code"] == "payload_too_large"


def test_too_large_line_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is longer than the limit is answered unread, and the next line is read as ever."""
    monkeypatch.setattr(module, "MAX_LINE", 50)
    exact = b'{"http_status": 404}'.ljust(49) + b"\n"
    results = results_of(exact + b"x" * 500 + b"\n" + exact + b"x" * 51)
    assert [result["code"] for result in results] == ["not_found", "invalid_argument", "not_found", "invalid_argument"]
    assert "more than 50 bytes" in results[1]["message"]


def test_line_endings() -> None:
    """CR LF, a byte order mark and a missing last line end are no reason to refuse."""
    source = b'\xef\xbb\xbf{"http_status": 404}\r\n{"http_status": 403}'
    assert [result["code"] for result in results_of(source)] == ["not_found", "access_denied"]
    assert results_of(b"") == []


def test_results_come_at_once() -> None:
    """Each line is answered before the next is written and while standard input stays open."""
    command = [sys.executable, "-m", "kmsbridge.cli", "explain", "--jsonl"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for status, code in ((404, "not_found"), (429, "rate_limited"), (500, "internal_error")):
            process.stdin.write(b'{"http_status": %d}\n' % status)
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["code"] == code
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(10) == 0


def test_no_sdk_is_loaded() -> None:
    """Explaining needs nothing that is not in the standard library."""
    code = (
        "import sys; from kmsbridge._explain import explain;"
        "[explain({'provider': p, 'http_status': 403}) for p in ('local', 'azure-keyvault', 'none')];"
        "print(*{m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names - {'__main__'})"
    )
    done = subprocess.run([sys.executable, "-S", "-c", _with_path(code)], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"kmsbridge", "kmsbridge_local"} <= loaded
    assert [name for name in loaded if not name.startswith("kmsbridge")] == []


def _with_path(code: str) -> str:
    """The code, for an interpreter without site-packages: only ours can be found."""
    import kmsbridge
    import kmsbridge_local

    folders = {str(package.__path__[0]).rpartition("/")[0] for package in (kmsbridge, kmsbridge_local)}
    return f"import sys; sys.path[:0] = {sorted(folders)!r}; {code}"


def test_every_category_is_reachable_by_status() -> None:
    """The ladder alone knows most categories; only those that no status names are missing."""
    found = {explain({"http_status": status})["category"] for status in range(1000)}
    assert set(Category) - found == {Category.CRYPTO}
