"""Every documented code has its documented meaning, read from the bytes alone."""

from __future__ import annotations

from collections import Counter

import pytest

from kmsbridge._explain import explain
from tests.documented import Row, rows

ROWS = rows()


def test_all_codes_are_there() -> None:
    """131, of four services."""
    assert Counter(row.provider for row in ROWS) == {
        "azure-keyvault": 14, "azure-cosmos": 26, "alibaba-kms": 18, "scaivault": 73,
    }  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=[f"{row.provider}-{row.provider_code}-{row.sub_code}" for row in ROWS])
def test_a_documented_code_has_its_meaning(row: Row) -> None:
    """Those whose meaning a careful reader might see differently too."""
    answer = row.answer()
    found = explain({
        "provider": row.provider,
        "http_status": answer.status,
        "headers": dict(answer.headers),
        "body": answer.body.decode(),
    })
    assert (found["category"], found["code"], found["retry"]["action"], found["outcome"]) == row.verdict
