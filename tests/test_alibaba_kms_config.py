"""Where ``alibaba-kms://`` leads, who asks there, and how names are spelled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from kmsbridge import InvalidRequestError
from kmsbridge._config import Location, parse_url
from kmsbridge._names import is_portable
from kmsbridge_alibaba_kms import configure, name
from kmsbridge_alibaba_kms._abilities import BOTH, INSTANCE, REGION
from kmsbridge_alibaba_kms._config import KEYS, SECRETS, Given, Login

if TYPE_CHECKING:
    from kmsbridge_alibaba_kms._config import KmsSettings

KST = "kst-hzz65f176a0ogplgqu8pg"


class Credential:
    """Has what a credential must have."""

    def get_credential(self) -> object:
        """None to be had."""
        raise NotImplementedError


def settings(url: str, given: object | None = None, /, **options: Any) -> KmsSettings:
    """As a profile with these options gives them."""
    location: Location = parse_url(url)._replace(options=options, credential=given)
    return configure(location)


def refused(url: str, given: object | None = None, /, **options: Any) -> str:
    """What is said of a location that is wrong; it is not sent, and there is advice."""
    with pytest.raises(InvalidRequestError) as caught:
        settings(url, given, **options)
    assert caught.value.outcome == "not_sent"
    assert caught.value.remediation
    return caught.value.message


def test_a_region_is_an_address() -> None:
    """Its public endpoint, the default chain, and all that KMS can do."""
    found = settings("alibaba-kms://cn-hangzhou")
    assert (name, found.region, found.endpoint) == ("alibaba-kms", "cn-hangzhou", "kms.cn-hangzhou.aliyuncs.com")
    assert (found.login, found.instance, found.ca) == (Login("default"), None, None)
    assert found.capabilities is REGION


def test_an_instance_alone_does_what_its_door_does() -> None:
    """Cryptography and reading; with a credential for the region's door beside it, everything."""
    alone = settings(f"alibaba-kms://cn-hangzhou?instance={KST}")
    assert alone.instance is not None
    assert alone.instance.host == f"{KST}.cryptoservice.kms.aliyuncs.com"
    assert (alone.login, alone.capabilities) == (None, INSTANCE)
    both = settings(f"alibaba-kms://cn-hangzhou?instance={KST}&credential=environment")
    assert (both.login, both.capabilities) == (Login("environment"), BOTH)
    assert settings(f"alibaba-kms://cn-hangzhou?instance={KST}", Credential()).capabilities is BOTH


@pytest.mark.parametrize("endpoint", [
    "kms-vpc.cn-hangzhou.aliyuncs.com", "kms.cn-hangzhou.aliyuncs.com", "localhost:8443", "kms.localhost:8443",
])  # fmt: skip
def test_an_endpoint_can_be_named(endpoint: str) -> None:
    """In a VPC, or an emulator on this machine."""
    assert settings("alibaba-kms://cn-hangzhou", endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize("endpoint", [
    "evil.example", "kms.cn-hangzhou.aliyuncs.com.evil.example", "localhost.evil.example", "kms.x.aliyuncs.com@evil",
    "kms.cn-beijing.aliyuncs.com", "kst-other.cryptoservice.kms.aliyuncs.com", "https://localhost", "localhost:0",
    "127.0.0.1:80", "", "kms.cn_hangzhou.aliyuncs.com", "localhost:8443/",
])  # fmt: skip
def test_a_signed_request_goes_to_no_other_host(endpoint: str) -> None:
    """Whoever writes a profile may not send signatures elsewhere."""
    assert "endpoint" in refused("alibaba-kms://cn-hangzhou", endpoint=endpoint)
    assert "endpoint" in refused(f"alibaba-kms://cn-hangzhou?instance={KST}", instance_endpoint=endpoint)


@pytest.mark.parametrize("url", [
    "alibaba-kms://", "alibaba-kms:cn-hangzhou", "alibaba-kms://CN-hangzhou", "alibaba-kms://cn-hangzhou/path",
    "alibaba-kms://hangzhou", "alibaba-kms://cn-hangzhou:443", "alibaba-kms://kms.cn-hangzhou.aliyuncs.com",
    "alibaba-kms://cn-hängzhou",
])  # fmt: skip
def test_what_is_no_region_is_refused(url: str) -> None:
    """Ids of regions are written in one way."""
    assert refused(url)


@pytest.mark.parametrize(("options", "word"), [
    ({"instance": "kst"}, "instance"), ({"instance": "KST-ABCD"}, "instance"), ({"instance": 7}, "instance"),
    ({"client_key": "f"}, "client_key"), ({"instance_ca": "f"}, "instance_ca"),
    ({"credential": "nobody"}, "credential"), ({"credential": 7}, "credential"),
    ({"role_arn": "acs:ram::1:role/r"}, "role_arn"), ({"credential": "role"}, "role_arn"),
    ({"credential": "role", "role_arn": "r"}, "role_arn"),
    ({"credential": "managed-identity", "role_name": "a b"}, "role_name"),
    ({"credential": "environment", "role_name": "r"}, "role_name"),
    ({"instance": KST, "role_arn": "acs:ram::1:role/r"}, "role_arn"),
    ({"access_key": "x"}, "access_key"), ({"ca": ""}, "ca"), ({"ca": "a\n"}, "ca"),
])  # fmt: skip
def test_what_makes_no_sense_is_refused(options: dict[str, Any], word: str) -> None:
    """And the error names it."""
    assert word in refused("alibaba-kms://cn-hangzhou", **options)


def test_an_option_is_said_once() -> None:
    """In the URL or in the profile."""
    assert "both" in refused("alibaba-kms://cn-hangzhou?ca=a", ca="a")


def test_a_credential_object_is_the_identity() -> None:
    """The same object is the same identity; beside it nothing says who asks."""
    mine, other = Credential(), Credential()
    one, two = (settings("alibaba-kms://cn-hangzhou", mine).identity for _ in range(2))
    assert one == two == Given(mine)
    assert hash(one) == hash(two)
    assert one != settings("alibaba-kms://cn-hangzhou", other).identity
    assert "beside" in refused("alibaba-kms://cn-hangzhou", mine, credential="cli")
    assert "object" in refused("alibaba-kms://cn-hangzhou", object())


def test_what_differs_is_another_driver() -> None:
    """Region, endpoint, certificates and instance are the address, the login is the identity."""
    urls = (
        "alibaba-kms://cn-hangzhou", "alibaba-kms://cn-beijing", "alibaba-kms://cn-hangzhou?endpoint=localhost:8443",
        "alibaba-kms://cn-hangzhou?ca=a", f"alibaba-kms://cn-hangzhou?instance={KST}&credential=default",
        f"alibaba-kms://cn-hangzhou?instance={KST}&credential=default&client_key=a",
    )  # fmt: skip
    assert len({settings(url).address for url in urls}) == len(urls)
    assert len({settings(url).identity for url in urls}) == 1


# -- names ------------------------------------------------------------------------------

PORTABLE = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,8})?(/[a-z0-9]{1,8}){0,3}", fullmatch=True).filter(is_portable)


@drawn(PORTABLE)
def test_a_portable_name_is_found_again(portable: str) -> None:
    """In both spellings, and native names are legal."""
    for names in (SECRETS, KEYS):
        native = names.encode(portable)
        assert names.canonical(native) == native
        assert names.decode(native) == portable


@drawn(st.text(max_size=40))
def test_any_native_name_is_legal_or_none(native: str) -> None:
    """What is not in the service's alphabet is refused, never altered; a key's id is no portable name."""
    for names in (SECRETS, KEYS):
        assert names.canonical(native) in (None, native)
    if not native.startswith("alias/"):
        assert KEYS.decode(native) is None


@pytest.mark.parametrize(
    "native", ["alias/Billing_1", "key-hzz65f176a0ogplgqu8pg", "0b30658a-ed1a-4922-b8f7-a673ca9c0000"]
)
def test_keys_are_named_by_aliases_and_by_ids(native: str) -> None:
    """A key that somebody has made without an alias can be used too."""
    assert KEYS.canonical(native) == native
    assert KEYS.canonical(f"{native}?") is None
