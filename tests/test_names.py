"""Names: the portable grammar, three ways in which backends spell names, and tables that map them."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from kmsbridge import InvalidRequestError, Outcome
from kmsbridge._names import MAX_LENGTH, MAX_SEGMENTS, IdentityNames, Names, NativeNames, is_portable


class FoldedNames:
    """A backend that ignores case and has no '/': it becomes '--'. Azure Key Vault is one."""

    def encode(self, portable: str) -> str:
        """With '--' between segments."""
        return portable.replace("/", "--")

    def decode(self, native: str) -> str | None:
        """With '/' between segments, where that is a portable name."""
        portable = native.replace("--", "/")
        return portable if is_portable(portable) else None

    def canonical(self, native: str) -> str | None:
        """In lower case."""
        return native.lower() if re.fullmatch(r"[0-9A-Za-z-]{1,127}", native) else None


class EscapedNames:
    """A backend whose ids may hold all but a few characters, which are escaped. Azure Cosmos DB is one."""

    def encode(self, portable: str) -> str:
        """With ':' between segments."""
        return portable.replace("/", ":")

    def decode(self, native: str) -> str | None:
        """With '/' between segments, where that is a portable name."""
        portable = native.replace(":", "/")
        return portable if is_portable(portable) else None

    def canonical(self, native: str) -> str | None:
        """With %XX for what no id may hold."""
        if not native.isprintable() or native != native.strip() or not 0 < len(native) <= 200:
            return None
        return re.sub(r"[/\\?#]", lambda found: f"%{ord(found[0]):02X}", native)


SPELLINGS: list[NativeNames] = [IdentityNames(r"[0-9A-Za-z_/+=.@-]{1,200}"), FoldedNames(), EscapedNames()]
spellings = st.sampled_from(SPELLINGS)
PLAIN = [Names(spelling, {}) for spelling in SPELLINGS]

segments = st.from_regex(r"[a-c0]{1,4}(-[a-c0]{1,4}){0,2}", fullmatch=True)
portables = st.lists(segments, min_size=1, max_size=MAX_SEGMENTS).map("/".join).filter(is_portable)
hostile = st.one_of(
    st.text("ab-/", min_size=1, max_size=12), st.text("aB-%:/", min_size=1, max_size=12),
    st.text("a%2F3?#", max_size=12),
    st.text(max_size=12), portables,
)
names = st.one_of(hostile, hostile.map("native:{}".format), st.text("native:aA-", max_size=14))
short = st.lists(st.sampled_from(["a", "b", "a-b", "0"]), min_size=1, max_size=3).map("/".join)
tables = st.dictionaries(short, st.one_of(short, st.text("aB-%:/", min_size=1, max_size=5)), max_size=4)


def native_of(given_names: Names, name: str) -> str | None:
    """The native name; None where the name is refused."""
    try:
        return given_names.native(name)
    except InvalidRequestError:
        return None


def mapped(spelling: NativeNames, table: dict[str, str]) -> Names | None:
    """The names with a table; None where the table is refused."""
    try:
        return Names(spelling, table)
    except InvalidRequestError:
        return None


# -- the grammar ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", [
    "a", "0", "db-password", "billing/db-password", "a/b/c/d/e/f/g/h/i/j", "a" * 100, "x/acs", "acs-x", "1/2-3",
])
def test_portable_names_work_on_every_backend(name: str) -> None:
    """1 to 10 segments of letters, digits and single hyphens, at most 100 characters."""
    assert is_portable(name)
    for some in PLAIN:
        assert some.portable(some.native(name)) == name


@pytest.mark.parametrize(("name", "why"), [
    ("", "is empty"),
    ("a" * 101, "has 101 characters"),
    ("/".join("abcdefghijk"), "has 11 segments"),
    ("/".join("a" * 50), "has 50 segments"),
    ("acs", "starts with 'acs'"),
    ("acs/x", "starts with 'acs'"),
    ("a//b", "empty segment"),
    ("/a", "empty segment"),
    ("a/", "empty segment"),
    ("a--b", "two in a row"),
    ("a/-b", "'-' at the end of a segment"),
    ("a-/b", "'-' at the end of a segment"),
    ("-", "'-' at the end of a segment"),
    ("DbPassword", "characters other than"),
    ("db_password", "characters other than"),
    ("db password", "characters other than"),
    ("a\n", "characters other than"),
    ("é", "characters other than"),
    ("٣", "characters other than"),
    ("\ud800", "characters other than"),
    ("a:b", "characters other than"),
])
def test_other_names_are_refused_and_the_error_says_why(name: str, why: str) -> None:
    """Nothing is folded and nothing is sent; the error says what is wrong and what to write."""
    assert not is_portable(name)
    for some in PLAIN:
        with pytest.raises(InvalidRequestError) as caught:
            some.native(name)
        assert why in caught.value.message
        assert (caught.value.fields[0].path, caught.value.outcome) == ("name", Outcome.NOT_SENT)
        assert "Write " in caught.value.remediation
        assert str(caught.value).isascii()


@pytest.mark.parametrize("name", [None, 5, b"a", ("a",)])
def test_a_name_is_a_str(name: object) -> None:
    """Anything else is refused by its type, without showing it."""
    with pytest.raises(InvalidRequestError, match=f"not {type(name).__name__}"):
        PLAIN[0].native(name)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequestError, match=f"not {type(name).__name__}"):
        PLAIN[0].check_prefix(name)  # type: ignore[arg-type]


def test_upper_case_is_refused_with_the_spelling_to_use() -> None:
    """A vault that ignores case finds DbPassword under one name only."""
    folded = Names(FoldedNames(), {})
    for name in ("DbPassword", "native:DbPassword", "native:dbpassword"):
        with pytest.raises(InvalidRequestError) as caught:
            folded.native(name)
        assert caught.value.remediation.startswith("Write 'dbpassword'")
    assert folded.native("dbpassword") == "dbpassword"


def test_long_names_are_not_repeated_whole() -> None:
    """An error about a name of a megabyte is short."""
    for name in ("x" * 10**6, "native:" + "x" * 10**6):
        with pytest.raises(InvalidRequestError) as caught:
            PLAIN[1].native(name)
        assert len(str(caught.value)) < 400


# -- properties: no two names meet ----------------------------------------------------------


@given(portables)
def test_a_portable_name_comes_back(name: str) -> None:
    """What a portable name is encoded to is a legal native name in its one spelling, and decodes to it."""
    for spelling, some in zip(SPELLINGS, PLAIN, strict=True):
        native = some.native(name)
        assert spelling.canonical(native) == native
        assert some.portable(native) == name


@given(names, names)
@example("a/b", "a--b")
@example("a-/b", "a---b")
@example("a/-b", "a-/b")
@example("a/b", "native:a--b")
@example("a/b", "native:a/b")
@example("a/b", "native:a:b")
@example("a", "native:a")
@example("native:a%2Fb", "native:a/b")
@example("native:aB", "native:Ab")
def test_two_names_never_meet(one: str, other: str) -> None:
    """Two names that are accepted are two native names, and each comes back as it was written."""
    assume(one != other)
    for some in PLAIN:
        natives = native_of(some, one), native_of(some, other)
        assert natives[0] is None or natives[0] != natives[1]
        for name, native in zip((one, other), natives, strict=True):
            assert native is None or some.portable(native) == name


@given(hostile)
def test_every_native_name_is_reached_by_exactly_one_name(native: str) -> None:
    """What a listing shows addresses the item, and no other form of its name does."""
    for spelling, some in zip(SPELLINGS, PLAIN, strict=True):
        if (canonical := spelling.canonical(native)) is None:
            assert native_of(some, f"native:{native}") is None
            continue
        shown = some.portable(native)
        assert some.portable(canonical) == shown
        assert some.native(shown) == canonical
        forms = {native, canonical, f"native:{native}", f"native:{canonical}", spelling.decode(canonical) or ""}
        assert [form for form in forms if native_of(some, form) == canonical] == [shown]


@given(st.one_of(names, st.text()))
def test_escaped_ids_are_legal(name: str) -> None:
    """No id has a character that its backend refuses, an outer blank or too great a length."""
    native = native_of(Names(EscapedNames(), {}), name)
    if native is not None:
        assert not re.search(r"[/\\?#\x00-\x1f]", native)
        assert native == native.strip()
        assert 0 < len(native) <= 1_023


@given(names)
def test_a_refusal_that_names_another_spelling_names_one_that_works(name: str) -> None:
    """Following the advice of the error reaches an item."""
    for some in PLAIN:
        try:
            some.native(name)
        except InvalidRequestError as error:
            advice = re.match(r"Write ('.*?'|\".*?\")[.,]", error.remediation)
            if advice is not None:
                assert some.native(ast.literal_eval(advice[1]))


# -- tables --------------------------------------------------------------------------------


@given(spellings, tables, names, names)
def test_two_names_never_meet_with_a_table_either(
    spelling: NativeNames, table: dict[str, str], one: str, other: str
) -> None:
    """Mapped, portable and native: names that are accepted are distinct native names and come back."""
    some = mapped(spelling, table)
    assume(some is not None)
    assert some is not None
    found: dict[str, str] = {}
    forms = {one, other, *table, *table.values(), *(f"native:{name}" for name in (*table, *table.values()))}
    for name in sorted(forms):
        native = native_of(some, name)
        if native is not None:
            assert some.portable(native) == name
            assert found.setdefault(native, name) == name


@given(spellings, tables, hostile)
def test_every_native_name_is_reached_with_a_table_too(
    spelling: NativeNames, table: dict[str, str], native: str
) -> None:
    """A table hides no item: what its names stood for before is reached by native: names."""
    some = mapped(spelling, table)
    assume(some is not None)
    assert some is not None
    for each in (native, *table.values(), *(spelling.encode(name) for name in table)):
        canonical = spelling.canonical(each)
        if canonical is not None:
            assert some.native(some.portable(canonical)) == canonical


def test_a_mapped_name_replaces_the_portable_one() -> None:
    """The table says where a name lives; the item of that native name is called by the table's name only."""
    some = Names(IdentityNames(r"[a-z/]+"), {"billing/kek": "alias/billing", "a": "b"}, "key")
    assert some.native("billing/kek") == "alias/billing"
    assert some.portable("alias/billing") == "billing/kek"
    assert some.native("native:a") == "a"
    assert some.portable("a") == "native:a"
    for name, spelled in (("b", "a"), ("native:b", "a"), ("alias/billing", "billing/kek")):
        with pytest.raises(InvalidRequestError, match=f"key '{name}' is called '{spelled}' here") as caught:
            some.native(name)
        assert caught.value.remediation == f"Write '{spelled}'."


def test_names_may_be_swapped() -> None:
    """A table is a mapping, not a chain: it is followed once."""
    some = Names(IdentityNames(r"[a-z]+"), {"a": "b", "b": "a"})
    assert (some.native("a"), some.native("b"), some.portable("a"), some.portable("b")) == ("b", "a", "b", "a")


@pytest.mark.parametrize(("table", "why"), [
    ({"a": "x", "b": "x"}, "secrets 'a' and 'b' are both mapped to 'x'"),
    ({"a": "X", "b": "x"}, "secrets 'a' and 'b' are both mapped to 'x'"),
    ({"A": "x"}, "mapped secret name 'A' has characters other than"),
    ({"a--b": "x"}, "mapped secret name 'a--b' has a '-' at the end of a segment, or two in a row"),
    ({"native:a": "x"}, "mapped secret name 'native:a' has characters other than"),
    ({"a": "x/y"}, "secret 'a' is mapped to 'x/y', which is no legal name there"),
    ({"a": ""}, "secret 'a' is mapped to '', which is no legal name there"),
])
def test_a_table_must_be_one_to_one_and_legal(table: dict[str, str], why: str) -> None:
    """A name listed twice, under any spelling, is found before anything is connected."""
    with pytest.raises(InvalidRequestError) as caught:
        Names(FoldedNames(), table)
    assert caught.value.message.startswith(why)
    assert caught.value.outcome is Outcome.NOT_SENT


# -- prefixes -------------------------------------------------------------------------------


@given(spellings, tables, hostile, st.integers(0, 300))
def test_the_beginning_of_every_name_is_a_prefix(
    spelling: NativeNames, table: dict[str, str], native: str, length: int
) -> None:
    """A listing may be limited to whatever its own names begin with."""
    some = mapped(spelling, table)
    canonical = spelling.canonical(native)
    if some is not None and canonical is not None:
        some.check_prefix(some.portable(canonical)[:length])


@pytest.mark.parametrize("prefix", ["A", "a b", "a\n", "é", "a_b", "x" * (MAX_LENGTH + 1)])
def test_a_prefix_that_fits_no_name_is_refused(prefix: str) -> None:
    """A mistyped prefix is an error, not an empty listing."""
    with pytest.raises(InvalidRequestError, match="no name can start with") as caught:
        PLAIN[0].check_prefix(prefix)
    assert caught.value.fields[0].path == "prefix"
