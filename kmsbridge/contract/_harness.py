"""What the author of a provider tells the suite."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

from kmsbridge import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from kmsbridge import Capabilities


class Backend(NamedTuple):
    """A backend that is there now."""

    url: str
    """What `kmsbridge.connect` is given; not the name of a profile."""
    credential: object | None = None
    """As ``connect(credential=)`` takes it."""


class Harness(ABC):
    """What the suite needs to know of one provider.

    Only `backend` has to be written; the rest has values that fit most.
    """

    page_size: int = 25
    """Items on one page of a listing, at most. The suite writes one more to see the second page."""
    native_name: str = "Native_Name"
    """A name the backend takes and spells in this way, that is not in the portable grammar."""

    every_bit: bool = False
    """Whether calls are so cheap that each bit of a ciphertext may be tried, some 2,000 calls in a case.

    Else, and for the second kind of key, the suite tries some 200.
    """

    creates_once: bool = True
    """Whether one alone of several that create a key at the same moment succeeds.

    Else the backend has no condition for it, and each may append a version.
    """

    @abstractmethod
    def backend(self) -> AbstractContextManager[Backend]:
        """A fresh, empty backend for one case, gone when the case is over.

        Each case enters one; all bridges of the case connect to it. An expensive server
        may be started once and emptied here.
        """

    def capabilities(self) -> Capabilities:
        """What the provider claims. Asked once, when the class with the cases is defined.

        Connects to a backend, which does no I/O. Override it where even having a backend
        is too much for the time of collection.
        """
        with self.backend() as backend, connect(backend.url, credential=backend.credential) as bridge:
            return bridge.capabilities
