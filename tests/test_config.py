"""Where a bridge connects to: argument, environment, file, and the grammar of URLs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsbridge import InvalidRequestError, KMSError, Outcome, PreconditionError
from kmsbridge._config import check_names, find_file, parse_url, read_file, resolve

GOOD = """
default = "eu"
[profiles.eu]
url = "azure-keyvault://vault-eu"
[profiles.eu.secrets]
"billing/db" = "BillingDb"
[profiles.cn]
url = "alibaba-kms://cn-hangzhou?instance=${KST}"
options = {role_arn = "acs:ram::${ACCOUNT}:role/x", retries = [1, "${KST}"], on = true}
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder and home, and no variable of ours."""
    for variable in ("KMSBRIDGE_CONFIG", "KMSBRIDGE_PROFILE", "XDG_CONFIG_HOME", "KST", "ACCOUNT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    folder = tmp_path / "work" / "deep"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return tmp_path


def write(path: Path | str, text: str | bytes = GOOD) -> Path:
    """A configuration file that only its owner may write."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.chmod(0o600)
    return path


def refused(text: str | bytes) -> InvalidRequestError:
    """The error that a file gives."""
    write("kmsbridge.toml", text)
    with pytest.raises(InvalidRequestError) as caught:
        resolve("eu")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert "kmsbridge.toml" in caught.value.message
    assert caught.value.remediation
    assert caught.value.__context__ is None
    return caught.value


# -- what decides ---------------------------------------------------------------------------


def test_an_argument_wins_over_the_environment_and_that_over_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """Argument, KMSBRIDGE_PROFILE, default; each choice says where it came from."""
    path = str(write("kmsbridge.toml").resolve())
    monkeypatch.setenv("KST", "kst-1")
    monkeypatch.setenv("ACCOUNT", "17")
    assert resolve().name == "eu"
    assert resolve().origin == {"profile": f"default in {path}", "url": path, "secrets": path}
    monkeypatch.setenv("KMSBRIDGE_PROFILE", "cn")
    assert resolve().name == "cn"
    assert resolve().origin["profile"] == "KMSBRIDGE_PROFILE"
    assert resolve("eu").name == "eu"
    assert resolve("eu").origin["profile"] == "argument"
    monkeypatch.setenv("KMSBRIDGE_PROFILE", "")
    assert resolve().name == "eu"


def test_what_holds_a_colon_is_a_url_and_needs_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL is taken as it stands, from the argument or the variable, and a broken file does not matter."""
    write("kmsbridge.toml", "not toml")
    assert resolve("memory:") == (None, "memory:", {}, {}, {}, {}, {"url": "argument"})
    monkeypatch.setenv("KMSBRIDGE_PROFILE", "local:/x/${HOME}.db")
    assert resolve().url == "local:/x/${HOME}.db"
    assert resolve().origin == {"url": "KMSBRIDGE_PROFILE"}


def test_a_profile_has_what_its_tables_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """URL, mapped names and options, with each ${VAR} replaced once, at any depth."""
    write("kmsbridge.toml")
    monkeypatch.setenv("KST", "kst-${HOME}")
    monkeypatch.setenv("ACCOUNT", "")
    profile = resolve("cn")
    assert profile.url == "alibaba-kms://cn-hangzhou?instance=kst-${HOME}"
    assert profile.options == {"role_arn": "acs:ram:::role/x", "retries": [1, "kst-${HOME}"], "on": True}
    assert profile.secrets == {}
    assert resolve("eu").secrets == {"billing/db": "BillingDb"}
    location = resolve("eu").location(credential="mine")
    assert (location.scheme, location.host, location.credential) == ("azure-keyvault", "vault-eu", "mine")


def test_nothing_said_is_an_error_that_shows_how_to_start() -> None:
    """There is never a silent local store: the error names `kmsbridge init` and local:."""
    for text in (None, "", '[profiles.eu]\nurl = "memory:"\n'):
        if text is not None:
            write("kmsbridge.toml", text)
        with pytest.raises(InvalidRequestError, match="nothing says where to connect to") as caught:
            resolve()
        assert "kmsbridge init" in caught.value.remediation
        assert "local:" in caught.value.remediation


def test_an_unknown_profile_is_answered_with_the_known_ones() -> None:
    """A mistyped profile costs one look at the error."""
    write("kmsbridge.toml")
    with pytest.raises(InvalidRequestError, match="there is no profile 'us'") as caught:
        resolve("us")
    assert caught.value.remediation == "Profiles there: cn, eu."
    write("kmsbridge.toml", 'default = "eu"')
    with pytest.raises(InvalidRequestError, match="there is no profile 'eu'") as caught:
        resolve()
    assert caught.value.remediation == "Profiles there: none."


def test_a_profile_without_a_file_is_an_error_that_says_so() -> None:
    """It does not look like a mistyped name."""
    with pytest.raises(InvalidRequestError, match="there is no configuration file") as caught:
        resolve("eu")
    assert "kmsbridge init" in caught.value.remediation


@pytest.mark.parametrize("target", [5, b"memory:", Path("x")])
def test_a_target_is_a_str(target: object) -> None:
    """Anything else is refused by its type."""
    with pytest.raises(InvalidRequestError, match=f"not {type(target).__name__}"):
        resolve(target)  # type: ignore[arg-type]


# -- which file ----------------------------------------------------------------------------


def test_the_file_is_looked_for_in_three_places_in_order(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KMSBRIDGE_CONFIG, then the working folder, then the folder of configurations."""
    assert find_file() is None
    assert read_file() is None
    in_home = write(home / "home" / ".config" / "kmsbridge" / "config.toml")
    assert find_file() == str(in_home)
    in_xdg = write(home / "xdg" / "kmsbridge" / "config.toml")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    assert find_file() == str(in_xdg)
    here = write("kmsbridge.toml").resolve()
    assert find_file() == str(here)
    named = write(home / "other.toml")
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(named))
    assert find_file() == str(named)
    monkeypatch.setenv("KMSBRIDGE_CONFIG", "")
    assert find_file() == str(here)


def test_the_file_is_never_looked_for_further_up(home: Path) -> None:
    """A file in a folder above cannot point this program at another store."""
    write(home / "work" / "kmsbridge.toml")
    write(home / "kmsbridge.toml")
    assert find_file() is None


def test_a_named_file_that_is_missing_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """KMSBRIDGE_CONFIG is not passed over for the next place."""
    write("kmsbridge.toml")
    monkeypatch.setenv("KMSBRIDGE_CONFIG", str(home / "missing.toml"))
    with pytest.raises(InvalidRequestError, match=r"missing\.toml cannot be read: No such file") as caught:
        resolve("eu")
    assert caught.value.__context__ is None


# -- who may write it ----------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o622, 0o602, 0o620, 0o666, 0o664])
def test_a_file_that_others_may_write_is_refused(mode: int) -> None:
    """They could point this program at a store of theirs; the error says what to type."""
    write("kmsbridge.toml").chmod(mode)
    with pytest.raises(PreconditionError, match="can be written by others") as caught:
        resolve("eu")
    assert "chmod go-w" in caught.value.remediation
    assert caught.value.outcome is Outcome.NOT_SENT
    assert caught.value.__context__ is None


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o400, 0o755])
def test_a_file_that_others_may_only_read_is_taken(mode: int) -> None:
    """It holds no credential."""
    write("kmsbridge.toml").chmod(mode)
    assert resolve("eu").name == "eu"


def test_a_file_of_somebody_else_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only our own files and root's are believed."""
    path = write("kmsbridge.toml")
    owner = path.stat().st_uid
    monkeypatch.setattr(os, "getuid", lambda: owner + 1)
    if owner == 0:
        assert resolve("eu").name == "eu"
        os.chown(path, 12_345, -1)
    with pytest.raises(PreconditionError, match="can be written by others"):
        resolve("eu")


# -- what is wrong with it -------------------------------------------------------------------


@pytest.mark.parametrize(("text", "why"), [
    ("x = ", "is no valid TOML"),
    ("a = 1\na = 2", "is no valid TOML"),
    ('[profiles.eu.secrets]\n"a" = "x"\n"a" = "y"', "is no valid TOML"),
    ("x = " + "[" * 5_000, "is no valid TOML"),
    ("x = " + "9" * 5_000, "is no valid TOML"),
    ("x = 2024-13-45", "is no valid TOML"),
    (b"x = '\xff'", "is not UTF-8 text"),
    ("profile = {}", "unknown key 'profile'"),
    ('[profiles.eu]\nurl = "memory:"\nuri = ""', "unknown key 'uri' in profiles.eu"),
    ("profiles = 5", "profiles must be a table"),
    ("profiles = {eu = 5}", "profiles.eu must be a table"),
    ("[[profiles]]", "profiles must be a table"),
    ("profiles = {eu = {}}", "profiles.eu needs a 'url'"),
    ("profiles = {eu = {url = 5}}", "profiles.eu needs a 'url'"),
    ('profiles = {eu = {url = "memory:", secrets = "x"}}', "profiles.eu.secrets must be a table"),
    ('profiles = {eu = {url = "memory:", options = []}}', "profiles.eu.options must be a table"),
    ('profiles = {eu = {url = "memory:", secrets = {a = 1}}}', "maps 'a' to what is no name"),
    ("default = 5", "'default' must be the name of a profile"),
    ('profiles = {eu = {url = "memory:"}, cn = {}}', "profiles.cn needs a 'url'"),
])
def test_a_file_that_is_wrong_is_refused_and_the_error_says_where(text: str | bytes, why: str) -> None:
    """Broken TOML, foreign keys and wrong types each have their own clear error."""
    assert why in refused(text).message


def test_an_unknown_key_is_answered_with_the_allowed_ones() -> None:
    """The remediation lists what may stand there."""
    assert "default, profiles" in refused("x = 1").remediation
    assert "url, secrets, keys, retry, options" in refused('[profiles.eu]\nurl = "memory:"\nx = 1').remediation


def test_a_folder_in_the_place_of_the_file_is_an_error() -> None:
    """It is not passed over for the next place."""
    Path("kmsbridge.toml").mkdir()
    with pytest.raises(InvalidRequestError, match="cannot be read: Is a directory") as caught:
        resolve("eu")
    assert caught.value.__context__ is None


def test_an_unset_variable_is_named() -> None:
    """The error names the variable and the place; nothing is connected with a hole in its address."""
    write("kmsbridge.toml")
    with pytest.raises(InvalidRequestError, match=r"profiles\.cn\.url needs the variable KST, which is not") as caught:
        resolve("cn")
    assert caught.value.remediation == "Set KST, or write the value into the file."


def test_a_variable_of_another_profile_may_be_unset() -> None:
    """Only what is used must be there."""
    write("kmsbridge.toml")
    assert resolve("eu").name == "eu"


@pytest.mark.parametrize("text", ["${}", "${1X}", "${A-B}", "${KST", "${KST:-x}"])
def test_what_looks_like_a_variable_and_is_none_is_an_error(text: str) -> None:
    """A mistyped ${...} is not connected to as it stands."""
    assert "${" in refused(f"[profiles.eu]\nurl = 'local:/x/{text}'").message


# -- URLs ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("url", "scheme", "host", "path", "parameters"), [
    ("memory:", "memory", "", "", {}),
    ("local:", "local", "", "", {}),
    ("local:/a/b.db", "local", "", "/a/b.db", {}),
    ("local:a%20b.db", "local", "", "a b.db", {}),
    ("local:///a/b.db", "local", "", "/a/b.db", {}),
    ("azure-keyvault://vault-eu", "azure-keyvault", "vault-eu", "", {}),
    ("azure-keyvault://vault.vault.azure.net:443/", "azure-keyvault", "vault.vault.azure.net:443", "/", {}),
    ("azure-cosmos://acc/db/c%2Fd", "azure-cosmos", "acc", "/db/c/d", {}),
    ("alibaba-kms://cn-x?instance=kst-1&a=%C3%A9=", "alibaba-kms", "cn-x", "", {"instance": "kst-1", "a": "é="}),
    ("x://h/p?q=//a@b", "x", "h", "/p", {"q": "//a@b"}),
    ("x:/a@b", "x", "", "/a@b", {}),
    ("x://[::1]:80/p", "x", "[::1]:80", "/p", {}),
    ("x:ä", "x", "", "ä", {}),
])
def test_a_url_is_taken_apart(url: str, scheme: str, host: str, path: str, parameters: dict[str, str]) -> None:
    """Scheme, host as written, path and parameters percent-decoded."""
    assert parse_url(url) == (scheme, host, path, parameters, {}, None)


@pytest.mark.parametrize(("url", "why"), [
    (":", "must start with a scheme"),
    ("", "must start with a scheme"),
    ("Local:", "must start with a scheme"),
    ("a_b:", "must start with a scheme"),
    ("1a:", "must start with a scheme"),
    ("ä:", "must start with a scheme"),
    ("C:\\x", "must start with a scheme"),
    ("x:a b", "blank or control character"),
    ("x:a\n", "blank or control character"),
    ("x:\x7f", "blank or control character"),
    ("x:a%", "not followed by two hexadecimal digits"),
    ("x:a%G1", "not followed by two hexadecimal digits"),
    ("x:a%٣٣", "not followed by two hexadecimal digits"),
    ("x:a#b", "'#'"),
    ("x://u:p@h", "names a user"),
    ("x://u@h", "names a user"),
    ("x://@h", "names a user"),
    ("x://h:65536", "port is above 65535"),
    ("x://h:99999/p?a=1", "port is above 65535"),
    (f"x://h:{'9' * 5000}", "port is above 65535"),
    ("x://u:pa/ss@h", "names a user"),
    ("x:?", "name=value"),
    ("x:?a", "name=value"),
    ("x:?=a", "name=value"),
    ("x:?a=1&&b=2", "name=value"),
    ("x:?a=1&a=2", "twice"),
    ("x:?%61=1&a=2", "twice"),
    ("x:%ff", "not UTF-8"),
    ("x:%00", "NUL"),
    ("x:?a=%ff", "not UTF-8"),
    ("x:?%ff=a", "not UTF-8"),
    ("x:?a=%00", "NUL"),
    ("x:%ED%A0%80", "not UTF-8"),
])
def test_a_malformed_url_is_refused_and_the_error_says_why(url: str, why: str) -> None:
    """Each mistake has its own words, and a remediation that shows the form."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_url(url)
    assert caught.value.message.startswith("the URL is malformed")
    assert why in caught.value.message
    assert caught.value.fields[0].path == "url"
    assert "<scheme>" in caught.value.remediation
    assert caught.value.__context__ is None


@pytest.mark.parametrize("url", [
    "x://s3cret@h", "x://s3cret:s3cret@h/p", "x://h/s3cret?s3cret", "x://h?a=s3cret&a=s3cret", "x:s3cret b",
    "x:s3cret%zz", "x:s3cret#", "x:s3cret%ff", "x:?token=%ffs3cret", "S3://s3cret", "s3cret", "x://h?s3cret=1&s3cret=2",
])
def test_a_refused_url_is_not_repeated(url: str) -> None:
    """It may hold what it must not: the error echoes no part of it."""
    with pytest.raises(InvalidRequestError) as caught:
        parse_url(url)
    assert "s3cret" not in caught.value.details() + repr(caught.value) + str(caught.value.to_dict())


PIECES = ["s3cret-token", "://", ":", "//", "@", "?", "&", "=", "%", "%41", "%ff", "%00", "#", "/", "a", "[", "]"]
pieces = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=3)), max_size=12).map("".join)


@given(st.one_of(st.text(), pieces, pieces.map("x:{}".format), pieces.map("x://{}".format)))
def test_any_text_is_a_url_or_refused_without_echo(text: str) -> None:
    """parse_url raises nothing but InvalidRequestError, whose text holds no part of the URL."""
    refusal = None
    try:
        location = parse_url(text)
    except InvalidRequestError as error:
        refusal = error
    else:
        assert "@" not in location.host
        assert not any(c.isspace() for c in location.scheme + location.host if c.isascii())
        assert "\0" not in location.path + "".join(location.parameters.values())
    if refusal is not None:
        assert "s3cret" not in refusal.details() + repr(refusal)
        assert refusal.__context__ is None


@given(st.one_of(st.text(), pieces))
def test_any_target_gives_a_profile_or_one_of_our_errors(target: str) -> None:
    """Whatever stands in a command line, the answer is a profile or a KMSError."""
    refusal = None
    try:
        profile = resolve(target)
    except KMSError as error:
        refusal = error
    else:
        assert profile.url == target
    assert refusal is None or refusal.outcome is Outcome.NOT_SENT


def test_unknown_parameters_are_answered_with_the_allowed_ones() -> None:
    """A provider refuses what it does not know, and says what it does, with what each is for."""
    check_names({"a": 1}, {"a": "the first", "b": "the second"}, "parameter")
    with pytest.raises(InvalidRequestError, match="unknown parameter 'c'") as caught:
        check_names({"a": 1, "d": 1, "c": 1}, {"a": "the first", "b": "the second"}, "parameter")
    assert caught.value.remediation == "Allowed: a (the first), b (the second)."
    with pytest.raises(InvalidRequestError) as caught:
        check_names({"c": 1}, {}, "option")
    assert caught.value.remediation == "Allowed: none."
