"""Which vault a host stands for."""

from __future__ import annotations

import re
from typing import NamedTuple

HSM_PARENT = "managedhsm."
PUBLIC = {False: "https://vault.azure.net", True: "https://managedhsm.azure.net"}
"""The resources of the public cloud: of vaults, and of Managed HSMs."""


class Address(NamedTuple):
    """What a ``Host`` header says."""

    vault: str
    """The name of the vault, or of the Managed HSM."""
    hsm: bool
    resource: str
    """Whom a token for it has to be for."""


def address_of(host: str, *, hsm: bool) -> Address:
    """The vault that a host stands for.

    A name has the vault's in front: ``one.vault.localhost:8443``. Its resource is what follows,
    with the port, because clients compare it with the end of what they address, port and all.
    A bare ``localhost``, or an address, has no such end: it is one vault, or one Managed HSM
    if `hsm` is said, with the resource of the public cloud.
    """
    host = host.lower()
    name = re.sub(r":[0-9]+$", "", host)
    if "." not in name or name.startswith("[") or re.fullmatch(r"[0-9.]+", name):
        return Address("vault", hsm, PUBLIC[hsm])
    vault, _, parent = host.partition(".")
    return Address(vault, parent.startswith(HSM_PARENT), f"https://{parent}")
