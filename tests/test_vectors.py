"""Every vector gives its verdict: see ``tests/vectors/README.md`` for the format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kmsbridge import TAXONOMY, Code, Outcome, RetryAction
from kmsbridge._explain import explain

FILES = sorted((Path(__file__).parent / "vectors").glob("*.jsonl"))
LINES = [
    pytest.param(json.loads(line), id=f"{path.stem}:{number}")
    for path in FILES
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
]


def test_there_are_vectors() -> None:
    """The files are found: a folder that has moved would let the rest pass unnoticed."""
    assert {"ladder", "local"} <= {path.stem for path in FILES}
    assert len(LINES) > 100


@pytest.mark.parametrize("vector", LINES)
def test_verdict(vector: dict[str, Any]) -> None:
    """An answer from a log gives the verdict that stands beside it."""
    assert vector.keys() == {"source", "answer", "verdict"}
    assert vector["source"]
    result = explain(vector["answer"])
    found = {**result, "retry": result["retry"]["action"]}
    assert vector["verdict"]
    assert {name: found[name] for name in vector["verdict"]} == vector["verdict"], vector["answer"]


@pytest.mark.parametrize("vector", LINES)
def test_result_is_whole(vector: dict[str, Any]) -> None:
    """Whatever the answer, the result is in the vocabulary and survives JSON."""
    result = explain(vector["answer"])
    assert json.loads(json.dumps(result)) == result
    assert result["category"] == TAXONOMY[Code(result["code"])].category
    assert Outcome(result["outcome"])
    assert RetryAction(result["retry"]["action"])
