"""Where an account is, and who asks it: URL and options to settings."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kmsbridge
from kmsbridge import InvalidRequestError
from kmsbridge._names import is_portable
from kmsbridge_azure_cosmos._config import NAMES, AccountKey, CosmosSettings
from tests.cosmos_account import KEY


def settings(url: str, **options: Any) -> CosmosSettings:
    """What a URL comes to."""
    with kmsbridge.connect(f"azure-cosmos://{url}", **options) as bridge:
        found = bridge._core.calls._hold.settings
    assert isinstance(found, CosmosSettings)
    return found


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("acc/db/c", "https://acc.documents.azure.com"),
        ("Acc-1/db/c", "https://acc-1.documents.azure.com"),
        ("acc.documents.azure.cn/db/c", "https://acc.documents.azure.cn"),
        ("localhost:8081/db/c", "https://localhost:8081"),
        ("127.0.0.1:8081/db/c", "https://127.0.0.1:8081"),
    ],
)
def test_hosts(url: str, host: str) -> None:
    """A name, a whole host of a cloud, or this machine."""
    found = settings(url)
    assert (found.url, found.database, found.container) == (host, "db", "c")
    assert not found.create


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("acc", "url"),
        ("acc/db", "url"),
        ("acc/db/c/d", "url"),
        ("acc/../c", "url"),
        ("acc/db/c%2Fd", "url"),
        ("acc/d b/c", "url"),
        ("a/db/c", "url"),
        ("-acc/db/c", "url"),
        ("acc.example.com/db/c", "url"),
        ("acc.documents.azure.com.example.com/db/c", "url"),
        ("acc:443/db/c", "url"),
        ("acc@documents.azure.com/db/c", "url"),
        ("acc/db/c?recovery_days=0", "options.recovery_days"),
        ("acc/db/c?recovery_days=91", "options.recovery_days"),
        ("acc/db/c?create=yes", "options.create"),
        ("acc/db/c?key=short", "options.key"),
        (f"acc/db/c?key={KEY}&credential=cli", "options.key"),
        ("acc/db/c?credential=nobody", "options.credential"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_sent(url: str, path: str) -> None:
    """With the name of what is wrong, and nothing of a key."""
    with pytest.raises(InvalidRequestError) as info:
        settings(url)
    assert [field.path for field in info.value.fields] == [path]
    assert "short" not in info.value.details()
    assert KEY not in info.value.details()


def test_a_key_is_told_as_an_option_a_credential_or_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is shown by no repr."""
    said = settings(f"acc/db/c?key={KEY.replace('=', '%3D')}")
    given_ = settings("acc/db/c", credential=KEY)
    monkeypatch.setenv("AZURE_COSMOS_KEY", KEY)
    found = settings("acc/db/c")
    for each in (said, given_, found):
        assert each.identity == AccountKey(KEY)
        assert KEY not in repr(each) + repr(each.identity)
    assert not isinstance(settings("acc/db/c?credential=cli").identity, AccountKey)
    with pytest.raises(InvalidRequestError):
        settings(f"acc/db/c?key={KEY.replace('=', '%3D')}", credential=KEY)


@given(st.lists(st.sampled_from(["a", "b-c", "0", "a-0-z"]), min_size=1, max_size=10).map("/".join))
def test_portable_names_come_back(name: str) -> None:
    """What a name is encoded to decodes to that name, and is its own canonical spelling."""
    assert is_portable(name)
    native = NAMES.encode(name)
    assert NAMES.canonical(native) == native
    assert NAMES.decode(native) == name


@given(st.text(alphabet="ab-:/%", max_size=8))
def test_two_names_never_meet(native: str) -> None:
    """A native name is reached by one name alone."""
    if NAMES.canonical(native) is not None and (portable := NAMES.decode(native)) is not None:
        assert NAMES.encode(portable) == native
