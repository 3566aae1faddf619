"""The door of an instance alone, without an AccessKey: it uses what others have made at the region's."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from contract_tests.alibaba_emulator import admitted, both_url, credential, emptied, instance_url, running
from kmsbridge import Code, Outcome, connect, connect_async
from kmsbridge.contract import BridgeView, Canary, Witness, refused

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CANARY = Canary()
CONTEXT = {"tenant": "acme"}
ENCRYPTING = ("AES_256", "RSA_2048", "RSA_3072")


class Doors(NamedTuple):
    """One instance by both doors, and by its own alone."""

    both: BridgeView
    alone: BridgeView


@pytest.fixture(params=["sync", "async"])
async def doors(request: pytest.FixtureRequest) -> AsyncIterator[Doors]:
    """Bridges of each mode; they are watched for the canary."""
    connecting, witness = connect if request.param == "sync" else connect_async, Witness(CANARY)
    with emptied(), admitted(), witness.watching():
        both = BridgeView(connecting(both_url(), credential=credential()), witness)
        alone = BridgeView(connecting(instance_url()), witness)
        yield Doors(both, alone)
        await both.aclose()
        await alone.aclose()
    assert not witness.leaks


async def test_secrets_are_read(doors: Doors) -> None:
    """By version too; what is not there is told apart."""
    old = await doors.both.secrets.set("a", CANARY.text())
    await doors.both.secrets.set("a", CANARY.bytes())
    assert (await doors.alone.secrets.get("a")).value == CANARY.bytes()
    assert (await doors.alone.secrets.get("a", old.version)).value == CANARY.text()
    with refused(Code.VERSION_NOT_FOUND):
        await doors.alone.secrets.get("a", "no-such-version")
    with refused(Code.NOT_FOUND):
        await doors.alone.secrets.get("b")
    await doors.both.secrets.delete("a")
    with refused(Code.NOT_FOUND):
        await doors.alone.secrets.get("a")


@pytest.mark.parametrize("spec", ENCRYPTING)
async def test_what_one_encrypts_the_other_decrypts(doors: Doors, spec: str) -> None:
    """Also as envelopes, and data keys; under another key it is refused."""
    await doors.both.keys.create("key", spec)
    await doors.both.keys.create("other", spec)
    for here, there in (doors, doors[::-1]):
        sealed = await here.keys.encrypt("key", CANARY.bytes())
        assert await there.keys.decrypt("key", sealed) == CANARY.bytes()
        with refused(Code.INVALID_ARGUMENT, Outcome.NOT_SENT):
            await there.keys.decrypt("other", sealed)
        made = await here.keys.generate_data_key("key")
        assert await there.keys.decrypt("key", made.ciphertext) == made.plaintext
        envelope = await here.keys.seal("key", CANARY.bytes(), context=CONTEXT)
        assert await there.keys.unseal("key", envelope, context=CONTEXT) == CANARY.bytes()
        with refused(Code.DECRYPTION_FAILED):
            await there.keys.unseal("key", envelope, context={"tenant": "other"})


async def test_a_context_is_bound(doors: Doors) -> None:
    """By the service, of AES keys; an RSA key takes none."""
    await doors.both.keys.create("key", "AES_256")
    await doors.both.keys.create("rsa", "RSA_2048")
    sealed = await doors.alone.keys.encrypt("key", CANARY.bytes(), context=CONTEXT)
    assert await doors.alone.keys.decrypt("key", sealed, context=CONTEXT) == CANARY.bytes()
    with refused(Code.DECRYPTION_FAILED):
        await doors.alone.keys.decrypt("key", sealed)
    with refused(Code.UNSUPPORTED, None):
        await doors.alone.keys.encrypt("rsa", CANARY.bytes(), context=CONTEXT)


async def test_signatures(doors: Doors) -> None:
    """One verifies what the other signs, and others by the public key."""
    await doors.both.keys.create("key", "EC_P256")
    for here, there in (doors, doors[::-1]):
        signed = await here.keys.sign("key", CANARY.bytes(), algorithm="ES256")
        assert await there.keys.verify("key", CANARY.bytes(), signed)
        assert await there.keys.verify("key", CANARY.bytes(), signed.value, algorithm="ES256")
        assert not await there.keys.verify("key", b"another", signed.value, algorithm="ES256")
    alone, both = await doors.alone.keys.public_key("key"), await doors.both.keys.public_key("key")
    assert (alone.pem, alone.spec) == (both.pem, both.spec)


async def test_the_state_of_a_key_counts(doors: Doors) -> None:
    """The service refuses; a key that is not there is not found."""
    await doors.both.keys.create("key", "AES_256")
    await doors.both.keys.disable("key")
    with refused(Code.DISABLED):
        await doors.alone.keys.encrypt("key", CANARY.bytes())
    with refused(Code.NOT_FOUND):
        await doors.alone.keys.encrypt("other", CANARY.bytes())


async def test_what_it_cannot_do_is_not_sent(doors: Doors) -> None:
    """Making, listing, deleting need the region's door, whose credential is not here."""
    with refused(Code.UNSUPPORTED, Outcome.NOT_SENT):
        await doors.alone.keys.create("key", "AES_256")
    with refused(Code.UNSUPPORTED, Outcome.NOT_SENT):
        await doors.alone.secrets.set("a", CANARY.text())
    with refused(Code.UNSUPPORTED, Outcome.NOT_SENT):
        await doors.alone.secrets.delete("a")
    assert not running().requests


async def test_health(doors: Doors) -> None:
    """By one random byte, and who asks is told."""
    found = await doors.alone.health()
    assert (found.reachable, found.authenticated) == (True, True)
    assert found.identity is not None
    assert found.identity.credential == "client-key"
    assert [seen.operation for seen in running().requests] == ["GenerateRandom"]
