"""Where ``scaivault://`` leads, who asks there, and how names are spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from kmsbridge import InvalidRequestError, KMSError, Outcome, connect
from kmsbridge._config import parse_url
from kmsbridge._names import is_portable
from kmsbridge_scaivault import configure, name
from kmsbridge_scaivault._config import NAMES, SCOPE, TOKEN_URL, Client, Token

if TYPE_CHECKING:
    from pathlib import Path

    from kmsbridge_scaivault._config import ScaiVaultSettings

CLIENT = {"client_id": "sa-1", "client_secret": "c4nary"}
VARIABLES = ("SCAIVAULT_TOKEN", "SCAIKEY_CLIENT_ID", "SCAIKEY_CLIENT_SECRET")


@pytest.fixture(autouse=True)
def _nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)


def settings(url: str, given: object | None = "skt_1", /, **options: Any) -> ScaiVaultSettings:
    """As a profile with these options gives them."""
    return configure(parse_url(url)._replace(options=options, credential=given))


def refused(url: str, given: object | None = "skt_1", /, **options: Any) -> str:
    """What is said of a location that is wrong; it is not sent, there is advice, and no secret in it."""
    with pytest.raises(InvalidRequestError) as caught:
        settings(url, given, **options)
    assert caught.value.outcome == "not_sent"
    assert caught.value.remediation
    assert "c4nary" not in caught.value.details()
    return caught.value.details()


@pytest.mark.parametrize(("url", "expected"), [
    ("scaivault://scaivault.scailabs.ai", ("https://scaivault.scailabs.ai", None)),
    ("scaivault://ScaiVault.example/", ("https://scaivault.example", None)),
    ("scaivault://vault.internal:8443/tnt_abc-1", ("https://vault.internal:8443", "tnt_abc-1")),
    ("scaivault://localhost:8443/tnt_1/", ("https://localhost:8443", "tnt_1")),
    ("scaivault://127.0.0.1:8443", ("https://127.0.0.1:8443", None)),
])  # fmt: skip
def test_a_host_and_perhaps_a_tenant(url: str, expected: tuple[str, str | None]) -> None:
    """The vendor's, one of your own, or an emulator on this machine."""
    found = settings(url)
    assert (name, found.url, found.tenant) == ("scaivault", *expected)
    assert (found.identity, found.hard_delete, found.ca) == (Token("skt_1"), False, None)


@pytest.mark.parametrize("url", [
    "scaivault://", "scaivault:host", "scaivault://ho st", "scaivault://-host", "scaivault://host-/", "scaivault://a..b",
    "scaivault://host:0", "scaivault://host:123456", "scaivault://host/a/b", "scaivault://host/a%2Fb",
    "scaivault://host/..", "scaivault://host/t%20t", "scaivault://user@host", "scaivault://höst",
])  # fmt: skip
def test_what_is_no_address_is_refused(url: str) -> None:
    """Nothing of it is folded or cut off."""
    assert refused(url)


def test_a_token_may_come_in_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    """As credential=, as an option, and from the environment; none looks at how it begins."""
    assert settings("scaivault://h", "eyJ.x.y").identity == Token("eyJ.x.y")
    assert settings("scaivault://h", None, token="scai_live_1").identity == Token("scai_live_1")
    monkeypatch.setenv("SCAIVAULT_TOKEN", " skt_env\n")
    assert settings("scaivault://h", None).identity == Token("skt_env")


def test_a_client_may_come_from_options_and_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program says wins over a token in the environment; a token there wins over a client there."""
    plain = settings("scaivault://h", None, **CLIENT).identity
    assert plain == Client("sa-1", "c4nary", TOKEN_URL, "post", SCOPE, None)
    monkeypatch.setenv("SCAIKEY_CLIENT_ID", "sa-1")
    monkeypatch.setenv("SCAIKEY_CLIENT_SECRET", "c4nary")
    assert settings("scaivault://h", None).identity == plain
    said = {"token_url": "https://scaikey.internal/api/v1/platform/oauth/token", "client_auth": "basic", "scope": "a b"}
    other = Client("sa-1", "c4nary", said["token_url"], "basic", "a b", None)
    assert settings("scaivault://h", None, **said).identity == other
    monkeypatch.setenv("SCAIVAULT_TOKEN", "skt_env")
    assert settings("scaivault://h", None).identity == Token("skt_env")
    assert settings("scaivault://h", None, **said).identity == other


def test_nobody_is_an_error_that_names_the_ways() -> None:
    """No token and no client."""
    assert "SCAIVAULT_TOKEN" in refused("scaivault://h", None)
    assert "client_secret" in refused("scaivault://h", None, client_id="sa-1")


@pytest.mark.parametrize(("options", "word"), [
    ({"token": "c4nary with blank"}, "token"), ({"token": ""}, "token"), ({"token": 7}, "token"),
    ({**CLIENT, "token": "x"}, "client_id"), ({**CLIENT, "token_url": "http://h/token"}, "token_url"),
    ({**CLIENT, "token_url": "https://h/token?x=1"}, "token_url"), ({**CLIENT, "token_url": "h"}, "token_url"),
    ({**CLIENT, "token_url": "https://h:99999/token"}, "token_url"),
    ({**CLIENT, "token_url": "https://a@h/token"}, "token_url"), ({**CLIENT, "client_auth": "jwt"}, "client_auth"),
    ({**CLIENT, "scope": "a  b"}, "scope"), ({**CLIENT, "scope": 'a"b'}, "scope"), ({**CLIENT, "client_id": "ä"}, "id"),
    ({**CLIENT, "client_secret": "c4nary\n"}, "client_secret"), ({"hard_delete": "maybe", "token": "x"}, "hard_delete"),
    ({"password": "x"}, "password"), ({"ca": 7, "token": "x"}, "ca"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(options: dict[str, Any], word: str) -> None:
    """And the error names it."""
    assert word in refused("scaivault://h", None, **options)


def test_beside_a_credential_nothing_says_who_asks() -> None:
    """And it is text."""
    assert "beside" in refused("scaivault://h", "skt_1", token="skt_2")
    assert "beside" in refused("scaivault://h", "skt_1", **CLIENT)
    assert "object" in refused("scaivault://h", object())
    assert "credential" in refused("scaivault://h", "c4nary two")


def test_what_differs_is_another_driver() -> None:
    """Host, tenant, certificates and the kind of deletion are the address; who asks is the identity."""
    rests = ("", ":8443", "/t", "?ca=a", "?hard_delete=true")
    assert len({settings(f"scaivault://h{rest}").address for rest in rests}) == len(rests)
    who = [settings("scaivault://h", "a"), settings("scaivault://h", "b"), settings("scaivault://h", None, **CLIENT)]
    assert len({found.identity for found in who}) == 3
    assert len({found.address for found in who}) == 1


def test_who_asks_is_not_shown() -> None:
    """In no repr of the settings or of a part of them."""
    for found in (settings("scaivault://h", "c4nary"), settings("scaivault://h", None, **CLIENT)):
        assert "c4nary" not in f"{found!r} {found.identity!r} {found.address!r}"


# -- names ------------------------------------------------------------------------------

WORD = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]+)?", fullmatch=True)
SEGMENT = st.one_of(st.sampled_from(["batch", "versions"]), WORD)
PORTABLE = st.lists(SEGMENT, min_size=1, max_size=5).map("/".join).filter(is_portable)


@drawn(PORTABLE)
def test_a_portable_name_is_found_again(portable: str) -> None:
    """Its native name is legal, is that of no other, and is no address of the service's own."""
    native = NAMES.encode(portable)
    assert NAMES.canonical(native) == native
    assert NAMES.decode(native) == portable
    assert native == portable or "_" in native
    assert not native.endswith("/versions")
    assert native.partition("/")[0] != "batch"


@drawn(st.one_of(st.text(max_size=40), st.from_regex(r"[a-z_/-]{1,20}", fullmatch=True)))
def test_any_native_name_is_legal_or_none(native: str) -> None:
    """What breaks the service's rules is refused, never altered; what decodes is encoded to the same."""
    assert NAMES.canonical(native) in (None, native)
    portable = NAMES.decode(native)
    assert portable is None or NAMES.encode(portable) == native


@pytest.mark.parametrize(("native", "legal"), [
    ("environments/production/api_key", True), ("a" * 512, True), ("/".join("abcdefghij"), True), ("_batch", True),
    ("-", True), ("a" * 513, False), ("/".join("abcdefghijk"), False), ("/a", False), ("a/", False), ("a//b", False),
    ("A", False), ("a.key", False), ("ü", False), ("", False), ("a/versions", False), ("batch", False), ("a\n", False),
])  # fmt: skip
def test_the_rules_of_paths(native: str, legal: bool) -> None:
    """10 levels, 512 characters, ``a-z 0-9 - _``, no empty level, no slash at an end."""
    assert (NAMES.canonical(native) == native) is legal


@pytest.mark.parametrize(("content", "why"), [
    (None, "cannot be read"), (b"", "has no certificate in PEM"), (b"localhost\n", "has no certificate in PEM"),
])  # fmt: skip
def test_a_file_without_certificates_is_no_failure_of_the_service(
    tmp_path: Path, content: bytes | None, why: str
) -> None:
    """It is said by the first call, which sends nothing; a folder is no file either."""
    file = tmp_path / "ca.pem"
    if content is None:
        file.mkdir()
    else:
        file.write_bytes(content)
    with connect(f"scaivault://localhost?ca={file}", credential="skt_1") as bridge, pytest.raises(KMSError) as caught:
        bridge.secrets.get("a")
    assert why in caught.value.message
    assert caught.value.outcome is Outcome.NOT_SENT
