"""Who asks: which of azure-identity's credentials, or one that the caller gave."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from kmsbridge._errors import invalid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge._options import Options

_TAKES: Mapping[str, tuple[str, ...]] = {
    "default": ("client_id",),
    "environment": (),
    "workload-identity": ("client_id", "tenant_id"),
    "managed-identity": ("client_id",),
    "cli": ("tenant_id",),
    "developer-cli": ("tenant_id",),
    "powershell": ("tenant_id",),
}
"""The credentials there are, and what else may be said of each."""
LOGIN_OPTIONS = {
    "credential": f"{', '.join(_TAKES)}: who asks for tokens",
    "client_id": "of the identity, where a machine has several",
    "tenant_id": "of the identity, where a login has several",
    "authority": "https address of the token service, for private clouds and emulators",
    "ca": "file of PEM certificates to trust instead of the system's",
}
"""The options that say who asks, for `Options`; `ca` counts for the backend as well."""


class Login(NamedTuple):
    """Which of azure-identity's credentials, and with what."""

    kind: str
    client_id: str | None
    tenant_id: str | None
    authority: str | None
    """The address of the token service; None leaves it to azure-identity."""
    ca: str | None


class Given:
    """A credential of the caller's: the same for two bridges if it is the same object."""

    __slots__ = ("credential",)

    def __init__(self, credential: object) -> None:
        self.credential = credential

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Given) and other.credential is self.credential

    def __hash__(self) -> int:
        return id(self.credential)


def login(options: Options, credential: object | None, *, authority: str | None) -> Login | Given:
    """Who asks. No I/O.

    Args:
        options: Of the location; `LOGIN_OPTIONS` are among those it knows.
        credential: What the caller gave as ``credential=``.
        authority: The token service of the backend's cloud; None for the public one.

    Raises:
        InvalidRequestError: An option is wrong, or does not fit another.
    """
    if credential is not None:
        if said := [name for name in ("credential", "client_id", "tenant_id", "authority") if name in options]:
            raise invalid(
                f"{said[0]} has no meaning beside a credential that is given",
                f"options.{said[0]}",
                remediation="Leave out credential=, or that option.",
            )
        if not callable(getattr(credential, "get_token_info", getattr(credential, "get_token", None))):
            raise invalid(
                f"credential= must be a credential of azure-identity, not {type(credential).__name__}",
                "credential",
                remediation="Give an object that has get_token, such as DefaultAzureCredential().",
            )
        return Given(credential)
    kind = options.text("credential") or "default"
    if kind not in _TAKES:
        raise options.wrong("credential", f"must be one of {', '.join(_TAKES)}")
    for name in ("client_id", "tenant_id"):
        if name in options and name not in _TAKES[kind]:
            takes = ", ".join(_TAKES[kind]) or "neither client_id nor tenant_id"
            raise invalid(
                f"the credential {kind} takes no {name}", f"options.{name}", remediation=f"It takes {takes}."
            )
    client, tenant = _id(options, "client_id"), _id(options, "tenant_id")
    return Login(kind, client, tenant, _authority(options) or authority, ca_file(options))


def ca_file(options: Options) -> str | None:
    """The absolute path of the file that ``ca`` names; None where it names none."""
    ca = options.text("ca")
    return None if ca is None else os.path.abspath(ca)


def _authority(options: Options) -> str | None:
    authority = options.text("authority")
    if authority is not None and not re.fullmatch(r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/adfs)?", authority):
        raise options.wrong("authority", "must be https://<host>")
    return authority


def _id(options: Options, name: str) -> str | None:
    value = options.text(name)
    if value is not None and not re.fullmatch(r"[A-Za-z0-9.-]{1,128}", value):
        raise options.wrong(name, "must be an id, such as 00000000-0000-0000-0000-000000000000")
    return value
