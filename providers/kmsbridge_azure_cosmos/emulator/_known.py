"""What an error of the service is made of.

In braces stand names, ids and the caller; the service fills them in.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

from kmsbridge.emulation import Documented, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CODES = {
    400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 405: "MethodNotAllowed",
    408: "RequestTimeout", 409: "Conflict", 410: "Gone", 412: "PreconditionFailed", 413: "RequestEntityTooLarge",
    423: "Locked", 424: "FailedDependency", 429: "429", 449: "449", 500: "InternalServerError",
    503: "ServiceUnavailable",
}  # fmt: skip
"""The codes in bodies: the names of the statuses, where .NET has one."""
SOFTWARE = "Microsoft.Azure.Documents.Common/2.14.0"
Form = Literal["gateway", "backend", "errors", "sql", "page", "empty"]


class Refused(Exception):
    """The service refuses, with the error of this name.

    Args:
        error: As in the catalogue.
        facts: What its sentence is about.
    """

    def __init__(self, error: str, **facts: Any) -> None:
        super().__init__(error)
        self.error = error
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Known(Documented):
    """One error. `message` is a template."""

    message: str = ""
    sub_status: int | None = None
    form: Form = "gateway"
    """Who speaks: the gateway; the backend behind it, quoted by the gateway; the backend itself; or somebody else."""
    retry_after_ms: int | None = None

    def response(self, facts: Mapping[str, Any], headers: Mapping[str, str]) -> Response:
        """As it is sent."""
        if self.form == "page":
            return Response(self.status, (("Content-Type", "text/html"),), self.message.encode())
        told = dict(headers)
        if self.sub_status is not None:
            told["x-ms-substatus"] = str(self.sub_status)
        if (wait := facts.get("retry_after_ms", self.retry_after_ms)) is not None:
            told["x-ms-retry-after-ms"] = str(wait)
        if self.form == "empty":
            return Response(self.status, tuple(told.items()))
        return Response.json(self._body(facts), status=self.status, headers=told)

    def _body(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        activity, text = facts["activity"], self.message.format_map(facts)
        if self.form == "errors":
            return {"Errors": [text]}
        if self.form == "gateway":
            return {"code": CODES[self.status], "message": f"{text}\r\nActivityId: {activity}, {SOFTWARE}"}
        said: dict[str, Any] = {"Errors": [text]}
        if self.form == "sql":
            location = {"start": facts["start"], "end": facts["end"]}
            code = {1001: "SC1001", 2001: "SC2001"}[facts["number"]]
            said = {"errors": [{"severity": "Error", "location": location, "code": code, "message": text}]}
        quoted = json.dumps(said, separators=(",", ":"))
        uri = f"/apps/{activity}/services/{activity}/partitions/{activity}/replicas/133000000000000000p/"
        message = f"Message: {quoted}\r\nActivityId: {activity}, Request URI: {uri}, RequestStats: , SDK: {SOFTWARE}"
        return {"code": CODES[self.status], "message": message}
