"""The reserved path by which a program in another process steers an emulator.

Every call wants the token that was printed at the start, in the header
``X-Emulator-Token``. A page in somebody's browser must not be able to steer it, so a
request with an ``Origin`` is refused, and one whose ``Host`` is no name of the emulator.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from kmsbridge.emulation._failures import failure_from_json
from kmsbridge.emulation._message import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge.emulation._emulator import Emulator
    from kmsbridge.emulation._message import Request

PREFIX = "/_emulator/"
TOKEN_HEADER = "x-emulator-token"  # noqa: S105 - the name of a header


class Control:
    """Answers the requests under `PREFIX`."""

    def __init__(self, emulator: Emulator, token: str) -> None:
        self._emulator = emulator
        self._token = token

    def handle(self, request: Request) -> Response:
        """One call to the control path."""
        if "origin" in request.headers or not self._is_ours(request.host):
            return _refusal(403, "the control path is for programs on this machine, not for pages")
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return _refusal(401, "the token is missing or wrong; it was printed at the start")
        call = f"{request.method} {request.path.removeprefix(PREFIX)}"
        try:
            given = json.loads(request.body) if request.body else {}
            done = self._do(call, dict(given))
        except (KeyError, TypeError, ValueError) as error:
            return _refusal(400, str(error))
        return _refusal(404, f"no {call}") if done is None else Response.json(done)

    def _do(self, call: str, given: dict[str, Any]) -> Any:
        emulator = self._emulator
        match call:
            case "GET requests":
                return emulator.requests.to_list()
            case "POST failures":
                with_ = failure_from_json(given.pop("with"))
                emulator.fail(given.pop("operation"), with_=with_, **given)
                return {}
            case "DELETE failures":
                emulator.clear_failures()
                return {}
            case "GET clock":
                return {"now": emulator.clock.now()}
            case "POST clock":
                emulator.clock.advance(**given)
                return {"now": emulator.clock.now()}
            case "GET settings":
                return emulator.backend.current_settings()
            case "PATCH settings":
                emulator.configure(**given)
                return emulator.backend.current_settings()
            case "GET operations":
                return [each.name for each in emulator.backend.operations]
            case "GET errors":
                return {
                    name: {"status": each.status, "source": each.source}
                    for name, each in emulator.backend.documented.items()
                }
            case "POST disconnect":
                return {"connections": emulator.disconnect()}
            case "POST reset":
                emulator.reset()
                return {}
            case _:
                return None

    def _is_ours(self, host: str) -> bool:
        name, _, port = host.rpartition(":")
        name = name.removeprefix("[").removesuffix("]")
        wanted = self._emulator.names
        known = name.lower() in wanted or f"*.{name.lower().partition('.')[2]}" in wanted
        return port == str(self._emulator.port) and known


def _refusal(status: int, message: str) -> Response:
    return Response.json({"error": message}, status=status)
