"""The SDK puts handlers on its loggers when it is imported, so that lines come twice; we take them off."""

from __future__ import annotations

import logging
import sys
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_LOUD = {
    "darabonba.core": "darabonba-core",
    "alibabacloud_credentials.provider.refreshable": "credentials",
    "alibabacloud_credentials.provider.ecs_ram_role": "credentials",
    "alibabacloud_credentials.provider.oauth": "credentials",
}
"""The modules, and their loggers; the handler is their variable ``ch``."""


@contextmanager
def silenced() -> Iterator[None]:
    """Takes off what was put on by imports inside, or before; handlers of the application stay."""
    try:
        yield
    finally:
        for module, name in _LOUD.items():
            handler = getattr(sys.modules.get(module), "ch", None)
            logger = logging.getLogger(name)
            if isinstance(handler, logging.Handler) and handler in logger.handlers:
                logger.removeHandler(handler)
                if name == "darabonba-core":  # it was set to DEBUG too, and tells of whole requests
                    logger.setLevel(logging.NOTSET)
