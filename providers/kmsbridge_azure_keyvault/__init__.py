"""The provider for Azure Key Vault and Managed HSM. This release decodes the backend's answers only."""

from __future__ import annotations

from kmsbridge._errors import Outcome, UnsupportedError
from kmsbridge_azure_keyvault._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from kmsbridge._driver import Location
    from kmsbridge._runtime import Runtime

__all__ = ["configure", "decoder", "name", "open"]

name = "azure-keyvault"


def configure(location: Location) -> NoReturn:  # noqa: ARG001
    """Refuse: there is no driver yet.

    Raises:
        UnsupportedError: Always.
    """
    raise _no_driver()


async def open(settings: object, runtime: Runtime) -> NoReturn:  # noqa: ARG001
    """Refuse: there is no driver yet.

    Raises:
        UnsupportedError: Always.
    """
    raise _no_driver()


def _no_driver() -> UnsupportedError:
    return UnsupportedError(
        "this release of kmsbridge only decodes the answers of Azure Key Vault",
        outcome=Outcome.NOT_SENT,
        remediation="Give an answer to `kmsbridge explain`, or connect to another backend.",
    )
