"""What emulators share, without a network: routing, failures, the recorder, the control path, certificates."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge.cli._app import run
from kmsbridge.emulation import (
    Answer,
    Backend,
    Close,
    Cut,
    Delay,
    Documented,
    Drip,
    Emulator,
    Garbage,
    Hang,
    Operation,
    Request,
    Reset,
    Response,
    Router,
    backend_named,
)
from kmsbridge.emulation._failures import CHALLENGE, CONNECT, Failures, Rule, failure_from_json
from kmsbridge.emulation._tls import Authority

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

OPERATIONS = (
    Operation("GetVersions", "GET", "/things/{name}/versions"),
    Operation("GetThing", "GET", "/things/{name}/{version?}"),
    Operation("PutThing", "PUT", "/things/{name}"),
    Operation("Token", "POST", "/token", auxiliary=True),
)
FILES = (Operation("GetLog", "GET", "/files/{path*}/log"), Operation("GetFile", "GET", "/files/{path*}"))


@dataclass(frozen=True)
class _Settings:
    polls: int = 0
    strict: bool = False
    denied: tuple[str, ...] = ()


class _Toy(Backend[_Settings]):
    """A service that counts what it applied, and admits who has a header."""

    name = "toy"
    operations = OPERATIONS
    hosts = ("*.toy.localhost",)

    def __init__(self) -> None:
        super().__init__(_Settings())
        self.applied = 0

    def admit(self, request: Request) -> Response | None:
        return None if "authorization" in request.headers else Response(401)

    def apply(self, request: Request) -> Response:
        self.applied += 1
        return Response.json({"name": request.resource})

    @property
    def documented(self) -> Mapping[str, Documented]:
        return {"Busy": Documented("a page", 429)}

    def answer(self, name: str, request: Request) -> Response:
        return Response.json({"code": name, "about": request.resource}, status=self.documented[name].status)

    @property
    def usage(self) -> str:
        return "use it"


@pytest.fixture
def emulator() -> Emulator:
    """An emulator that was not started: everything but the network."""
    return Emulator(_Toy(), port=8443)


def request(target: str = "/things/a", method: str = "GET", **headers: str) -> Request:
    """A request as the server hands it on."""
    return Request(method, target, {"host": "localhost:8443", "authorization": "me", **headers}, b"", 1, "127.0.0.1")


def applied(emulator: Emulator) -> int:
    """How many operations the toy has carried out."""
    assert isinstance(emulator.backend, _Toy)
    return emulator.backend.applied


# -- routing ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "name", "params"),
    [
        ("GET", "/things/a/versions", "GetVersions", {"name": "a"}),
        ("GET", "/things/a/", "GetThing", {"name": "a", "version": ""}),
        ("GET", "/things/a", "GetThing", {"name": "a", "version": ""}),
        ("GET", "/Things/a/7", "GetThing", {"name": "a", "version": "7"}),
        ("GET", "/things//", "GetThing", {"name": "", "version": ""}),
        ("PUT", "/things/a", "PutThing", {"name": "a"}),
        ("PUT", "/things/a/7", None, None),
        ("DELETE", "/things/a", None, None),
        ("GET", "/things/a/7/8", None, None),
        ("GET", "/files/a/b/log", "GetLog", {"path": "a/b"}),
        ("GET", "/files/a//b/", "GetFile", {"path": "a//b/"}),
        ("GET", "/files/", None, None),
    ],
)
def test_the_first_row_that_fits_names_the_operation(
    method: str, path: str, name: str | None, params: dict[str, str] | None
) -> None:
    """Method and path decide; a segment may be empty, the last may be missing or many, case does not matter."""
    found = Router((*OPERATIONS, *FILES)).match(method, path)
    told = (None, None) if found is None else (found[0].name, found[1])
    assert told == (name, params)


def test_a_request_tells_path_and_query_apart() -> None:
    """The path is percent-decoded, and of a repeated parameter the last counts."""
    asked = request("/things/a%20b?x=1&x=2&empty=")
    assert (asked.path, asked.query, asked.host) == ("/things/a b", {"x": "2", "empty": ""}, "localhost:8443")


# -- failures ---------------------------------------------------------------------------


def test_a_failure_is_used_up() -> None:
    """A rule fires as often as it says, and then the next one does."""
    failures = Failures()
    failures.add(Rule("GetThing", "Busy", times=2))
    failures.add(Rule("GetThing", Reset(), times=None))
    found = [failures.take("GetThing", "a") for _ in range(4)]
    assert [rule and rule.name for rule in found] == ["Busy", "Busy", "Reset", "Reset"]
    assert len(failures) == 1


def test_a_failure_meets_what_it_names() -> None:
    """A rule is for one operation, or any, and for one resource where it says so."""
    failures = Failures()
    failures.add(Rule("*", "Busy", resource="a", times=None))
    failures.add(Rule(CONNECT, Close(), times=None))
    assert failures.take("GetThing", "a") is not None
    assert failures.take("GetThing", "b") is None
    assert failures.take("Token", "a", auxiliary=True) is None
    assert failures.take(CHALLENGE, "a") is None
    assert failures.take(CONNECT, "") is not None


def test_chance_is_repeatable() -> None:
    """The same seed gives the same failures, also after a reset, and about as many as asked for."""

    def run(failures: Failures) -> list[bool]:
        failures.add(Rule("GetThing", "Busy", times=None, probability=0.25))
        return [failures.take("GetThing", "a") is not None for _ in range(1000)]

    failures = Failures(seed=7)
    first = run(failures)
    failures.reset()
    assert first == run(failures) == run(Failures(seed=7)) != run(Failures(seed=8))
    assert 200 < sum(first) < 300


@pytest.mark.parametrize(
    "rule",
    [
        Rule("GetThing", "Busy", times=0),
        Rule("GetThing", "Busy", probability=0.0),
        Rule("GetThing", "Busy", probability=1.5),
        Rule(CONNECT, "Busy"),
        Rule(CONNECT, Cut(3)),
    ],
)
def test_a_failure_that_could_never_happen_is_refused(rule: Rule) -> None:
    """A rule that would never fire is a mistake in a test, so it is said at once."""
    with pytest.raises(ValueError, match=r"."):
        Failures().add(rule)


def test_unknown_names_are_refused(emulator: Emulator) -> None:
    """Operations and documented errors are those of the backend; what there is is named."""
    with pytest.raises(ValueError, match=r"no operation 'GetThings'; there are .*GetThing"):
        emulator.fail("GetThings", "Busy")
    with pytest.raises(ValueError, match="no documented error 'Bus'; there are Busy"):
        emulator.fail("GetThing", "Bus")


def test_a_documented_error_comes_in_place_of_the_operation(emulator: Emulator) -> None:
    """Before applying, which is the rule, nothing is done; after it, all is done and the answer is lost."""
    emulator.fail("GetThing", "Busy")
    reply = emulator._reply(request())
    assert (reply.response.status, reply.failure, applied(emulator)) == (429, None, 0)
    assert json.loads(reply.response.body) == {"code": "Busy", "about": "a"}
    emulator.fail("GetThing", "Busy", before_applying=False)
    assert (emulator._reply(request()).response.status, applied(emulator)) == (429, 1)
    assert (emulator._reply(request()).response.status, applied(emulator)) == (200, 2)


@pytest.mark.parametrize(
    ("failure", "before_applying", "count", "status"),
    [
        (Reset(), True, 0, None),
        (Reset(), False, 1, None),
        (Hang(), True, 0, None),
        (Close(), False, 1, None),
        (Garbage(), True, 0, None),
        (Cut(3), True, 1, 200),
        (Drip(), True, 1, 200),
        (Delay(1), True, 1, 200),
        (Answer(418), True, 0, 418),
        (Answer(418), False, 1, 418),
    ],
)
def test_a_failure_leaves_the_operation_undone_unless_told(
    emulator: Emulator, failure: Any, *, before_applying: bool, count: int, status: int | None
) -> None:
    """Whether an operation took effect is known of every failure, and the recorder says what was answered."""
    emulator.fail("GetThing", failure, before_applying=before_applying)
    reply = emulator._reply(request())
    assert (reply.failure, applied(emulator)) == (failure, count)
    assert (emulator.requests[0].status, emulator.requests[0].failure) == (status, type(failure).__name__)


def test_who_is_not_admitted_meets_failures_of_the_challenge_only(emulator: Emulator) -> None:
    """A request without a token does not use up a failure of its operation."""
    emulator.fail("GetThing", "Busy")
    emulator.fail("Challenge", Reset(), times=1)
    stranger = Request("GET", "/things/a", {}, b"", 1, "127.0.0.1")
    assert emulator._reply(stranger).failure == Reset()
    assert emulator._reply(stranger).response.status == 401
    assert emulator._reply(request()).response.status == 429
    assert applied(emulator) == 0


@pytest.mark.parametrize(
    ("given", "failure"),
    [
        ("Busy", "Busy"),
        ({"kind": "cut", "at": 10, "then": "reset"}, Cut(10, "reset")),
        ({"kind": "drip"}, Drip()),
        ({"kind": "answer", "status": 418, "headers": {"a": "b"}, "body": "x"}, Answer(418, (("a", "b"),), b"x")),
        ({"kind": "answer", "status": 418, "headers": [["a", "b"], ["a", "c"]]}, Answer(418, (("a", "b"), ("a", "c")))),
        ({"kind": "garbage", "data_base64": "AP8="}, Garbage(b"\x00\xff")),
    ],
)
def test_a_failure_can_be_written_as_json(given: Any, failure: object) -> None:
    """The control path takes every kind that there is in Python."""
    assert failure_from_json(given) == failure


@pytest.mark.parametrize("given", [{}, {"kind": "explode"}, {"kind": "cut", "after": 3}, {"kind": "reset", "times": 2}])
def test_a_failure_that_is_none_is_refused(given: Any) -> None:
    """A misspelt kind or field is an error, and not a failure that never comes."""
    with pytest.raises(ValueError, match=r"the kind of a failure|takes"):
        failure_from_json(given)


# -- the recorder -----------------------------------------------------------------------


def test_requests_are_recorded_in_order(emulator: Emulator) -> None:
    """Each request is there with what it asked and got, and can be counted by any of it."""
    emulator.fail("PutThing", "Busy")
    for each in (request(), request("/things/b/7?secret=1"), request("/things/a", "PUT"), request("/nowhere")):
        emulator._reply(each)
    assert [seen.number for seen in emulator.requests] == [1, 2, 3, 4]
    assert [seen.operation for seen in emulator.requests] == ["GetThing", "GetThing", "PutThing", ""]
    assert emulator.requests.count("GetThing") == emulator.requests.count(template="/things/{name}/{version?}") == 2
    assert emulator.requests.count(method="PUT", path="/things/a", status=429) == 1
    assert emulator.requests.count(resource="a") == 2
    assert emulator.requests.by_path()["GET", "/things/b/7"] == 1
    emulator.reset()
    assert (len(emulator.requests), list(emulator.requests)) == (0, [])


def test_nothing_secret_is_recorded(emulator: Emulator) -> None:
    """Neither headers nor query are kept, and a body only where that was asked for."""
    canary = "s3cret-canary"
    asked = Request("PUT", f"/things/a?token={canary}", {"authorization": canary}, canary.encode(), 1, "127.0.0.1")
    emulator._reply(asked)
    assert canary not in repr(list(emulator.requests)) + json.dumps(emulator.requests.to_list())
    assert emulator.requests[0].body is None
    curious = Emulator(_Toy(), keep_bodies=True)
    curious._reply(asked)
    assert curious.requests[0].body == canary.encode()
    assert canary not in repr(curious.requests[0]) + json.dumps(curious.requests.to_list())


# -- the control path -------------------------------------------------------------------


def control(emulator: Emulator, call: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """A call to the control path; status and answer."""
    method, _, path = call.partition(" ")
    given = {"host": "localhost:8443", "x-emulator-token": emulator.token, **headers}
    sent = b"" if body is None else json.dumps(body).encode()
    answer = emulator._control.handle(Request(method, f"/_emulator/{path}", given, sent, 1, "127.0.0.1"), emulator.port)
    return answer.status, json.loads(answer.body)


def test_everything_can_be_controlled_over_http(emulator: Emulator) -> None:
    """Failures, clock, settings and requests are the same from outside as from inside."""
    assert control(emulator, "POST failures", {"operation": "GetThing", "with": "Busy", "times": 2}) == (200, {})
    assert [emulator._reply(request()).response.status for _ in range(3)] == [429, 429, 200]
    assert [seen["status"] for seen in control(emulator, "GET requests")[1]] == [429, 429, 200]
    before = emulator.clock.now()
    assert control(emulator, "POST clock", {"days": 8})[1]["now"] == pytest.approx(before + 8 * 86_400, abs=5)
    assert control(emulator, "PATCH settings", {"polls": 3, "denied": ["a"]})[0] == 200
    assert emulator.backend.settings == _Settings(polls=3, denied=("a",))
    assert control(emulator, "GET settings")[1]["polls"] == 3
    assert control(emulator, "GET operations")[1] == ["GetVersions", "GetThing", "PutThing", "Token"]
    assert control(emulator, "GET errors")[1] == {"Busy": {"status": 429, "source": "a page"}}
    assert control(emulator, "POST failures", {"operation": "*", "with": {"kind": "reset"}, "times": None})[0] == 200
    assert control(emulator, "DELETE failures") == (200, {})
    assert emulator._reply(request()).failure is None
    assert control(emulator, "POST disconnect") == (200, {"connections": 0})
    assert control(emulator, "POST reset") == (200, {})
    assert emulator.backend.settings == _Settings()
    assert emulator.clock.now() == pytest.approx(before, abs=5)
    assert control(emulator, "GET requests") == (200, [])


@pytest.mark.parametrize(
    ("call", "body", "says"),
    [
        ("POST failures", {"operation": "GetThings", "with": "Busy"}, "no operation"),
        ("POST failures", {"operation": "GetThing"}, "with"),
        ("POST failures", {"operation": "GetThing", "with": "Busy", "often": 2}, "often"),
        ("POST clock", {"weeks": 1}, "weeks"),
        ("POST clock", {"days": 1e308}, "4999"),
        ("POST clock", {"days": 10_000_000}, "4999"),
        ("POST clock", {"days": -100_000}, "1970"),
        ("PATCH settings", {"poll": 1}, "no setting 'poll'; there are denied, polls, strict"),
        ("PATCH settings", {"polls": "1"}, "polls is a int"),
        ("PATCH settings", {"polls": True}, "polls is a int"),
        ("PATCH settings", {"denied": [5]}, "denied is a list of text"),
    ],
)
def test_a_wrong_call_is_told_what_is_wrong(emulator: Emulator, call: str, body: Any, says: str) -> None:
    """A mistake in a call changes nothing and is answered with a sentence."""
    status, answer = control(emulator, call, body)
    assert (status, says in answer["error"]) == (400, True), answer
    assert emulator.backend.settings == _Settings()
    assert emulator._reply(request()).response.status == 200


def test_an_unknown_call_is_not_found(emulator: Emulator) -> None:
    """What is not there is a 404, and nothing happens."""
    assert control(emulator, "POST explode")[0] == 404


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"x-emulator-token": "guess"}, 401),
        ({"x-emulator-token": ""}, 401),
        ({"x-emulator-token": "\u00e9"}, 401),
        ({"origin": "https://localhost:8443"}, 403),
        ({"origin": "null"}, 403),
        ({"host": "evil.example:8443"}, 403),
        ({"host": "localhost:8444"}, 403),
        ({"host": "localhost"}, 403),
        ({"host": "localhost.evil.example:8443"}, 403),
        ({"host": ""}, 403),
    ],
)
def test_the_control_path_is_guarded(emulator: Emulator, headers: dict[str, str], status: int) -> None:
    """Without the token, with an Origin, or under another name than the emulator's nothing is done."""
    assert control(emulator, "POST clock", {"days": 1}, **headers)[0] == status
    assert emulator.clock.now() < datetime.now(UTC).timestamp() + 60


@pytest.mark.parametrize(
    "host", ["localhost:8443", "127.0.0.1:8443", "[::1]:8443", "a.toy.localhost:8443", "LOCALHOST:8443"]
)
def test_the_control_path_has_all_names_of_the_emulator(emulator: Emulator, host: str) -> None:
    """Loopback under any of its names, and those of the backend."""
    assert control(emulator, "GET clock", host=host)[0] == 200


# -- where it listens, and whom clients trust -------------------------------------------


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com"])  # noqa: S104
def test_only_loopback_without_expose(host: str) -> None:
    """To be reached from other machines has to be said."""
    with pytest.raises(ValueError, match="not loopback"):
        Emulator(_Toy(), host=host)
    assert Emulator(_Toy(), host=host, expose=True).names[:3] == ("127.0.0.1", "::1", "localhost")


def test_the_authority_is_short_lived_and_constrained() -> None:
    """It is valid for 7 days, and can sign for the emulator's own names only."""
    authority = x509.load_pem_x509_certificate(Authority(["localhost", "127.0.0.1", "::1", "*.toy.localhost"]).pem)
    assert authority.not_valid_after_utc - datetime.now(UTC) <= timedelta(days=7)
    constraints = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert constraints.critical
    permitted = [str(name.value) for name in constraints.value.permitted_subtrees or ()]
    assert permitted == ["localhost", "127.0.0.1/32", "::1/128", "toy.localhost"]
    usage = authority.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (usage.key_cert_sign, usage.digital_signature) == (True, False)


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> None:
    """One TLS handshake in memory; raises what the client finds wrong."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [client.wrap_bio(to_client, to_server, server_hostname=name), server.wrap_bio(to_server, to_client, True)]
    for _ in range(10):
        for side in list(sides):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            sides.remove(side)
        if not sides:
            return
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "a.toy.localhost"])
def test_clients_that_trust_the_authority_are_served(name: str) -> None:
    """Every name and address of the emulator is in its certificate, and no other emulator's authority will do."""
    authority = Authority(Emulator(_Toy()).names)
    server = authority.context()
    handshake(server, ssl.create_default_context(cadata=authority.pem.decode()), name)
    other = Authority(Emulator(_Toy()).names)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server, ssl.create_default_context(cadata=other.pem.decode()), name)


def test_the_certificate_is_for_nobody_else() -> None:
    """A client that asks for another name does not accept it."""
    authority = Authority(["localhost"])
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(authority.context(), ssl.create_default_context(cadata=authority.pem.decode()), "example.com")


def test_no_key_stays_in_a_file(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the ssl module needs to read from a file is encrypted there, and gone when it has."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    seen: list[bytes] = []
    real = ssl.SSLContext.load_cert_chain

    def spy(self: ssl.SSLContext, path: str, **options: Any) -> None:
        with open(path, "rb") as file:
            seen.append(file.read())
        real(self, path, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", spy)
    Authority(["localhost"]).context()
    assert b"ENCRYPTED PRIVATE KEY" in seen[0]
    assert b"BEGIN PRIVATE KEY" not in seen[0]
    assert list(tmp_path.iterdir()) == []


# -- the rest ---------------------------------------------------------------------------


def test_a_mistake_of_the_emulator_is_a_500(caplog: pytest.LogCaptureFixture) -> None:
    """An exception in a backend ends the request and not the server, and stands in the log."""

    class Broken(_Toy):
        def apply(self, request: Request) -> Response:
            raise RuntimeError(request.resource)

    broken = Emulator(Broken(), port=8443)
    assert asyncio.run(broken._answer(request())).response.status == 500
    assert "the emulator of toy is broken" in caplog.text


@given(st.text(max_size=20))
def test_only_emulators_have_names(name: str) -> None:
    """Any other name is a ValueError, whatever it is."""
    with pytest.raises(ValueError, match="emulator"):
        backend_named(name)


def test_an_emulator_is_found_by_its_scheme() -> None:
    """The scheme of a provider names its emulator, each time a new one."""
    first, second = backend_named("azure-keyvault"), backend_named("azure-keyvault")
    assert first.name == second.name == "azure-keyvault"
    assert first is not second


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["nothing"], 2, "there is no emulator 'nothing'"),
        (["azure-keyvault", "--host", "0.0.0.0"], 2, "not loopback"),  # noqa: S104
        (["azure-keyvault", "--port", "65536"], 2, "65536"),
        ([], 2, "BACKEND"),
        (["azure-keyvault", "--all"], 2, "or give --all"),
    ],
)
def test_a_wrong_command_says_why(
    capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    """`kmsbridge emulate` fails as every command does: a status, what is wrong, and where to look."""
    assert run(["emulate", *arguments]) == status
    problem, advice = capsys.readouterr().err.splitlines()
    assert says in problem
    assert advice == "-> See: kmsbridge emulate --help"


def test_all_are_those_that_are_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`kmsbridge emulate --all` serves every backend that has an emulator, and tries no other."""
    served: list[str] = []
    monkeypatch.setattr("kmsbridge.emulation.serve", lambda names, **_: served.extend(names))
    assert run(["emulate", "--all"]) == 0
    folders = (Path(__file__).parent.parent / "providers").glob("kmsbridge_*/emulator/__init__.py")
    assert served == sorted(path.parts[-3].removeprefix("kmsbridge_").replace("_", "-") for path in folders)


def test_the_command_without_the_extra(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without h11 the advice is what to install."""
    for module in [name for name in sys.modules if name.startswith("kmsbridge.emulation")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "h11", None)
    assert run(["emulate", "azure-keyvault"]) == 5
    assert "h11" in (told := capsys.readouterr().err)
    assert "pip install 'kmsbridge[emulators]'" in told
