"""Every code that the vendors' pages of error codes name, with what it means: ``tests/vectors/documented.csv``."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import NamedTuple

from kmsbridge.emulation import Answer

_JSON = ("Content-Type", "application/json")


class Row(NamedTuple):
    """One code."""

    provider: str
    status: int
    provider_code: str
    sub_code: str
    verdict: tuple[str, str, str, str]
    """Category, code, retry action and outcome."""

    def answer(self) -> Answer:
        """The answer with this code, in the form of its service."""
        said: object = {"error": {"code": self.provider_code, "message": "m", "request_id": "req_1"}}
        headers = (_JSON,)
        if self.provider == "azure-keyvault":
            inner = {"innererror": {"code": self.sub_code}} if self.sub_code else {}
            said = {"error": {"code": self.provider_code, "message": "m", **inner}}
        elif self.provider == "azure-cosmos":
            said = {"code": self.provider_code, "message": "m"}
            sub_status = (("x-ms-substatus", self.sub_code),) if self.sub_code else ()
            return Answer(self.status, (_JSON, ("x-ms-activity-id", "a"), *sub_status), json.dumps(said).encode())
        elif self.provider == "alibaba-kms":
            said = {"Code": self.provider_code, "Message": "m", "RequestId": "r"}
        return Answer(self.status, headers, json.dumps(said).encode() if self.provider_code else b"")


def rows() -> list[Row]:
    """All of them."""
    with (Path(__file__).parent / "vectors" / "documented.csv").open(encoding="utf-8", newline="") as file:
        return [
            Row(
                row["provider"], int(row["status"]), row["provider_code"], row["sub_code"],
                (row["category"], row["code"], row["retry"], row["outcome"]),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip
