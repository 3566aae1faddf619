"""What goes on in a vault after it has answered: deletions and recoveries take some seconds to be over."""

from __future__ import annotations

from kmsbridge._decode import Refused
from kmsbridge._errors import Code
from kmsbridge_azure_keyvault._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._decode import Answer
    from kmsbridge_azure_keyvault._vault import Vault

_SOON = 0.2
_LATER = 2.0
"""Seconds between two looks, at first and at last."""


def no_right(answer: Answer) -> bool:
    """Whether the vault knows who asks, and only does not let them do this."""
    return answer.status == 403 and decoder.decode(answer).code is Code.ACCESS_DENIED


async def until_there(vault: Vault, call: Call, path: str) -> None:
    """Wait until the vault has it at this path.

    What was asked for has been granted, so that no failure to look is one of the call: it
    looks again, until the call's time is over.

    Raises:
        TimeoutError: It is.
    """
    pause = _SOON
    while not await is_there(vault, call, path):
        await vault.runtime.sleep(min(pause, call.time_left()))
        pause = min(2 * pause, _LATER)


async def is_there(vault: Vault, call: Call, path: str) -> bool:
    """Whether it is. Who has no right to look is told so only of what is there."""
    try:
        await vault.ask(call, "GET", path)
    except Refused as refused:
        return refused.answer.status == 403
    return True
