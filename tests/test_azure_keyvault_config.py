"""Azure Key Vault: what a URL and options say, how names are spelled, what is claimed."""

from __future__ import annotations

import os
from typing import Any

import pytest
from hypothesis import assume, example
from hypothesis import given as drawn
from hypothesis import strategies as st

from kmsbridge import InvalidRequestError, KeySpec, Outcome
from kmsbridge._config import parse_url
from kmsbridge._entra._login import Given, Login
from kmsbridge._names import MAX_SEGMENTS, Names, is_portable
from kmsbridge_azure_keyvault._abilities import MANAGED_HSM, MARKER, VAULT
from kmsbridge_azure_keyvault._config import NAMES, VaultSettings, configure

DEFAULT = Login("default", None, None, None, None)


def configured(url: str, given: object | None = None, /, **options: Any) -> VaultSettings:
    """What is made of a URL and a profile's options."""
    return configure(parse_url(url)._replace(options=options, credential=given))


def refused(url: str, given: object | None = None, /, **options: Any) -> InvalidRequestError:
    """The error, which must say what to write, and come before anything is sent."""
    with pytest.raises(InvalidRequestError) as caught:
        configured(url, given, **options)
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.remediation
    return caught.value


# -- addresses --------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "host", "authority"), [
    ("azure-keyvault://my-vault", "my-vault.vault.azure.net", None),
    ("azure-keyvault://My-Vault/", "my-vault.vault.azure.net", None),
    ("azure-keyvault://abc", "abc.vault.azure.net", None),
    ("azure-keyvault://" + "a" * 24, "a" * 24 + ".vault.azure.net", None),
    ("azure-keyvault://my-vault.vault.azure.net", "my-vault.vault.azure.net", None),
    ("azure-keyvault://my-vault.vault.azure.cn", "my-vault.vault.azure.cn", "https://login.chinacloudapi.cn"),
    ("azure-keyvault://my-vault.vault.usgovcloudapi.net", "my-vault.vault.usgovcloudapi.net",
     "https://login.microsoftonline.us"),
    ("azure-keyvault://my-hsm.managedhsm.azure.net", "my-hsm.managedhsm.azure.net", None),
    ("azure-keyvault://my-hsm.managedhsm.usgovcloudapi.net", "my-hsm.managedhsm.usgovcloudapi.net",
     "https://login.microsoftonline.us"),
    ("azure-keyvault://localhost:8443", "localhost:8443", None),
    ("azure-keyvault://localhost", "localhost", None),
    ("azure-keyvault://my-vault.vault.localhost:8443", "my-vault.vault.localhost:8443", None),
])
def test_a_vault_is_named_or_addressed(url: str, host: str, authority: str | None) -> None:
    """The name alone is a vault of the public cloud; a host says its cloud, which says who gives tokens."""
    settings = configured(url)
    assert settings.url == f"https://{host}"
    assert settings.identity == DEFAULT._replace(authority=authority)
    assert settings.address == (f"https://{host}", None, True)
    hsm = "managedhsm" in host
    assert (settings.hsm, settings.capabilities) == (hsm, MANAGED_HSM if hsm else VAULT)


@pytest.mark.parametrize("host", [
    "", "ab", "a" * 25, "1abc", "-abc", "abc-", "a--bc", "a_bc", "a.b", "vault.azure.net", "abc.vault.azure.com",
    "abc.vault.azure.net.evil.example", "abc.vault.azure.net:443", "a.b.vault.azure.net", "evil.example", "127.0.0.1",
    "localhost.evil.example", "abc.vault.localhost.evil.example", "localhost:0", "localhost:abc", "localhost:123456",
    "x.localhost", "abc.localhost", "äbc", "abc\N{KELVIN SIGN}",
])  # fmt: skip
def test_what_is_no_host_of_a_vault_is_refused(host: str) -> None:
    """Nothing is sent to a host that is none, and no token asked for."""
    assert refused(f"azure-keyvault://{host}").fields[0].path == "url"


def test_a_vault_has_no_path() -> None:
    """What is in it is named by the call."""
    assert "no path" in str(refused("azure-keyvault://my-vault/secrets/a"))
    assert refused("azure-keyvault:my-vault").fields[0].path == "url"


# -- options ----------------------------------------------------------------------------


def test_options_and_parameters_are_the_same() -> None:
    """Each in the profile or in the URL, and not in both."""
    options = {"credential": "managed-identity", "client_id": "id-1", "ca": "ca.pem"}
    written = "&".join(f"{name}={value}" for name, value in options.items())
    one, other = configured("azure-keyvault://my-vault", **options), configured(f"azure-keyvault://my-vault?{written}")
    ca = os.path.abspath("ca.pem")
    assert one == other
    assert (one.ca, one.identity) == (ca, Login("managed-identity", "id-1", None, None, ca))
    assert refused("azure-keyvault://my-vault?ca=a.pem", ca="a.pem").fields[0].path == "options.ca"


@pytest.mark.parametrize("given", [{"cert": "x"}, {"tenant": "x"}, {"Credential": "cli"}])
def test_an_unknown_option_is_refused(given: dict[str, str]) -> None:
    """And the error names those there are."""
    name, value = next(iter(given.items()))
    for error in (refused("azure-keyvault://my-vault", **given), refused(f"azure-keyvault://my-vault?{name}={value}")):
        for known in ("credential", "client_id", "tenant_id", "authority", "ca", "verify_challenge"):
            assert known in error.remediation


@pytest.mark.parametrize("options", [
    {"credential": "password"}, {"credential": 5}, {"credential": ""}, {"credential": ["cli"]},
    {"credential": "cli", "client_id": "a"}, {"credential": "environment", "client_id": "a"},
    {"credential": "environment", "tenant_id": "a"}, {"tenant_id": "a"},
    {"credential": "managed-identity", "tenant_id": "a"},
    {"client_id": "a b"}, {"client_id": ""}, {"client_id": 5}, {"client_id": "a" * 129},
    {"authority": "login.microsoftonline.com"}, {"authority": "http://login.example.com"},
    {"authority": "https://login.example.com/path"}, {"authority": "https://user@login.example.com"}, {"authority": 5},
    {"ca": ""}, {"ca": 5}, {"ca": "a\n"}, {"verify_challenge": "no"}, {"verify_challenge": 0},
])  # fmt: skip
def test_a_wrong_option_is_refused(options: dict[str, Any]) -> None:
    """Before anything is sent, with the option named."""
    assert refused("azure-keyvault://my-vault", **options).fields[0].path.removeprefix("options.") in options


def test_checks_are_switched_off_for_this_machine_only() -> None:
    """A real vault passes them."""
    for off in (False, "false"):
        assert not configured("azure-keyvault://localhost:1", verify_challenge=off).verify_challenge
        assert not configured("azure-keyvault://abc.vault.localhost:1", verify_challenge=off).verify_challenge
        refused("azure-keyvault://my-vault", verify_challenge=off)
    assert configured("azure-keyvault://my-vault", verify_challenge="true").verify_challenge


def test_each_credential_takes_what_it_knows() -> None:
    """A client id where a machine has several identities, a tenant where a login has."""
    for kind, taken in {
        "default": {"client_id"},
        "environment": set[str](),
        "workload-identity": {"client_id", "tenant_id"},
        "managed-identity": {"client_id"},
        "cli": {"tenant_id"},
        "developer-cli": {"tenant_id"},
        "powershell": {"tenant_id"},
    }.items():
        given = dict.fromkeys(taken, "an-id")
        settings = configured("azure-keyvault://my-vault", credential=kind, **given)
        assert settings.identity == Login(kind, given.get("client_id"), given.get("tenant_id"), None, None)


class Credential:
    """As azure-core wants it."""

    def get_token(self, *scopes: str) -> None:
        """None here."""


def test_a_credential_may_be_given() -> None:
    """The same object is the same identity, an equal one is not; what else would say who asks is refused."""
    one, other = Credential(), Credential()
    first, second, third = (configured("azure-keyvault://my-vault", each).identity for each in (one, one, other))
    assert first == second != third
    assert len({first, second, third}) == 2
    assert isinstance(first, Given)
    assert first != DEFAULT
    assert refused("azure-keyvault://my-vault?credential=cli", one).fields[0].path == "options.credential"
    assert refused("azure-keyvault://my-vault?authority=https://a", one).fields[0].path == "options.authority"


@pytest.mark.parametrize("credential", ["secret", 5, object(), b"x"])
def test_what_is_no_credential_is_refused(credential: object) -> None:
    """Its value is not shown."""
    error = refused("azure-keyvault://my-vault", credential)
    assert error.fields[0].path == "credential"
    assert type(credential).__name__ in str(error)
    assert "secret" not in str(error)


# -- names ------------------------------------------------------------------------------


PLAIN = Names(NAMES, {})
segments = st.from_regex(r"[a-c0]{1,4}(-[a-c0]{1,4}){0,2}", fullmatch=True)
portables = st.lists(segments, min_size=1, max_size=MAX_SEGMENTS).map("/".join).filter(is_portable)
natives = st.text("aB0-", min_size=1, max_size=10)
hostile = st.one_of(st.text("aB-/", min_size=1, max_size=12), natives.map("native:{}".format), portables)


def native_of(name: str) -> str | None:
    """The native name; None where the name is refused."""
    try:
        return PLAIN.native(name)
    except InvalidRequestError:
        return None


@drawn(portables)
def test_a_portable_name_comes_back(name: str) -> None:
    """As a name that the vault takes."""
    native = PLAIN.native(name)
    assert NAMES.canonical(native) == native
    assert PLAIN.portable(native) == name


@drawn(hostile, hostile)
@example("a/b", "native:a--b")
@example("native:a---b", "native:A---b")
@example("a-b", "a/b")
def test_two_names_never_meet(one: str, other: str) -> None:
    """Not even where the vault ignores case."""
    assume(one != other)
    first, second = native_of(one), native_of(other)
    if first is not None and second is not None:
        assert first.lower() != second.lower()
    for name, native in ((one, first), (other, second)):
        if native is not None:
            assert PLAIN.portable(native) == name


@drawn(natives)
def test_every_name_in_a_vault_is_reached(native: str) -> None:
    """By exactly one of ours, whatever its case."""
    name = PLAIN.portable(native)
    assert PLAIN.native(name) == native.lower()


def test_names_have_a_length() -> None:
    """The longest portable name fits, and a native one of 128 characters does not."""
    longest = "/".join(["a" * 9] * 10)
    assert len(PLAIN.native(longest[:100])) <= 127
    assert native_of("native:" + "a-" * 63 + "a") is not None
    assert native_of("native:" + "a" * 128) is None
    assert native_of("native:a_b") is None
    assert native_of("native:a\n") is None


# -- claims -----------------------------------------------------------------------------


def test_what_is_claimed_is_what_a_vault_has() -> None:
    """No condition on a set; a deletion time of its own; AES and contexts in an HSM alone, which keeps no secrets."""
    assert not VAULT.secrets.if_absent
    assert not VAULT.keys.deletion_days
    assert not VAULT.keys.context
    assert KeySpec.AES_256 not in VAULT.keys.specs
    assert MANAGED_HSM.keys.specs[KeySpec.AES_256].context
    assert not MANAGED_HSM.keys.rotate
    assert not MANAGED_HSM.secrets.get
    assert len("A" * VAULT.secrets.max_content_type + MARKER) == 255
    assert (VAULT.secrets.max_binary + 2) // 3 * 4 <= VAULT.secrets.max_value
