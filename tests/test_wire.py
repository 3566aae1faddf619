"""The parts of the wire that need no network: what is sent where, what is kept of an answer."""

from __future__ import annotations

import subprocess
import sys
from time import sleep
from typing import TYPE_CHECKING, Any, cast

import pytest
from azure.core.exceptions import ClientAuthenticationError, DecodeError, HttpResponseError, ServiceRequestError
from azure.core.pipeline.transport import HttpRequest as OldRequest
from azure.core.rest import HttpRequest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge._decode import MAX_BODY, Answer, Phase, Refused
from kmsbridge._wire import MAX_ANSWER, Broken, Unsendable, answer_of, within
from kmsbridge._wire._azure import AzureResponse, AzureTransport
from kmsbridge._wire._request import Attempt, Origin, origin_of, proxy_for, sendable, time_left

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge._wire._blocking import Wire

CANARY = "canary-7f3a"
SERVER = Origin(True, "vault.example.com", 443)


# -- where it goes ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "origin", "path"),
    [
        ("https://v.example.com", Origin(True, "v.example.com", 443), "/"),
        ("https://V.example.com:8443/a%2Fb?x=%20&y=#z", Origin(True, "v.example.com", 8443), "/a%2Fb?x=%20&y="),
        ("https://v.example.com?x=1", Origin(True, "v.example.com", 443), "/?x=1"),
        ("http://localhost/a", Origin(False, "localhost", 80), "/a"),
        ("http://127.9.9.9:1/a", Origin(False, "127.9.9.9", 1), "/a"),
        ("http://[::1]:1/a", Origin(False, "::1", 1), "/a"),
        ("http://169.254.169.254/metadata", Origin(False, "169.254.169.254", 80), "/metadata"),
    ],
)
def test_urls(url: str, origin: Origin, path: str) -> None:
    """A URL is taken apart, and its path and query are sent as they are."""
    assert origin_of(url, plain=True) == (origin, path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "v.example.com",
        "ftp://v.example.com/canary-7f3a",
        "https:///canary-7f3a",
        "https://user:canary-7f3a@v.example.com/",
        "https://v.example.com:99999/canary-7f3a",
        "https://v.example.com:x/canary-7f3a",
        "https://[::1/canary-7f3a",
        "https://v.example.com/canary-7f3a\r\nX: y",
        "https://v.example.com/canary-7f3a b",
        "https://v.example.com/canary-7f3a\x00",
        "https://v.example.com/canary-7f3a-é",
        "http://v.example.com/canary-7f3a",
        "http://127.0.0.1.example.com/canary-7f3a",
        "http://10.0.0.1/canary-7f3a",
        "http://[::ffff:10.0.0.1]/canary-7f3a",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    """A URL that is malformed, or plain http beyond this machine, is refused, and not repeated in the text."""
    with pytest.raises(Unsendable) as caught:
        origin_of(url, plain=True)
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


def test_plain_http_wants_permission() -> None:
    """Plain http is refused even to this machine where the caller has not allowed it."""
    with pytest.raises(Unsendable):
        origin_of("http://127.0.0.1/", plain=False)


@given(st.text(st.sampled_from("htps:/[]@?#1.:vé \n\\%"), max_size=24))
def test_any_text_is_an_address_or_is_refused(rest: str) -> None:
    """No text, however odd, gives another exception."""
    for url in (rest, f"https://{rest}", f"http://{rest}"):
        try:
            origin, path = origin_of(url, plain=True)
        except Unsendable:
            continue
        assert origin.host
        assert path.startswith("/") or path.isprintable()


def test_headers_for_framing_are_the_wires() -> None:
    """What frames the message or asks for an encoding is left out, in any case; the rest is sent as given."""
    given_headers = {
        "Accept": "application/json",
        "content-LENGTH": "7",
        "Transfer-Encoding": "chunked",
        "Accept-Encoding": "gzip",
        "HOST": "elsewhere",
        "x-empty": "",
    }
    assert sendable("GET", given_headers) == {"Accept": "application/json", "x-empty": ""}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET /\r\nX: y", {}),
        ("", {}),
        ("GET", {"X": "canary-7f3a\r\nY: z"}),
        ("GET", {"X": "canary-7f3a\n"}),
        ("GET", {"X": "canary-7f3a é"}),
        ("GET", {"X": "canary-7f3a\x00"}),
        ("GET", {"X: canary-7f3a\r\nY": "z"}),
        ("GET", {"": "canary-7f3a"}),
    ],
)
def test_no_header_can_smuggle(method: str, headers: Mapping[str, str]) -> None:
    """What would end a line or is no header is refused, and its value is not repeated in the text."""
    with pytest.raises(Unsendable) as caught:
        sendable(method, headers)
    assert CANARY not in str(caught.value)


# -- proxies ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of who runs the tests do not count."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_proxy_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """https goes through the proxy that the environment names, in either case."""
    monkeypatch.setenv(name, "http://proxy.example.com:3128")
    proxy = proxy_for(SERVER)
    assert proxy is not None
    assert (proxy.host, proxy.port, proxy.headers) == ("proxy.example.com", 3128, {})


@pytest.mark.parametrize(
    ("exceptions", "through"),
    [
        ("", True),
        ("example.com", False),
        (".example.com", False),
        ("vault.example.com:443", False),
        ("vault.example.com:444", True),
        ("ample.com", True),
        ("*", False),
        ("other.org, vault.example.com", False),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy(name: str, exceptions: str, through: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """NO_PROXY exempts hosts, domains and ports."""
    monkeypatch.setenv("HTTPS_PROXY", "proxy.example.com:3128")
    monkeypatch.setenv(name, exceptions)
    assert (proxy_for(SERVER) is not None) is through


def test_plain_http_never_leaves_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plain http is for this machine, so no proxy gets to see it."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy.example.com:3128")
    assert proxy_for(Origin(False, "169.254.169.254", 80)) is None


def test_the_login_of_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and password are sent to the proxy, and shown nowhere."""
    monkeypatch.setenv("HTTPS_PROXY", f"http://me%40home:{CANARY}%21@proxy.example.com")
    proxy = proxy_for(SERVER)
    assert proxy is not None
    assert proxy.port == 80
    assert proxy.headers == {"Proxy-Authorization": "Basic bWVAaG9tZTpjYW5hcnktN2YzYSE="}
    assert CANARY not in repr(proxy)


@pytest.mark.parametrize(
    "named", ["socks5://p.example.com:1080", "https://p.example.com", "http://", "http://u:canary-7f3a@p.example.com:x"]
)
def test_a_proxy_that_cannot_be_used(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another kind of proxy is an error, not a reason to go round it; its login is not repeated."""
    monkeypatch.setenv("HTTPS_PROXY", named)
    with pytest.raises(Broken) as caught:
        proxy_for(SERVER)
    assert CANARY not in str(caught.value)


# -- what is kept of an answer ----------------------------------------------------------


def test_an_error_is_cut_and_a_success_is_not() -> None:
    """An error body ends at `MAX_BODY`; a success that is longer than `MAX_ANSWER` is refused with its status."""
    attempt = Attempt(1)
    attempt.begin(403, [("a", "b")])
    assert attempt.add(b"x" * MAX_BODY)
    assert not attempt.add(b"y")
    assert attempt.answer()[:3] == (403, [("a", "b")], b"x" * MAX_BODY)

    attempt = Attempt(1)
    attempt.begin(200, [("a", "b")])
    assert attempt.add(b"x" * MAX_ANSWER)
    assert len(attempt.answer().body) == MAX_ANSWER
    assert not attempt.add(b"y")
    with pytest.raises(Refused) as caught:
        attempt.answer()
    assert caught.value.answer[:4] == (200, [("a", "b")], b"", Phase.BODY)


def test_a_failure_keeps_no_frames() -> None:
    """What broke is kept as data: the frames of its tracebacks, which hold headers and body, are not."""

    def fail() -> None:
        try:
            int(CANARY)
        except ValueError as error:
            raise OSError(5, "x") from error

    with pytest.raises(OSError, match="x") as caught:
        fail()
    answer = Attempt(1).refused(caught.value).answer
    assert isinstance(answer.exception, OSError)
    assert answer.exception.__traceback__ is None
    assert answer.exception.__cause__ is not None
    assert answer.exception.__cause__.__traceback__ is None
    assert answer.phase is Phase.BEFORE_SEND
    assert answer.received_at is not None


def test_no_time_is_no_attempt() -> None:
    """An attempt with no time left says so, whatever was asked for."""
    with pytest.raises(TimeoutError):
        Attempt(-1).left()
    with pytest.raises(TimeoutError):
        Attempt(0).left()


def test_deadlines_nest() -> None:
    """An inner deadline may be nearer than the outer one, never later; after it the outer one counts again."""
    assert time_left() == float("inf")
    with within(5):
        with within(50):
            assert 4 < time_left() <= 5
        with within(0.01):
            sleep(0.02)
            assert time_left() < 0
        assert 4 < time_left() <= 5
    assert time_left() == float("inf")


# -- azure-core -------------------------------------------------------------------------


class Recorder:
    """In the place of a wire: keeps what it is asked to send."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []
        self.limits: dict[str, float] = {}

    def request(self, *parts: Any, **limits: float) -> Answer:
        """Keep it."""
        self.sent.append(parts)
        self.limits = limits
        return Answer(204)


def sent(request: HttpRequest | OldRequest, **options: Any) -> tuple[tuple[Any, ...], dict[str, float]]:
    """What the transport makes of a request."""
    recorder = Recorder()
    AzureTransport(cast("Wire", recorder)).send(request, **options)
    return recorder.sent[0], recorder.limits


URL = "https://vault.example.com/secrets/a?api-version=7.6"


def test_bodies_of_both_kinds_of_request() -> None:
    """JSON, text, bytes, forms and nothing arrive as bytes, from the new and the old class of request."""
    assert sent(HttpRequest("PUT", URL, json={"a": 1}))[0][3] == b'{"a": 1}'
    assert sent(HttpRequest("PUT", URL, content="é"))[0][3] == "é".encode()
    assert sent(HttpRequest("GET", URL))[0][3] == b""
    assert sent(OldRequest("PUT", URL, data=b"x"))[0][3] == b"x"
    for request in (HttpRequest("POST", URL, data={"a": "1 2", "b": "&"}), old_form()):
        _, _, headers, body = sent(request)[0]
        assert body == b"a=1+2&b=%26"
        assert {name.lower(): value for name, value in headers.items()}["content-type"] == (
            "application/x-www-form-urlencoded"
        )


def old_form() -> OldRequest:
    """A form as azure-identity makes it: the content type is left to the transport."""
    request = OldRequest("POST", URL, {"Content-Type": "application/x-www-form-urlencoded"})
    request.set_formdata_body({"a": "1 2", "b": "&"})
    return request


@pytest.mark.parametrize(
    "request_",
    [
        HttpRequest("POST", URL, content=iter([b"x"])),
        HttpRequest("POST", URL, files={"f": b"x"}),
        OldRequest("POST", URL, files={"f": (None, "x")}),
    ],
)
def test_other_bodies_are_refused(request_: HttpRequest | OldRequest) -> None:
    """A stream or an upload is refused before anything is sent."""
    with pytest.raises(ServiceRequestError) as caught:
        sent(request_)
    answer = answer_of(caught.value)
    assert answer is not None
    assert answer.phase is Phase.BEFORE_SEND


def test_the_nearest_limit_counts() -> None:
    """Timeouts of a request add up to its whole time; `within` may make it shorter."""
    assert sent(HttpRequest("GET", URL), connection_timeout=2, read_timeout=3)[1] == {
        "timeout": 5.0,
        "connect_timeout": 2.0,
    }
    unsaid = sent(HttpRequest("GET", URL))[1]
    assert sent(HttpRequest("GET", URL), connection_timeout=None, read_timeout=None)[1] == unsaid
    with within(0.5):
        limits = sent(HttpRequest("GET", URL), connection_timeout=2, read_timeout=3)[1]
    assert 0.4 < limits["timeout"] <= 0.5


def test_fields_of_one_name_are_one_list() -> None:
    """A header that comes twice reads as one list; the raw pairs stay on the answer."""
    pairs = [("WWW-Authenticate", "Negotiate"), ("www-authenticate", "Bearer x")]
    response = AzureResponse(HttpRequest("GET", URL), Answer(401, pairs))
    assert response.headers["www-authenticate"] == "Negotiate, Bearer x"
    assert response.internal_response.headers is pairs


def test_text_of_a_success_is_exact() -> None:
    """A success that is not text is azure-core's error with our answer; an error's text is read as far as it goes."""
    request = HttpRequest("GET", URL)
    with pytest.raises(DecodeError) as caught:
        AzureResponse(request, Answer(200, (), b"\xff")).text()
    answer = answer_of(caught.value)
    assert answer is not None
    assert answer.body == b"\xff"
    assert AzureResponse(request, Answer(500, (), b"a\xff")).text() == "a\ufffd"
    assert AzureResponse(request, Answer(200, (), b"\xef\xbb\xbf{}")).json() == {}
    latin = Answer(200, [("Content-Type", 'text/plain; charset="iso-8859-1"')], b"\xe9")
    assert AzureResponse(request, latin).text() == "é"
    unknown = Answer(200, [("Content-Type", "text/plain; charset=klingon")], b"x")
    assert AzureResponse(request, unknown).text() == "x"


def test_the_answer_is_found_however_it_is_wrapped() -> None:
    """An answer is found on the wire's own error, inside azure-core's, behind a cause, and on a response; else None."""
    answer = Answer(phase=Phase.SENT)
    refused = Refused(answer)
    assert answer_of(refused) is answer
    wrapped = ServiceRequestError("x", error=refused)
    assert answer_of(wrapped) is answer
    identity = ClientAuthenticationError("Authentication failed")
    identity.__cause__ = wrapped
    assert answer_of(identity) is answer
    whole = Answer(403, (), b"{}")
    assert answer_of(HttpResponseError(response=AzureResponse(HttpRequest("GET", URL), whole))) is whole
    assert answer_of(ValueError("x")) is None


def test_nothing_is_loaded_before_it_is_needed() -> None:
    """Neither urllib3, aiohttp nor azure-core is imported with the module; each half loads its own."""
    check = (
        "import sys; from kmsbridge._wire import open_wire; from kmsbridge._runtime import BLOCKING;"
        "found = lambda: sorted({'urllib3', 'aiohttp', 'azure.core'} & set(sys.modules));"
        "before = found(); open_wire(BLOCKING); print(before, found())"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[] ['urllib3']"


@pytest.mark.parametrize(("mode", "package"), [("BLOCKING", "urllib3"), ("AsyncioRuntime()", "aiohttp")])
def test_a_missing_package_is_named(mode: str, package: str) -> None:
    """Where the client is not installed, the exception names its package, so that the registry can name the extra."""
    check = (
        f"import sys; sys.modules['{package}'] = None; from kmsbridge._wire import open_wire;"
        "from kmsbridge._runtime import BLOCKING, AsyncioRuntime\n"
        f"try: open_wire({mode})\nexcept ModuleNotFoundError as error: print(error.name.split('.')[0])"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == package


# -- under an SDK's transport -----------------------------------------------------------


class _Noting:
    """A wire that notes how long a request may take."""

    def __init__(self) -> None:
        self.timeouts: list[tuple[float, float]] = []

    def request(self, *_: object, timeout: float, connect_timeout: float) -> Answer:
        """Note it."""
        self.timeouts.append((timeout, connect_timeout))
        return Answer(204)


def test_the_deadline_of_a_call_is_that_of_its_requests() -> None:
    """Whatever its length; 40 s, where nobody says, and what the SDK says, where it does."""
    wire: Any = _Noting()
    transport, request = AzureTransport(wire), HttpRequest("GET", "https://localhost/")
    transport.send(request)
    with within(600):
        transport.send(request)
        transport.send(request, connection_timeout=1, read_timeout=2)
    with within(5):
        transport.send(request)
    (nobody, long, sdk, short) = wire.timeouts
    assert nobody == (40, 10)
    assert 590 < long[0] <= 600
    assert sdk == (3, 1)
    assert 0 < short[0] <= 5
