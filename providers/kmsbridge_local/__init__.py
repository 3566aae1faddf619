"""The embedded provider: secrets in one SQLite file, or in memory, with no service to run.

``local:`` and ``memory:`` are the same code. Importing this package loads neither
`sqlite3` nor `cryptography`: they come with the first call, and not in the thread of an
event loop.
"""

from __future__ import annotations

from kmsbridge_local._config import configure
from kmsbridge_local._errors import decoder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge._runtime import Runtime
    from kmsbridge_local._config import LocalSettings
    from kmsbridge_local._driver import LocalDriver

__all__ = ["configure", "decoder", "name", "open"]

name = "local"


async def open(settings: LocalSettings, runtime: Runtime) -> LocalDriver:
    """A driver for these settings. Touches no file: the first call does, within its own deadline."""

    def load() -> LocalDriver:
        from kmsbridge_local._driver import LocalDriver

        return LocalDriver(settings, runtime)

    return await runtime.in_thread(load)
