"""Who asks a vault, and how often it has to say so: challenges, tokens, threads, event loops, processes, logs."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from azure.core.credentials import AccessToken, AccessTokenInfo
from azure.core.exceptions import ClientAuthenticationError
from azure.keyvault.secrets._shared import http_challenge_cache

from contract_tests.keyvault_emulator import emptied, url
from contract_tests.test_wire_shared import children
from kmsbridge import (
    AuthenticationError,
    Code,
    Identity,
    InvalidRequestError,
    KMSError,
    Outcome,
    RetryPolicy,
    UnavailableError,
    connect,
    connect_async,
)
from kmsbridge._entra import _tokens
from kmsbridge._registry import DRIVERS
from kmsbridge.contract import BridgeView, Canary, Witness
from kmsbridge.emulation import Answer, Delay, Emulator, Hang, Reset
from kmsbridge_azure_keyvault import _vault
from kmsbridge_azure_keyvault.emulator import KeyVault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from azure.core.credentials import TokenRequestOptions

LONG = os.environ.get("KMSBRIDGE_LONG") == "1"
CLIENT = "33333333-3333-4333-8333-333333333333"
OBJECT = "44444444-4444-4444-8444-444444444444"
TENANT = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The emulator, empty, before a process that knows no token, no challenge, no vault."""
    DRIVERS.close_process()
    http_challenge_cache.clear()
    _vault._OPENED.clear()
    _tokens.STORES.lasting.clear()
    with emptied() as running:
        yield running


def used(bridge: Any) -> str:
    """Secrets and keys, in the sync mode."""
    text: str = bridge.secrets.get("a").text
    list(bridge.keys.list())
    return text


# -- one challenge a vault, one token ---------------------------------------------------


def test_many_bridges_make_one_challenge_and_one_token(emulator: Emulator) -> None:
    """100 bridges to each of two vaults, from 16 threads and over 5 event loops, first used all at once."""
    vaults = ("first.vault.localhost", "second.vault.localhost")
    for host in vaults:  # the secrets are put there by another client, whose challenges do not count
        with connect(url(host)) as bridge:
            bridge.secrets.set("a", host)
    DRIVERS.close_process()
    http_challenge_cache.clear()
    _vault._OPENED.clear()
    _tokens.STORES.lasting.clear()
    emulator.requests.reset()
    start = threading.Barrier(21)

    def work() -> list[str]:
        start.wait()
        found = []
        for number in range(10):
            with connect(url(vaults[number % 2])) as bridge:
                found.append(used(bridge))
        return found

    def loop() -> list[str]:
        async def main() -> list[str]:
            found = []
            for number in range(8):
                async with connect_async(url(vaults[number % 2])) as bridge:
                    found.append((await bridge.secrets.get("a")).text)
                    assert [key async for key in bridge.keys.list()] == []
            return found

        start.wait()
        return asyncio.run(main())

    with ThreadPoolExecutor(21) as pool:
        results = [pool.submit(work) for _ in range(16)] + [pool.submit(loop) for _ in range(5)]
        found = [text for result in results for text in result.result(60)]
    assert len(found) == 200
    assert [found.count(host) for host in vaults] == [100, 100]
    assert emulator.requests.count(status=401) == 2
    assert emulator.requests.count("Token") == 1


def test_a_first_call_that_fails_is_nobody_elses_failure(emulator: Emulator) -> None:
    """It goes alone; who waited for it goes next."""
    with connect(url()) as bridge:
        bridge.secrets.set("a", "value")
    http_challenge_cache.clear()
    _vault._OPENED.clear()
    emulator.fail("Challenge", Reset())
    start = threading.Barrier(8)

    def work() -> str:
        start.wait()
        try:
            with connect(url(), retry=ONCE) as bridge:
                return bridge.secrets.get("a").text
        except KMSError as error:
            return error.code.value

    with ThreadPoolExecutor(8) as pool:
        found = [each.result(30) for each in [pool.submit(work) for _ in range(8)]]
    assert sorted(found) == ["network_error", *["value"] * 7]


def test_a_token_request_that_hangs_is_nobody_elses_failure(emulator: Emulator) -> None:
    """Who has more time than the one that asks first asks again, and gets the token."""
    emulator.fail("Token", Hang(5.0))

    def work(timeout: float) -> str:
        with connect(url()) as bridge:
            try:
                bridge.secrets.set("a", "value", timeout=timeout)
            except KMSError as error:
                return f"{error.code} {error.outcome}"
        return "set"

    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(work, 0.5)
        time.sleep(0.2)
        others = [pool.submit(work, 20.0) for _ in range(2)]
        assert first.result(30) == "timeout not_sent"
        assert [other.result(30) for other in others] == ["set", "set"]
    assert emulator.requests.count("Token") == 2


def test_a_loop_is_not_held_up_by_a_token(emulator: Emulator) -> None:
    """The credential works in a thread."""
    emulator.fail("Token", Delay(0.5))

    async def main() -> float:
        longest, done = 0.0, asyncio.Event()

        async def watch() -> None:
            nonlocal longest
            while not done.is_set():
                before = time.monotonic()
                await asyncio.sleep(0.001)
                longest = max(longest, time.monotonic() - before)

        async with connect_async(url()) as bridge:
            with suppress(KMSError):  # loads the SDK, which holds the interpreter
                await bridge.secrets.get("a", timeout=0.05)
            emulator.fail("Token", Delay(0.5))
            watching = asyncio.create_task(watch())
            await bridge.secrets.set("a", "value")
            done.set()
            await watching
        return longest

    assert asyncio.run(main()) < 0.25


# -- fork -------------------------------------------------------------------------------


def test_a_warm_bridge_is_used_after_fork(emulator: Emulator) -> None:
    """Parent and four children read over one bridge at the same time, and each reads what it asked for."""
    reads = 1000 if LONG else 200
    with connect(url()) as bridge:
        for number in range(20):
            bridge.secrets.set(f"a/{number}", f"value {number}")
        with ThreadPoolExecutor(8) as pool:  # several connections are open
            list(pool.map(lambda number: bridge.secrets.get(f"a/{number % 20}"), range(64)))
        emulator.requests.reset()

        def work(child: int) -> bool:
            names = [(child + number) % 20 for number in range(reads)]
            return all(bridge.secrets.get(f"a/{number}").text == f"value {number}" for number in names)

        with children(4, work):
            assert work(4)
    assert emulator.requests.count("GetSecret", status=200) == 5 * reads
    assert emulator.requests.count("Token") == 0


@pytest.mark.usefixtures("emulator")
def test_a_fork_waits_for_the_sdks_lock() -> None:
    """A child does not inherit it from a thread that would have to release it."""
    with connect(url()) as bridge:
        bridge.secrets.set("a", "value")
        held = threading.Event()

        def hold() -> None:
            with http_challenge_cache._lock:
                held.set()
                time.sleep(0.3)

        holder = threading.Thread(target=hold)
        holder.start()
        held.wait(5)
        with children(1, lambda _: bridge.secrets.get("a", timeout=10).text == "value"):
            holder.join()
        assert bridge.secrets.get("a").text == "value"


# -- tokens that are refused, and new ones ----------------------------------------------


@pytest.fixture(params=["sync", "async"])
def mode(request: pytest.FixtureRequest) -> str:
    """Either of the two."""
    mode: str = request.param
    return mode


ONCE = RetryPolicy(attempts=1)


def view(mode: str, target: str | None = None, **options: Any) -> BridgeView:
    """A bridge of that mode."""
    return BridgeView((connect if mode == "sync" else connect_async)(target or url(), **options), Witness(Canary()))


@pytest.mark.parametrize("name", ["TokenLifetime", "SigningKeyUnresolved", "MissingToken"])
async def test_a_refused_token_is_replaced_once(emulator: Emulator, mode: str, name: str) -> None:
    """A fresh one is fetched, and the call made again; who comes later finds it there."""
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.requests.reset()
        emulator.fail("GetSecret", name)
        assert (await bridge.secrets.get("a")).value == "value"
        assert emulator.requests.count("Token") == 1
        assert (await bridge.secrets.get("a")).value == "value"
        assert emulator.requests.count("Token") == 1


@pytest.mark.parametrize(("name", "sent"), [("InvalidAudience", 1), ("TokenLifetime", 2)])
async def test_a_refused_token_is_not_sent_again(emulator: Emulator, mode: str, name: str, sent: int) -> None:
    """What a new token cannot mend costs one request; else there is one more, with that token."""
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.requests.reset()
        emulator.fail("GetSecret", name, times=None)
        with pytest.raises(AuthenticationError) as caught:
            await bridge.secrets.get("a")
    assert caught.value.attempts == sent
    assert sum(bool(seen.failure) for seen in emulator.requests) == sent
    assert emulator.requests.count("Token") == sent - 1


async def test_many_refused_at_once_fetch_one_token(emulator: Emulator) -> None:
    """Whose token was refused takes the one that another has fetched meanwhile."""
    async with connect_async(url()) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.requests.reset()
        emulator.configure(claims_challenge=7)
        found = await asyncio.gather(*(bridge.secrets.get("a") for _ in range(50)))
    assert [secret.text for secret in found] == ["value"] * 50
    assert emulator.requests.count("Token") == 1


async def test_a_revoked_token_is_replaced(emulator: Emulator, mode: str) -> None:
    """Continuous access evaluation: the vault says what it wants to see, and gets it within the call."""
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.requests.reset()
        for number in (7, 8):
            emulator.configure(claims_challenge=number)
            assert (await bridge.secrets.get("a")).value == "value"
            assert (await bridge.secrets.get("a")).value == "value"
        assert emulator.requests.count("Token") == 2
        assert emulator.requests.count(status=401) == 2
    DRIVERS.close_process()
    async with view(mode) as bridge:  # what was fetched for the claims is what the next one uses
        assert (await bridge.secrets.get("a")).value == "value"
    assert emulator.requests.count("Token") == 2


async def test_a_token_is_renewed_before_it_expires(
    emulator: Emulator, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """300 s before; where that fails it is used until it expires, and not asked for with every call."""
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.requests.reset()
        now = time.time
        monkeypatch.setattr(time, "time", lambda: now() + 3599 - 301)
        await bridge.secrets.get("a")
        assert emulator.requests.count("Token") == 0
        monkeypatch.setattr(time, "time", lambda: now() + 3599 - 299)
        emulator.fail("Token", "AADSTS90033")
        for _ in range(3):
            assert (await bridge.secrets.get("a")).value == "value"
        assert emulator.requests.count("Token") == 1
        monkeypatch.setattr(time, "time", lambda: now() + 3599 - 260)
        assert (await bridge.secrets.get("a")).value == "value"
        assert emulator.requests.count("Token") == 2


# -- who we are -------------------------------------------------------------------------


async def test_the_identity_is_told(emulator: Emulator, mode: str) -> None:
    """Which credential gave the token, and for whom, in health and in every error."""
    async with view(mode) as bridge:
        health = await bridge.health()
        assert health.identity == Identity("EnvironmentCredential", TENANT, CLIENT, OBJECT)
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a")
        assert caught.value.identity == health.identity
        emulator.configure(denied=("GetSecret", "GetSecrets"))
        with pytest.raises(KMSError) as caught:  # the vault says who was refused, and not which credential that was
            await bridge.secrets.get("a")
        assert caught.value.identity == health.identity
        assert await bridge.health(), "who may not list is known all the same"


@pytest.mark.usefixtures("emulator")
async def test_the_chain_tells_which_and_why_not(
    mode: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """One line at INFO for each new token."""
    for name in ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.setattr("azure.identity.AzureCliCredential.get_token_info", _by_cli)
    caplog.set_level(logging.INFO, "kmsbridge")
    async with view(mode, url(credential="default")) as bridge:
        await bridge.secrets.set("a", "value")
        health = await bridge.health()
    assert health.identity is not None
    assert health.identity.credential == "AzureCliCredential"
    (line,) = [record.getMessage() for record in caplog.records if record.name == "kmsbridge"]
    assert line.startswith(f"new token from AzureCliCredential (tenant {TENANT}, ")
    for name in ("EnvironmentCredential", "ManagedIdentityCredential"):
        assert f"; not from {name}: " in line


def _by_cli(self: object, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
    del self, options
    return _issued(*scopes)


def _issued(*scopes: str) -> AccessTokenInfo:
    from contract_tests.keyvault_emulator import running

    backend = running().backend
    assert isinstance(backend, KeyVault)
    return AccessTokenInfo(backend.identity.issue(scopes[0].removesuffix("/.default")), int(time.time()) + 3599)


async def test_without_any_credential_nothing_is_sent(
    emulator: Emulator, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that was tried is unavailable, and the vault has seen no more than its challenge."""
    for name in ("AZURE_CLIENT_SECRET", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", "/nowhere")
    async with view(mode, url(credential="default")) as bridge:
        with pytest.raises(AuthenticationError) as caught:
            await bridge.secrets.get("a")
    assert (caught.value.code, caught.value.outcome) == (Code.CREDENTIAL_UNAVAILABLE, Outcome.NOT_SENT)
    assert emulator.requests.count(status=401) == len(emulator.requests) == 1


AADSTS = {
    Code.CREDENTIAL_REJECTED: "700016 70002 7000215 700025 700027 50012 700021 700023 50027 50034 50173",
    Code.TOKEN_EXPIRED: "7000222 70043 700082",
    Code.INVALID_ARGUMENT: "7000218 90002 900023 90038 50001 500011 70011",
    Code.CLOCK_SKEW: "700024",
    Code.ACCESS_DENIED: "50020 53003 65001",
    Code.CONDITION_NOT_MET: "50076 50079",
    Code.RATE_LIMITED: "50196",
    Code.DEPENDENCY_UNAVAILABLE: "90033",
}


@pytest.mark.parametrize(
    ("number", "code"), [(number, code) for code, numbers in AADSTS.items() for number in numbers.split()]
)
async def test_a_refusal_of_the_token_service_is_decoded(
    emulator: Emulator, mode: str, number: str, code: Code
) -> None:
    """By its number, from its own answer and not from what azure-identity makes of it; asked once, or as advised."""
    emulator.fail("Token", f"AADSTS{number}", times=None)
    async with view(mode, retry=ONCE) as bridge:
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a")
    assert (caught.value.code, caught.value.outcome) == (code, Outcome.NOT_SENT), caught.value.details()
    assert f"AADSTS{number}" in caught.value.provider_codes
    assert emulator.requests.count("GetSecret") <= 1
    assert emulator.requests.count("Token") == 1


def test_the_table_of_refusals_is_the_emulators() -> None:
    """No number that it knows is left out."""
    numbers = {f"AADSTS{number}" for numbers in AADSTS.values() for number in numbers.split()}
    assert numbers == {name for name in KeyVault().documented if name.startswith("AADSTS")}


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (Reset(), Code.NETWORK_ERROR),
        (Hang(5.0), Code.TIMEOUT),
        (Answer(503, (("Content-Type", "text/html"),), b"<html>down</html>"), Code.DEPENDENCY_UNAVAILABLE),
        (Answer(200, (("Content-Type", "text/html"),), b"<html>login</html>"), Code.DEPENDENCY_UNAVAILABLE),
        (Answer(200, (("Content-Type", "application/json"),), b"{}"), Code.CREDENTIAL_REJECTED),
        (Answer(429), Code.RATE_LIMITED),
    ],
    ids=["reset", "hang", "503", "a page", "nothing", "429"],
)
async def test_a_token_service_that_fails_is_not_a_wrong_credential(
    emulator: Emulator, mode: str, failure: Any, code: Code
) -> None:
    """What went wrong on the way to it stays what it is; the vault was not asked."""
    emulator.fail("Token", failure, times=None)
    async with view(mode, retry=ONCE) as bridge:
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a", timeout=1.0)
    assert (caught.value.code, caught.value.outcome) == (code, Outcome.NOT_SENT), caught.value.details()
    assert emulator.requests.count("Token") == 1


# -- credentials of the caller's --------------------------------------------------------


class Given:
    """A sync credential, as other libraries make them; counts how often it is asked."""

    asked = 0

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """As azure-core has it."""
        assert options["enable_cae"]
        assert options["tenant_id"] == TENANT
        self.asked += 1
        token = _issued(*scopes)
        return AccessToken(token.token, token.expires_on)


class GivenAsync:
    """An async one."""

    asked = 0

    async def get_token_info(self, *scopes: str, options: TokenRequestOptions | None = None) -> AccessTokenInfo:
        """As azure-core has it."""
        assert options is not None
        self.asked += 1
        return _issued(*scopes)


class GivenAsyncOlder:
    """An async one of the older kind."""

    asked = 0

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """As azure-core has it."""
        del options
        self.asked += 1
        token = _issued(*scopes)
        return AccessToken(token.token, token.expires_on)


@pytest.mark.usefixtures("emulator")
async def test_a_given_credential_is_used(mode: str) -> None:
    """In both modes; asked once for both bridges."""
    credential = Given()
    async with (
        view(mode, url(credential=None), credential=credential) as one,
        view(mode, url(credential=None), credential=credential) as other,
    ):
        await one.secrets.set("a", "value")
        assert (await other.secrets.get("a")).value == "value"
        health = await other.health()
    assert health.identity is not None
    assert health.identity.credential == "Given"
    assert credential.asked == 1


@pytest.mark.parametrize("kind", [GivenAsync, GivenAsyncOlder])
async def test_an_async_credential_is_for_the_async_bridge(emulator: Emulator, kind: Callable[[], Any]) -> None:
    """The sync bridge says so, and sends nothing."""
    credential = kind()
    async with view("async", url(credential=None), credential=credential) as bridge:
        await bridge.secrets.set("a", "value")
    assert credential.asked == 1
    emulator.requests.reset()
    with (
        connect(url(credential=None), credential=credential) as bridge_,
        pytest.raises(InvalidRequestError, match="async credential") as caught,
    ):
        bridge_.secrets.get("a")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert len(emulator.requests) == 0


@pytest.mark.parametrize("raised", [ClientAuthenticationError("no"), RuntimeError("no"), FileNotFoundError(2, "no")])
async def test_a_given_credential_that_fails_is_one_error(emulator: Emulator, mode: str, raised: Exception) -> None:
    """Whatever it raises; the vault was not asked for more than its challenge."""

    class Failing:
        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            del scopes, options
            raise raised

    async with view(mode, url(credential=None), credential=Failing()) as bridge:
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.get("a")
    assert caught.value.outcome is Outcome.NOT_SENT
    assert len(emulator.requests) == 1


async def test_a_challenge_for_another_service_is_refused(emulator: Emulator, mode: str) -> None:
    """Unless that was switched off, which only localhost may: no token goes to who asks for another's."""
    async with view(mode, url(verify=True)) as bridge:
        with pytest.raises(InvalidRequestError, match="not for this service"):
            await bridge.secrets.get("a")
    assert emulator.requests.count("Token") == 0


# -- what is logged ---------------------------------------------------------------------


@pytest.mark.usefixtures("emulator")
async def test_a_first_call_is_silent(mode: str) -> None:
    """Nothing at WARNING, no 401 at INFO, one line for the challenge at DEBUG; no token and no secret anywhere."""
    witness = Witness(Canary())
    with witness.watching():
        async with view(mode) as bridge:
            await bridge.secrets.set("a", witness.canary.text())
            await bridge.secrets.get("a")
    assert not witness.leaks
    (token,) = [
        kept.value.token.token for tokens in _tokens.STORES.lasting.values() for kept in tokens._held.kept.values()
    ]
    texts = [(record.levelno, record.name, record.getMessage()) for record in witness.records]
    assert [text for text in texts if text[0] >= logging.WARNING] == []
    assert [text for text in texts if text[0] >= logging.INFO and "401" in text[2]] == []
    assert [text for text in texts if token[-20:] in text[2] or "emulated-client-secret" in text[2]] == []
    ours = [(level, text.partition(" (")[0]) for level, name, text in texts if name == "kmsbridge"]
    assert ours == [
        (logging.DEBUG, "the vault asks for a token"),
        (logging.INFO, "new token from EnvironmentCredential"),
    ]


# -- what goes on in the vault ----------------------------------------------------------


async def test_a_deletion_is_waited_for(emulator: Emulator, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a recovery: what follows finds them over."""
    monkeypatch.setattr("kmsbridge_azure_keyvault._waiting._SOON", 0.001)
    emulator.configure(deletion_polls=3, recovery_polls=3)
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        await bridge.keys.create("k", "EC_P256")
        for _ in range(2):
            await bridge.secrets.delete("a")
            await bridge.keys.schedule_deletion("k")
            assert [secret.name async for secret in bridge.secrets.deleted()] == ["a"]
            await bridge.secrets.recover("a")
            await bridge.keys.cancel_deletion("k")
            assert (await bridge.secrets.get("a")).value == "value"
            await bridge.keys.sign("k", b"message", algorithm="ES256")
    assert emulator.requests.count("GetDeletedSecret", status=404) == 6
    assert emulator.requests.count("GetDeletedKey", status=404) == 6


async def test_a_deletion_that_does_not_end_is_a_timeout(emulator: Emulator, mode: str) -> None:
    """And may well have been applied."""
    emulator.configure(deletion_polls=1_000)
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        with pytest.raises(UnavailableError) as caught:
            await bridge.secrets.delete("a", timeout=0.5)
    assert (caught.value.code, caught.value.outcome) == (Code.TIMEOUT, Outcome.UNKNOWN)


async def test_who_may_not_look_does_not_wait(emulator: Emulator, mode: str) -> None:
    """A vault that refuses the look has granted the deletion."""
    emulator.configure(denied=("GetDeletedSecret",))
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        await bridge.secrets.delete("a", timeout=5)
    assert emulator.requests.count("GetDeletedSecret") == 1


async def test_a_deletion_in_the_way_is_polled(emulator: Emulator, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A set that meets one waits until it is over; then the name is held, and it says so."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.001)
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        emulator.configure(deletion_polls=5)
        emulator.fail("GetDeletedSecret", "AccessDenied")
        await bridge.secrets.delete("a")
        emulator.requests.reset()
        with pytest.raises(KMSError) as caught:
            await bridge.secrets.set("a", "new")
    assert caught.value.code is Code.DELETED_BUT_RECOVERABLE
    assert emulator.requests.count("GetDeletedSecret", status=404) == 5
    assert emulator.requests.count("SetSecret") == 2


async def test_a_name_is_taken_some_seconds_after_a_purge(
    emulator: Emulator, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is being purged can be seen nowhere: a set tries again after the time that it takes at most."""
    monkeypatch.setattr("kmsbridge._call.POLL_EVERY", 0.001)
    monkeypatch.setattr("kmsbridge_azure_keyvault._driver.PURGE_SECONDS", 0.05)
    emulator.configure(purge_polls=1)
    async with view(mode) as bridge:
        await bridge.secrets.set("a", "value")
        await bridge.secrets.delete("a")
        await bridge.secrets.purge("a")
        emulator.requests.reset()
        assert (await bridge.secrets.set("a", "new")).value == "new"
    assert emulator.requests.count("SetSecret") == 2


async def test_of_versions_made_in_one_second_the_latest_is_known(emulator: Emulator, mode: str) -> None:
    """A vault tells whole seconds, in no order; it is asked once more, and who may not read does without."""
    async with view(mode) as bridge:
        for _ in range(5):
            emulator.reset()
            secret = [await bridge.secrets.set("a", str(number)) for number in range(4)][-1]
            listed = [info.version async for info in bridge.secrets.versions("a")]
            assert (len(set(listed)), listed[0]) == (4, secret.version)
            await bridge.keys.create("k", "EC_P256")
            key = [await bridge.keys.rotate("k") for _ in range(3)][-1]
            keys = [each.version async for each in bridge.keys.versions("k")]
            assert (len(set(keys)), keys[0]) == (4, key.version)
        await bridge.secrets.update("a", enabled=False)
        assert len([info async for info in bridge.secrets.versions("a")]) == 4
