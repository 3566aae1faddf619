"""What goes in and comes out: frozen records that show no value by accident."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle
import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from kmsbridge import (
    Capabilities,
    Code,
    Fault,
    Health,
    Identity,
    InvalidRequestError,
    Secret,
    SecretAbilities,
    SecretInfo,
)
from kmsbridge import _model as model

if TYPE_CHECKING:
    from collections.abc import Callable

CANARY = "c4nary"
RECORDS = [
    record for record in vars(model).values()
    if isinstance(record, type) and dataclasses.is_dataclass(record) and record.__module__.startswith("kmsbridge")
]


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_records_are_frozen_slotted_and_described(record: type) -> None:
    """Nobody changes what another holds, and a mistyped attribute is an error."""
    assert vars(record)["__dataclass_params__"].frozen
    assert "__slots__" in vars(record)
    assert (record.__doc__ or "").strip()
    assert not (record.__doc__ or "").startswith(f"{record.__name__}(")


@pytest.mark.parametrize("value", [CANARY, CANARY.encode()])
def test_a_secret_shows_its_value_only_when_asked(value: str | bytes) -> None:
    """repr, str, format and the repr of what holds it say that there is one, and no more."""
    secret = Secret("billing/db", "7", value)
    for shown in (repr(secret), str(secret), f"{secret}", f"{[secret]}", f"{({'x': secret})!r}"):
        assert CANARY not in shown
        assert "billing/db" in shown
    assert CANARY not in repr(model.NewSecret(value, None, {}, None, if_absent=False))
    assert secret.value == value


def test_a_secret_refuses_pickling() -> None:
    """It cannot slip into a queue, a cache or another process; the error does not hold it."""
    secret = Secret("x", "1", CANARY)
    calls: list[Callable[[], object]] = [lambda: copy.copy(secret), lambda: copy.deepcopy(secret)]
    calls += [lambda p=p: pickle.dumps(secret, p) for p in range(pickle.HIGHEST_PROTOCOL + 1)]  # type: ignore[misc]
    for call in calls:
        with pytest.raises(TypeError, match="not pickled") as caught:
            call()
        assert CANARY not in str(caught.value)


def test_a_value_is_read_as_text_bytes_or_json() -> None:
    """Text and bytes stand for each other by UTF-8, JSON is parsed from either."""
    text, data = Secret("x", "1", "é {"), Secret("x", "1", "é {".encode())
    assert text.text == data.text == "é {"
    assert text.bytes == data.bytes == "é {".encode()
    assert Secret("x", "1", '{"a": [1]}').json() == Secret("x", "1", b'{"a": [1]}').json() == {"a": [1]}
    assert Secret("x", "1", "").text == Secret("x", "1", b"").text == ""


@pytest.mark.parametrize("read", [
    lambda: Secret("x", "1", CANARY.encode() + b"\xff").text,
    lambda: Secret("x", "1", CANARY.encode() + b"\xff").json(),
    lambda: Secret("x", "1", f"{{{CANARY}").json(),
    lambda: Secret("x", "1", "[" * 100_000 + CANARY).json(),
    lambda: Secret("x", "1", "9" * 5_000).json(),
    lambda: Secret("x", "1", "").json(),
])
def test_a_value_of_another_kind_is_refused_without_showing_it(read: Callable[[], object]) -> None:
    """The parser's exception would carry the value: the error has no context, and no frame below the face."""
    with pytest.raises(InvalidRequestError) as caught:
        read()
    error = caught.value
    assert error.__context__ is error.__cause__ is None
    assert "'x'" in error.message
    assert "Read ." in error.remediation
    assert CANARY not in error.details()
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert CANARY not in "".join(str(frame.locals) for frame in shown.stack if "test_" not in frame.filename)


def test_two_secrets_are_equal_by_what_they_hold() -> None:
    """A value read twice is the same, another version is not."""
    assert Secret("x", "1", "v") == Secret("x", "1", "v")
    assert Secret("x", "1", "v") != Secret("x", "2", "v")
    assert dataclasses.replace(Secret("x", "1", "v"), stale=True).stale


def test_infos_are_data() -> None:
    """What a listing gives can be pickled and compared; it has no value."""
    info = SecretInfo("x", "1", tags={"a": "b"}, created_at=datetime(2024, 1, 2, tzinfo=UTC))
    assert pickle.loads(pickle.dumps(info)) == info  # noqa: S301 - our own bytes
    assert not hasattr(info, "value")


def test_a_backend_can_do_nothing_unless_it_says_so() -> None:
    """Every flag is off and every size zero by default, so that a new one is claimed by nobody."""
    capabilities = Capabilities()
    assert not any(dataclasses.asdict(capabilities.secrets).values())
    assert capabilities.secrets == SecretAbilities()


def test_health_is_true_or_says_why_not() -> None:
    """It can be used as a condition, and written as JSON."""
    good = Health("local", reachable=True, authenticated=True, key_usable=True, identity=Identity("cli", "t"))
    bad = Health("local", None, None, None, Code.TIMEOUT, Fault.NETWORK, "late", "Wait.", elapsed=2.0)
    assert good
    assert not bad
    assert json.loads(json.dumps(good.to_dict()))["identity"] == {
        "credential": "cli", "tenant": "t", "application": None, "object_id": None,
    }
    assert json.loads(json.dumps(bad.to_dict())) == {
        "healthy": False, "provider": "local", "reachable": None, "authenticated": None, "key_usable": None,
        "code": "timeout", "fault": "network", "message": "late", "remediation": "Wait.", "identity": None,
        "elapsed": 2.0,
    }


def test_text_without_bytes_is_refused_without_showing_it() -> None:
    """Half a surrogate pair, as a backend's JSON can hold, has no bytes; the encoder's exception would carry it."""
    secret = Secret("billing/db", "7", f"{CANARY}\ud800")
    with pytest.raises(InvalidRequestError) as caught:
        _ = secret.bytes
    assert CANARY not in str(caught.value)
    assert caught.value.__context__ is None
