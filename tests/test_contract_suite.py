"""The contract suite itself: it passes what keeps the contract, and catches what does not."""

from __future__ import annotations

import inspect
import os
import re
from base64 import b64encode, urlsafe_b64encode
from dataclasses import fields
from functools import partial
from typing import TYPE_CHECKING

import pytest

from kmsbridge import Capabilities, KeyAbilities, SecretAbilities, connect
from kmsbridge.contract import Canary, Contract, Harness, KeysContract, SecretsContract, needs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from kmsbridge.contract import Backend

    Plugins = Sequence[object]
    Run = Callable[..., tuple[dict[str, int], str]]

pytest_plugins = ["pytester"]

HERE = os.path.dirname(__file__)
PAGE = os.path.join(HERE, "..", "docs", "testing-a-provider.md")
ABILITIES = (
    "content_type",
    "delete",
    "deleted",
    "enabled",
    "expires_at",
    "get",
    "get_version",
    "if_absent",
    "list",
    "purge",
    "recover",
    "set",
    "tags",
    "update",
    "update_version",
    "versions",
)
KEY_ABILITIES = tuple(sorted(field.name for field in fields(KeyAbilities) if field.type == "bool"))
SUITE = """
from contextlib import contextmanager
from secrets import token_hex
from kmsbridge.contract import Backend, Harness, {contract}

class Fake(Harness):
    page_size = 3

    @contextmanager
    def backend(self):
        yield Backend(f"{scheme}://{{token_hex(8)}}{query}")

class TestFake({contract}):
    harness = Fake()
"""


class EachCaseOnce:
    """A plugin that leaves out the async mode, in which cases do the same, but for what is not claimed."""

    @staticmethod
    def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
        """Keep the rest, without a word about what was left out."""
        items[:] = [each for each in items if "is_not_claimed" in each.name or not re.search(r"\basync\b", each.name)]


def cases(contract: type[Contract]) -> dict[str, Callable[..., object]]:
    """The cases of a contract, by name."""
    functions = inspect.getmembers(contract, inspect.isfunction)
    return {name: case for name, case in functions if name.startswith("test")}


CASES = cases(SecretsContract)
KEY_CASES = cases(KeysContract)
ONE_CASE = "test_if_absent_does_not_overwrite"


@pytest.fixture(scope="module", autouse=True)
def imported() -> None:
    """What a run imports is forgotten with it, so that each would import the same again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(HERE)
        for scheme in ("fake", "fakekeys"):
            connect(f"{scheme}://imports").health()


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the suite, or some cases of it, on a fake provider: what came of them, and what was printed."""
    monkeypatch.syspath_prepend(HERE)
    options = ("-W", "error", "-p", "no:cacheprovider", "-o", "asyncio_default_fixture_loop_scope=function")

    def run(
        query: str, *arguments: str, cases: str = "test", contract: str = "SecretsContract", plugins: Plugins = ()
    ) -> tuple[dict[str, int], str]:
        scheme = "fake" if contract == "SecretsContract" else "fakekeys"
        pytester.makepyfile(test_fake=SUITE.format(query=query, contract=contract, scheme=scheme))
        # What need not be run is not collected either: that takes longer than a few cases do.
        only = ("-o", f"python_functions={cases}")
        result = pytester.runpytest_inprocess(*options, *only, *arguments, plugins=plugins)
        return result.parseoutcomes(), result.stdout.str()

    return run


@pytest.fixture
def run_keys(run: Run) -> Run:
    """The same for keys."""
    return partial(run, contract="KeysContract")


def test_a_provider_that_keeps_the_contract_passes(run: Run) -> None:
    """All cases but those about what is not claimed, and none is skipped."""
    outcomes, printed = run("", "-v")
    assert set(outcomes) == {"passed"}, printed
    assert "test_what_is_missing_is_not_found[async]" in printed
    assert "is_not_claimed" not in printed


@pytest.mark.parametrize(
    "lacks",
    [
        ("if_absent",),
        ("recover", "purge", "deleted", "enabled", "update", "update_version"),
        tuple(name for name in ABILITIES if name not in ("get", "set")),
        ABILITIES,
    ],
    ids=["one", "some", "most", "all"],
)
def test_a_provider_that_lacks_abilities_passes(run: Run, lacks: tuple[str, ...]) -> None:
    """What it lacks is tested to be refused, in each mode; nothing else is, and nothing is skipped."""
    outcomes, printed = run(f"?lacks={','.join(lacks)}", "-v", plugins=[EachCaseOnce])
    assert set(outcomes) == {"passed"}, printed
    for case in ("is_refused", "is_not_there"):
        tested = re.findall(rf"test_an_ability_that_is_not_claimed_{case}\[(\w+)-a?sync\]", printed)
        swapped = re.findall(rf"test_an_ability_that_is_not_claimed_{case}\[a?sync-(\w+)\]", printed)
        assert sorted(tested + swapped) == sorted(lacks * 2)


@pytest.mark.parametrize("ability", ABILITIES)
def test_a_provider_that_claims_too_much_fails(run: Run, ability: str) -> None:
    """What is claimed must work."""
    asking = [name for name, case in CASES.items() if ability in getattr(case, "needs", ())]
    outcomes, printed = run(f"?boasts={ability}", "-x", cases=" ".join(asking))
    assert outcomes.get("failed") == 1, printed


@pytest.mark.parametrize("ability", ABILITIES)
def test_a_provider_that_claims_too_little_fails(run: Run, ability: str) -> None:
    """What works must be claimed."""
    outcomes, printed = run(f"?hides={ability}", cases="test_an_ability_that_is_not_claimed_is_not_there")
    assert outcomes == {"failed": 2}, printed
    assert f"the driver can do {ability}, and the provider does not claim it" in printed


LEAKS = {
    "log": "the formatted log record of logger 'kmsbridge_fake.wire'",
    "log-extra": "the attributes of a log record of logger 'kmsbridge_fake.wire'",
    "log-base64": "the formatted log record of logger 'kmsbridge_fake.wire'",
    "log-hex": "the formatted log record of logger 'kmsbridge_fake.wire'",
    "log-traceback": "the formatted log record of logger 'kmsbridge_fake.wire'",
    "log-apart": "the formatted log record of logger 'kmsbridge_fake.apart'",
    "event": "an event",
    "tags": "the tags of what secrets.set returned",
    "message": "str of the ConflictError raised",
    "chained": "str of the ValueError chained to the error",
    "context": "str of the ValueError chained to the error",
    "attribute": "the pickled error",
}


@pytest.mark.parametrize("leak", LEAKS)
def test_a_value_that_leaks_is_found(run: Run, leak: str) -> None:
    """Whatever a value leaks into, the case fails, says where, and does not show the value there."""
    outcomes, printed = run(f"?leaks={leak}", "--tb=line", "--show-capture=no", cases=ONE_CASE)
    assert outcomes["errors"] == 2, printed
    assert LEAKS[leak] in printed
    assert "<the value>" in printed
    found = [line for line in printed.splitlines() if "a secret value was found" in line]
    assert found
    assert not re.search(r"canary[0-9a-f]{20}", "".join(found))


def test_a_value_in_a_warning_is_found(run: Run) -> None:
    """And the warning still goes to the filters of the test run."""
    outcomes, printed = run("?leaks=warning", "-W", "default", cases=ONE_CASE)
    assert outcomes["errors"] == 2, printed
    assert "a warning: ...cannot store b'<the value>1' for long" in printed
    assert outcomes["warnings"] > 0


def test_a_value_in_a_local_variable_of_a_frame_is_found(run: Run, pytester: pytest.Pytester) -> None:
    """The traceback of an error holds the frames that it left, and error reporters print their variables."""
    pytester.makeconftest("""
        import pytest
        from kmsbridge import AsyncSecrets, Secrets

        @pytest.fixture(autouse=True)
        def careless(monkeypatch):
            for face in (Secrets, AsyncSecrets):
                def kept(self, name, value, *, _set=face.set, **options):
                    if _set is kept_sync:
                        return _set(self, name, value, **options)
                    async def wait():
                        again = value
                        return await _set(self, name, again, **options)
                    return wait()
                monkeypatch.setattr(face, "set", kept)

        kept_sync = Secrets.set
    """)
    outcomes, printed = run("", "--tb=line", cases=ONE_CASE)
    assert outcomes["errors"] == 2, printed
    assert "traceback with locals of the ConflictError raised" in printed


def test_a_foreign_exception_that_hangs_on_an_error_is_found(run: Run) -> None:
    """Even if it holds no value this time."""
    outcomes, printed = run("?leaks=foreign", cases=ONE_CASE)
    assert outcomes["failed"] == 2, printed
    assert "a foreign exception hangs on <ConflictError" in printed


def test_a_failing_case_shows_what_it_compared(run: Run) -> None:
    """The asserts of the suite are rewritten like those of a test module."""
    _, printed = run("?boasts=tags", cases="test_tags_come_back")
    assert re.search(r"assert {} == {", printed), printed


def test_a_provider_of_keys_that_keeps_the_contract_passes(run_keys: Run) -> None:
    """All cases but those about what is not claimed, and none is skipped."""
    outcomes, printed = run_keys("", "-v")
    assert set(outcomes) == {"passed"}, printed
    assert "test_what_is_missing_is_not_found[async]" in printed
    assert "test_an_ability_that_is_not_claimed" not in printed


@pytest.mark.parametrize(
    "lacks",
    [
        ("tags", "context", "enable_version", "generate_data_key", "schedule_deletion", "deletion_days",
         "cancel_deletion"),
        ("sign", "verify", "public_key", "EC_P256", "RSA_2048"),
        ("encrypt", "decrypt", "wrap", "unwrap", "generate_data_key", "context", "AES_256"),
        tuple(name for name in KEY_ABILITIES if name != "create"),
        KEY_ABILITIES,
    ],
    ids=["some", "only to encrypt", "only to sign", "most", "all"],
)
def test_a_provider_of_keys_that_lacks_abilities_passes(run_keys: Run, lacks: tuple[str, ...]) -> None:
    """What it lacks is tested to be refused, in each mode; nothing else is, and nothing is skipped."""
    outcomes, printed = run_keys(f"?lacks={','.join(lacks)}", "-v", plugins=[EachCaseOnce])
    assert set(outcomes) == {"passed"}, printed
    for case in ("is_refused", "is_not_there"):
        tested = re.findall(rf"test_an_ability_that_is_not_claimed_{case}\[(\w+)-a?sync\]", printed)
        swapped = re.findall(rf"test_an_ability_that_is_not_claimed_{case}\[a?sync-(\w+)\]", printed)
        assert sorted(tested + swapped) == sorted([name for name in lacks if name in KEY_ABILITIES] * 2)


@pytest.mark.parametrize("ability", [*KEY_ABILITIES, "EC_P384"])
def test_a_provider_of_keys_that_claims_too_much_fails(run_keys: Run, ability: str) -> None:
    """What is claimed must work, abilities and kinds of key."""
    asking = [name for name, case in KEY_CASES.items() if ability in getattr(case, "needs", ())]
    chosen = " ".join(asking or ["test_each_kind_of_key"])
    outcomes, printed = run_keys(f"?boasts={ability}", "-x", cases=chosen)
    assert outcomes.get("failed") == 1, printed


@pytest.mark.parametrize("ability", KEY_ABILITIES)
def test_a_provider_of_keys_that_claims_too_little_fails(run_keys: Run, ability: str) -> None:
    """What works must be claimed."""
    outcomes, printed = run_keys(f"?hides={ability}", cases="test_an_ability_that_is_not_claimed_is_not_there")
    assert outcomes == {"failed": 2}, printed
    assert f"the driver can do {ability}, and the provider does not claim it" in printed


def test_a_provider_that_hides_a_kind_of_key_fails(run_keys: Run) -> None:
    """What can be made must be claimed."""
    outcomes, printed = run_keys("?hides=EC_P256", cases="test_a_kind_of_key_that_is_not_claimed_is_not_there")
    assert outcomes["failed"] == 2, printed
    assert "the driver makes EC_P256, and the provider does not claim it" in printed


ERRORS = {
    "drops-context": "test_a_kind_of_key_that_binds_no_context_takes_none",
    "enables": "test_keeping_a_key_does_not_enable_it",
    "falls-back": "test_a_disabled_latest_version_is_not_replaced_by_an_older_one",
    "forgets": "test_what_an_old_version_gave_is_taken_back",
    "guessed": "test_a_data_key_is_fresh",
    "overwrites": "test_a_scheduled_deletion_holds_the_name",
    "places": "test_no_damaged_ciphertext_decrypts",
    "repeats": "test_no_two_ciphertexts_are_the_same",
    "trusts": "test_another_algorithm_does_not_decrypt",
    "uses-disabled": "test_a_disabled_key_is_not_used",
    "uses-pending": "test_a_key_is_not_used_while_its_deletion_is_scheduled",
    "verifies": "test_what_does_not_fit_is_false",
}


@pytest.mark.parametrize("error", ERRORS)
def test_a_provider_of_keys_that_errs_fails(run_keys: Run, error: str) -> None:
    """Each of the mistakes that a backend or its driver may make is found by the case about it."""
    outcomes, printed = run_keys(f"?errs={error}", cases=ERRORS[error])
    assert outcomes.get("failed", 0) >= 2, printed


KEY_LEAKS = {
    "ciphertext": "the repr of what keys.encrypt returned",
    "event": "an event",
    "log": "the formatted log record of logger 'kmsbridge_fakekeys.wire'",
    "message": "str of the InvalidRequestError raised",
}


@pytest.mark.parametrize("leak", KEY_LEAKS)
def test_a_plaintext_that_leaks_is_found(run_keys: Run, leak: str) -> None:
    """Whatever it leaks into, and a ciphertext is no place for it either."""
    case = "*one_byte_too_many*" if leak == "message" else "*no_two_ciphertexts*"
    outcomes, printed = run_keys(f"?leaks={leak}", "--tb=line", "--show-capture=no", cases=case)
    assert outcomes["errors"] >= 2, printed
    assert KEY_LEAKS[leak] in printed
    found = [line for line in printed.splitlines() if "a secret value was found" in line]
    assert found
    assert not re.search(r"canary[0-9a-f]{20}", "".join(found))


@pytest.mark.parametrize(
    ("contract", "abilities"), [(SecretsContract, ABILITIES), (KeysContract, KEY_ABILITIES)], ids=["secrets", "keys"]
)
def test_every_ability_is_needed_by_a_case(contract: type[Contract], abilities: tuple[str, ...]) -> None:
    """A new ability without a case would be a claim that nobody checks."""
    needed = {ability for case in cases(contract).values() for ability in getattr(case, "needs", ())}
    assert needed == set(abilities)


@pytest.mark.parametrize("contract", [SecretsContract, KeysContract], ids=["secrets", "keys"])
def test_every_case_states_its_rule_once_for_both_modes(contract: type[Contract]) -> None:
    """Each is a coroutine with a docstring, has its name alone, and asks for abilities that exist."""
    found = cases(contract)
    assert len(found) > 80
    written = [name for base in contract.__mro__ for name in vars(base) if name.startswith("test")]
    assert sorted(written) == sorted(found)
    for name, case in found.items():
        assert inspect.iscoroutinefunction(case), name
        assert case.__doc__, name
        assert getattr(case, "without", frozenset()) <= set(
            ABILITIES if contract is SecretsContract else KEY_ABILITIES
        ), name


def test_a_class_without_a_harness_can_be_derived_from() -> None:
    """It keeps all cases, so that who tests several providers can add to them first."""

    class More(SecretsContract):
        pass

    assert issubclass(More, Contract)
    assert all(getattr(More, name) is case for name, case in CASES.items())


def test_a_class_has_one_harness() -> None:
    """A second one would find the cases gone that did not apply to the first."""

    class First(SecretsContract):
        harness = _Shelf()

    class More(First):
        @needs("recover")
        async def test_something(self) -> None:
            """It does not apply here."""

    assert More.test_something is None
    assert First.unclaimed == More.unclaimed
    with pytest.raises(TypeError, match="harness of its own"):

        class Second(First):
            harness = _Shelf()


def test_an_ability_that_does_not_exist_is_a_mistake() -> None:
    """A case that asks for it would never run."""
    with pytest.raises(TypeError, match="do not exist: recovers"):

        class Wrong(SecretsContract):
            harness = _Shelf()

            @needs("recovers")
            async def test_something(self) -> None:
                """It can never apply."""


class _Shelf(Harness):
    """Where nothing can be recovered."""

    def backend(self) -> AbstractContextManager[Backend]:
        raise AssertionError("no case is run")

    def capabilities(self) -> Capabilities:
        return Capabilities(secrets=SecretAbilities(get=True, set=True, max_value=64))


def test_the_canary_is_found_however_it_is_written() -> None:
    """As it is, in any case, as hexadecimal digits, and as Base64 in each alignment."""
    canary = Canary()
    for value in (canary.text("!"), canary.sized(100), canary.bytes(b"!").decode()):
        assert canary.find(f"PUT {value}") is not None
        assert canary.find(value.upper()) is not None
        assert canary.find(value.encode().hex()) is not None
        for before in range(4):
            raw = b"?" * before + value.encode()
            assert canary.find(b64encode(raw).decode()) is not None
            assert canary.find(urlsafe_b64encode(raw).decode()) is not None


def test_the_canary_is_not_found_where_it_is_not() -> None:
    """Nor is that of another run."""
    canary = Canary()
    for text in ("", "canary", Canary().token, canary.token[:-1], b64encode(Canary().bytes()).decode()):
        assert canary.find(text) is None


def test_what_is_found_is_shown_without_the_value() -> None:
    """The surroundings say where it leaked."""
    canary = Canary()
    assert canary.find(f"value={canary.token};\nnext") == "value=<the value>; next"


@pytest.mark.parametrize("size", [0, 1, 25, 26, 27, 1000])
def test_a_sized_value_has_its_size(size: int) -> None:
    """In characters, which are bytes."""
    value = Canary().sized(size)
    assert len(value) == len(value.encode()) == size


def test_the_example_in_the_documentation_passes(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page's provider and its test files, as they stand there."""
    with open(PAGE, encoding="utf-8") as stream:
        blocks = re.findall(r"```python\n# (\S+\.py)\n(.*?)```", stream.read(), re.DOTALL)
    assert [name for name, _ in blocks] == ["kmsbridge_shelf.py", "test_shelf.py", "test_lending.py"]
    for name, text in blocks:
        pytester.makepyfile(**{name.removesuffix(".py"): text})
    monkeypatch.syspath_prepend(pytester.path)
    result = pytester.runpytest_inprocess("-W", "error", "-o", "asyncio_default_fixture_loop_scope=function")
    outcomes = result.parseoutcomes()
    assert set(outcomes) == {"passed"}, result.stdout.str()
    assert outcomes["passed"] > 200
