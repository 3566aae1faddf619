"""What an error of the service is made of, and the sentences that several share.

In braces stand names, ids and the caller; the service fills them in.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any, Literal

from kmsbridge.emulation import Documented, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

HELP = "For help resolving this issue, please see https://go.microsoft.com/fwlink/?linkid="

CALLER = "appid={appid};oid={oid};iss=https://sts.windows.net/{tenant}/"
FIREWALL = (
    "Client address is not authorized and caller is not a trusted service.\r\nClient address: {address}\r\n"
    f"Caller: {CALLER}\r\nVault: {{vault}};location={{region}}"
)
PRIVATE_LINK = (
    "Connection is not an approved private link and caller was ignored because bypass is not set to "
    "'AzureServices' and PublicNetworkAccess is set to 'Disabled'.\r\nVault: {vault};location={region}"
)
RBAC = (
    "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
    f"definitions were changed recently, please observe propagation time.\r\nCaller: {CALLER}\r\n"
    "Action: '{action}'\r\nResource: '/subscriptions/{subscription}/resourcegroups/emulator/providers/"
    "microsoft.keyvault/vaults/{vault}/{collection}/{name}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"
    "DecisionReason: null \r\nVault: {vault};location={region}\r\n"
)
POLICY = (
    f"The user, group or application '{CALLER}' does not have {{permission}} permission on key vault "
    f"'{{vault}};location={{region}}'. {HELP}2125287"
)
MISSING = (
    "A {kind} with (name/id) {id} was not found in this key vault. If you recently deleted this {kind} you may be "
    f"able to recover it using the correct recovery command. {HELP}2125182"
)
RECOVERABLE = (
    "{Kind} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, "
    "the {kind} can only be recovered or purged."
)
Shape = Literal["envelope", "bare", "html", "empty"]


@dataclass(frozen=True, slots=True)
class Known(Documented):
    """One error. `message` is a template; the service fills in names, ids and the caller."""

    code: str = ""
    message: str = ""
    inner: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    shape: Shape = "envelope"

    def response(self, facts: Mapping[str, str], headers: Mapping[str, str], *, hsm: bool) -> Response:
        """As it is sent; a Managed HSM puts an activity id into every message."""
        if self.shape == "empty":
            return Response(self.status, tuple(headers.items()))
        if self.shape == "html":
            return Response(self.status, (("Content-Type", "text/html"),), self.message.encode())
        activity = str(uuid.uuid4())
        message = self.message.format_map({"activity": activity, **facts})
        if hsm and activity not in message:
            message += f" (Activity ID: {activity})"
        told: dict[str, Any] = {"code": self.code, "message": message}
        if self.inner is not None:
            told["innererror"] = {"code": self.inner}
        return Response.json(told if self.shape == "bare" else {"error": told}, status=self.status, headers=headers)
