"""What users may write. Read by mypy and pyright, never run: each line says what a checker must make of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, assert_never, assert_type

import kmsbridge
from kmsbridge.telemetry import LogEvents, OpenTelemetry


def entry() -> None:
    """The two ways in, and their arguments."""
    assert_type(kmsbridge.connect(), kmsbridge.Bridge)
    assert_type(kmsbridge.connect("local:", timeout=2.5, credential=object(), debug_causes=True), kmsbridge.Bridge)
    assert_type(kmsbridge.connect_async("memory:", on_event=on_event), kmsbridge.AsyncBridge)
    assert_type(kmsbridge.connect("memory:", on_event=events.append), kmsbridge.Bridge)


events: list[kmsbridge.Event] = []


def on_event(event: kmsbridge.Event) -> None:
    """What an event holds."""
    assert_type(event.provider, str)
    assert_type(event.operation, str)
    assert_type(event.code, kmsbridge.Code | None)
    assert_type(event.attempts, int)
    assert_type(event.elapsed, float)
    assert_type(event.request_ids, Mapping[str, str])


def blocking(until: datetime) -> None:
    """Every operation of the sync bridge."""
    with kmsbridge.connect("memory:") as bridge:
        assert_type(bridge, kmsbridge.Bridge)
        secrets = assert_type(bridge.secrets, kmsbridge.Secrets)
        secret = assert_type(secrets.get("a"), kmsbridge.Secret)
        assert_type(secrets.get("a", "1", timeout=1), kmsbridge.Secret)
        assert_type(secrets.get_many(["a", "b"]), dict[str, kmsbridge.Secret | kmsbridge.KMSError])
        assert_type(secrets.set("a", "text"), kmsbridge.Secret)
        secrets.set("a", b"bytes", content_type="x/y", tags={"a": "b"}, expires_at=until, if_absent=True, timeout=1.0)
        assert_type(secrets.list("a/"), Iterator[kmsbridge.SecretInfo])
        assert_type(secrets.versions("a"), Iterator[kmsbridge.SecretInfo])
        info = assert_type(secrets.update("a", version="1", enabled=False, tags={}), kmsbridge.SecretInfo)
        assert_type(secrets.delete("a"), kmsbridge.SecretInfo)
        assert_type(secrets.deleted(), Iterator[kmsbridge.SecretInfo])
        assert_type(secrets.recover("a"), kmsbridge.SecretInfo)
        secrets.purge("a")
        records(secret, info)
        assert_type(bridge.health(timeout=0.5), kmsbridge.Health)
        abilities(bridge.capabilities)
    bridge.close()


async def asynchronous(until: datetime) -> None:
    """Every operation of the async bridge."""
    async with kmsbridge.connect_async("memory:") as bridge:
        assert_type(bridge, kmsbridge.AsyncBridge)
        secrets = assert_type(bridge.secrets, kmsbridge.AsyncSecrets)
        assert_type(await secrets.get("a"), kmsbridge.Secret)
        assert_type(await secrets.get("a", version="1", timeout=1), kmsbridge.Secret)
        assert_type(await secrets.get_many({"a", "b"}), dict[str, kmsbridge.Secret | kmsbridge.KMSError])
        assert_type(await secrets.set("a", "text"), kmsbridge.Secret)
        await secrets.set("a", b"b", content_type="x/y", tags={"a": "b"}, expires_at=until, if_absent=True, timeout=1.0)
        assert_type(secrets.list("a/"), AsyncIterator[kmsbridge.SecretInfo])
        assert_type([item.name async for item in secrets.versions("a")], list[str])
        assert_type(await secrets.update("a", enabled=True, expires_at=until), kmsbridge.SecretInfo)
        assert_type(await secrets.delete("a"), kmsbridge.SecretInfo)
        assert_type(secrets.deleted(), AsyncIterator[kmsbridge.SecretInfo])
        assert_type(await secrets.recover("a"), kmsbridge.SecretInfo)
        await secrets.purge("a")
        assert_type(await bridge.health(), kmsbridge.Health)
        abilities(bridge.capabilities)
    await bridge.aclose()


def keys_blocking(bridge: kmsbridge.Bridge) -> None:
    """Every operation on keys of the sync bridge."""
    keys = assert_type(bridge.keys, kmsbridge.Keys)
    sealed = assert_type(keys.seal("kek", b"4111", context={"tenant": "acme"}), bytes)
    assert_type(keys.unseal("kek", sealed, context={"tenant": "acme"}, timeout=1), bytes)
    assert_type(keys.create("kek", kmsbridge.KeySpec.AES_256, tags={"team": "billing"}), kmsbridge.Key)
    assert_type(keys.create("kek", "RSA_2048"), kmsbridge.Key)
    assert_type(keys.get("kek"), kmsbridge.Key)
    assert_type(keys.list("a/"), Iterator[kmsbridge.Key])
    assert_type(keys.versions("kek"), Iterator[kmsbridge.Key])
    assert_type(keys.rotate("kek"), kmsbridge.Key)
    assert_type(keys.enable("kek", version="1"), kmsbridge.Key)
    assert_type(keys.disable("kek"), kmsbridge.Key)
    assert_type(keys.schedule_deletion("kek", days=30), kmsbridge.Key)
    assert_type(keys.cancel_deletion("kek"), kmsbridge.Key)
    assert_type(keys.public_key("kek", "1"), kmsbridge.PublicKey)
    signature = keys.sign("kek", b"message", algorithm=kmsbridge.SignatureAlgorithm.ES256)
    assert_type(signature, kmsbridge.Signature)
    assert_type(keys.sign("kek", digest=b"", algorithm="PS256"), kmsbridge.Signature)
    assert_type(keys.verify("kek", b"message", signature), bool)
    assert_type(keys.verify("kek", signature=b"", digest=b"", algorithm="PS256", version="1"), bool)
    ciphertext = assert_type(keys.encrypt("kek", b"", context={}), kmsbridge.Ciphertext)
    assert_type(keys.decrypt("kek", ciphertext), bytes)
    assert_type(keys.decrypt("kek", bytes(ciphertext), context=None), bytes)
    assert_type(keys.unwrap("kek", keys.wrap("kek", b"")), bytes)
    assert_type(keys.generate_data_key("kek", context={}), kmsbridge.DataKey)


async def keys_asynchronous(bridge: kmsbridge.AsyncBridge) -> None:
    """Every operation on keys of the async bridge."""
    keys = assert_type(bridge.keys, kmsbridge.AsyncKeys)
    sealed = assert_type(await keys.seal("kek", b"4111", context={"tenant": "acme"}), bytes)
    assert_type(await keys.unseal("kek", sealed, context={"tenant": "acme"}, timeout=1), bytes)
    assert_type(await keys.create("kek", kmsbridge.KeySpec.AES_256, tags={}), kmsbridge.Key)
    assert_type(await keys.get("kek"), kmsbridge.Key)
    assert_type(keys.list("a/"), AsyncIterator[kmsbridge.Key])
    assert_type([key.version async for key in keys.versions("kek")], list[str | None])
    assert_type(await keys.rotate("kek"), kmsbridge.Key)
    assert_type(await keys.enable("kek", version="1"), kmsbridge.Key)
    assert_type(await keys.disable("kek"), kmsbridge.Key)
    assert_type(await keys.schedule_deletion("kek", days=30), kmsbridge.Key)
    assert_type(await keys.cancel_deletion("kek"), kmsbridge.Key)
    assert_type(await keys.public_key("kek", "1"), kmsbridge.PublicKey)
    signature = assert_type(await keys.sign("kek", b"message", algorithm="ES256"), kmsbridge.Signature)
    assert_type(await keys.verify("kek", b"message", signature), bool)
    ciphertext = assert_type(await keys.encrypt("kek", b"", context={}), kmsbridge.Ciphertext)
    assert_type(await keys.decrypt("kek", bytes(ciphertext)), bytes)
    assert_type(await keys.unwrap("kek", await keys.wrap("kek", b"")), bytes)
    assert_type(await keys.generate_data_key("kek"), kmsbridge.DataKey)


def key_records(key: kmsbridge.Key, public: kmsbridge.PublicKey, data_key: kmsbridge.DataKey) -> None:
    """What operations on keys give."""
    assert_type(key.spec, kmsbridge.KeySpec | None)
    assert_type(key.deletes_at, datetime | None)
    assert_type(public.pem, str)
    assert_type(public.jwk(), dict[str, str])
    assert_type(data_key.plaintext, bytes)
    assert_type(data_key.ciphertext, kmsbridge.Ciphertext)
    assert_type(kmsbridge.Ciphertext.parse(b"").key, str)


def records(secret: kmsbridge.Secret, info: kmsbridge.SecretInfo) -> None:
    """What comes out of a bridge."""
    assert_type(secret.value, str | bytes)
    assert_type(secret.text, str)
    assert_type(secret.bytes, bytes)
    assert_type(secret.json(), Any)
    assert_type(secret.expires_at, datetime | None)
    assert_type(secret.stale, bool)
    assert_type(info.version, str | None)
    assert_type(info.enabled, bool)
    assert_type(info.tags, Mapping[str, str])
    assert_type(info.purge_at, datetime | None)


def abilities(capabilities: kmsbridge.Capabilities) -> None:
    """What a backend can do."""
    secrets = assert_type(capabilities.secrets, kmsbridge.SecretAbilities)
    assert_type(secrets.if_absent, bool)
    assert_type(secrets.max_value, int)
    keys = assert_type(capabilities.keys, kmsbridge.KeyAbilities)
    assert_type(keys.specs, Mapping[kmsbridge.KeySpec, kmsbridge.SpecAbilities])
    assert_type(keys.specs[kmsbridge.KeySpec.AES_256].max_plaintext, int)


def failing(health: kmsbridge.Health) -> None:
    """Every class that may be caught, and what it is also."""
    try:
        kmsbridge.connect()
    except (kmsbridge.AuthenticationError, kmsbridge.PermissionDeniedError) as error:
        assert_type(error.identity, kmsbridge.Identity | None)
    except (kmsbridge.DeadlineExceededError, kmsbridge.NetworkError) as error:
        unavailable: kmsbridge.UnavailableError = error
        assert_type(unavailable.retry_after, float | None)
    except kmsbridge.ThrottledError as error:
        assert_type(error.rate_limit, kmsbridge.RateLimit | None)
        assert_type(error.history, tuple[kmsbridge.Attempt, ...])
        assert_type(error.history[0].delay, float)
    except kmsbridge.InvalidRequestError as error:
        assert_type(error.fields, tuple[kmsbridge.FieldError, ...])
    except kmsbridge.NotFoundError as error:
        assert_type(error.resource, kmsbridge.Resource | None)
    except (kmsbridge.ConflictError, kmsbridge.PreconditionError) as error:
        described(error)
    except (kmsbridge.CryptoError, kmsbridge.UnknownError) as error:
        described(error)
    assert_type(health.code, kmsbridge.Code | None)
    assert_type(health.to_dict(), dict[str, Any])


def also(
    invalid: kmsbridge.InvalidRequestError, missing: kmsbridge.NotFoundError, unsupported: kmsbridge.UnsupportedError
) -> tuple[ValueError, LookupError, NotImplementedError]:
    """Three classes are also what the standard library would raise."""
    return invalid, missing, unsupported


def described(error: kmsbridge.KMSError) -> None:
    """What every error carries."""
    assert_type(error.category, kmsbridge.Category)
    assert_type(error.code, kmsbridge.Code)
    assert_type(error.provider_codes, tuple[str, ...])
    assert_type(error.http_status, int | None)
    assert_type(error.request_ids, Mapping[str, str])
    advice = assert_type(error.retry, kmsbridge.RetryAdvice)
    assert_type(advice.action, kmsbridge.RetryAction)
    assert_type(advice.exhausted, bool)
    assert_type(error.attempts, int)
    assert_type(error.elapsed, float)
    assert_type(error.causes, tuple[kmsbridge.Cause, ...])
    assert_type(error.message, str)
    assert_type(error.remediation, str)
    assert_type(error.details(), str)
    assert_type(error.to_dict(), dict[str, Any])
    meaning = assert_type(kmsbridge.TAXONOMY[error.code], kmsbridge.Meaning)
    assert_type(meaning.category, kmsbridge.Category)


def branched(error: kmsbridge.KMSError) -> bool:
    """A checker sees whether every outcome and fault is dealt with."""
    match error.fault:
        case kmsbridge.Fault.CALLER | kmsbridge.Fault.CUSTOMER:
            return False
        case kmsbridge.Fault.SERVICE | kmsbridge.Fault.NETWORK | kmsbridge.Fault.UNKNOWN:
            pass
        case _:
            assert_never(error.fault)
    match error.outcome:
        case kmsbridge.Outcome.NOT_SENT | kmsbridge.Outcome.NOT_APPLIED:
            return True
        case kmsbridge.Outcome.UNKNOWN:
            return False
        case _:
            assert_never(error.outcome)


def retrying(hook: Callable[[kmsbridge.Event], object]) -> None:
    """How calls are tried again, and what is told of them."""
    with kmsbridge.connect(retry=kmsbridge.RetryPolicy(attempts=5, max_delay=60), on_event=hook) as bridge:
        assert_type(bridge.stats(), kmsbridge.Stats)
        assert_type(bridge.stats().codes, Mapping[kmsbridge.Code, int])
    kmsbridge.connect_async(on_event=OpenTelemetry(names=True)).stats()
    kmsbridge.connect(on_event=LogEvents())
