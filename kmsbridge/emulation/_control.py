"""The reserved path by which a program in another process steers an emulator.

Every call wants the token that was printed at the start, in the header
``X-Emulator-Token``. A page in somebody's browser must not be able to steer it, so a
request with an ``Origin`` is refused, and one whose ``Host`` is no name of the emulator.
"""

from __future__ import annotations

import hmac
import json
from typing import Any

from kmsbridge.emulation._message import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from kmsbridge.emulation._message import Request

PREFIX = "/_emulator/"
TOKEN_HEADER = "x-emulator-token"  # noqa: S105 - the name of a header


class Control:
    """Answers the requests under `PREFIX`.

    Args:
        names: Those of the emulator; ``*.x`` stands for all under x.
        token: What every call has to show.
        calls: What there is, by method and name (``POST reset``): each takes the members of the
            request's JSON object, and gives what is answered as JSON.
    """

    def __init__(
        self, names: Collection[str], token: str, calls: Mapping[str, Callable[[dict[str, Any]], object]]
    ) -> None:
        self._names = names
        self._token = token
        self._calls = calls

    def handle(self, request: Request, port: int) -> Response:
        """One call to the control path of the emulator that listens on `port`."""
        if "origin" in request.headers or not self._is_ours(request.host, port):
            return _refusal(403, "the control path is for programs on this machine, not for pages")
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), self._token.encode()):
            return _refusal(401, "the token is missing or wrong; it was printed at the start")
        name = f"{request.method} {request.path.removeprefix(PREFIX)}"
        call = self._calls.get(name)
        if call is None:
            return _refusal(404, f"no {name}; there are {', '.join(self._calls)}")
        try:
            given = json.loads(request.body) if request.body else {}
            return Response.json(call(dict(given)))
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            return _refusal(400, str(error))

    def _is_ours(self, host: str, port: int) -> bool:
        name, _, asked = host.rpartition(":")
        name = name.removeprefix("[").removesuffix("]").lower()
        return asked == str(port) and (name in self._names or f"*.{name.partition('.')[2]}" in self._names)


def _refusal(status: int, message: str) -> Response:
    return Response.json({"error": message}, status=status)
