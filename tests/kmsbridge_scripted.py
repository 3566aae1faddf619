"""A provider whose driver does what a test tells it to: ``scripted://<address>``.

`SCRIPT` says how opening, closing and each operation go, and counts them. The fixture
``script`` gives a fresh one.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import NamedTuple

from kmsbridge import Capabilities, Code, Identity, Secret, SecretAbilities, SecretInfo
from kmsbridge._decode import Answer, Decoder, Rule
from kmsbridge._model import Page
from kmsbridge._names import IdentityNames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from typing import Any

    from kmsbridge import KMSError
    from kmsbridge._call import Call
    from kmsbridge._driver import Location
    from kmsbridge._model import NewSecret, SecretChange
    from kmsbridge._runtime import Runtime

    Step = Callable[["Driver", Call], Awaitable[object]]

name = "scripted"


class SdkError(Exception):
    """What this provider's SDK raises; it knows the answer, or not."""

    def __init__(self, text: str, answer: Answer | None = None) -> None:
        super().__init__(text)
        self.answer = answer


decoder = Decoder(
    name,
    [Rule("Stale", Code.VERSION_CONFLICT), Rule("Busy", Code.OPERATION_IN_PROGRESS), Rule("Token", Code.TOKEN_EXPIRED)],
    answer=lambda failure: getattr(failure, "answer", None),
)


async def nothing(*_: object) -> None:
    """Go on."""


class Script:
    """How the backend behaves, and what was asked of it."""

    def __init__(self) -> None:
        self.opened: list[Driver] = []
        self.closed: list[Driver] = []
        self.log: list[str] = []
        self.on_open: Callable[[Runtime], Awaitable[object]] = nothing
        self.on_close: Callable[[], Awaitable[object]] = nothing
        self.on: dict[str, Step] = {}
        """What to do first, by operation; an exception it raises is the answer."""
        self.repeatable = True
        self.renews = True
        self.proof: Secret | None = None
        """What a look finds after a set whose answer was lost."""
        self.permits = 0
        """How many a listing holds."""

    def failure(self, text: str, answer: Answer | None = None) -> SdkError:
        """What the SDK raises."""
        return SdkError(text, answer)


SCRIPT = Script()


class Settings(NamedTuple):
    """An address and a credential."""

    address: str
    identity: int | None
    capabilities: Capabilities = Capabilities(
        SecretAbilities(
            **dict.fromkeys((
                "get", "set", "list", "versions", "update", "delete", "deleted", "recover", "purge", "get_version",
                "if_absent", "content_type", "tags", "expires_at", "enabled", "update_version",
            ), True),
            max_value=1024, max_tags=4, max_content_type=64,
        )
    )
    secret_names: IdentityNames = IdentityNames(r"[!-~]{1,128}")
    key_names: IdentityNames = IdentityNames(r"[!-~]{1,128}")


def configure(location: Location) -> Settings:
    """Any host, any credential."""
    return Settings(location.host, None if location.credential is None else id(location.credential))


async def open(settings: Settings, runtime: Runtime) -> Driver:  # noqa: A001 - what the core asks for
    """A driver, as the script says."""
    await SCRIPT.on_open(runtime)
    driver = Driver(settings, runtime)
    SCRIPT.opened.append(driver)
    return driver


class Driver:
    """Asks the script, then answers with what fits."""

    def __init__(self, settings: Settings, runtime: Runtime) -> None:
        self.settings = settings
        self.runtime = runtime

    def repeatable(self, operation: str) -> bool:
        """As the script says."""
        SCRIPT.log.append(f"repeatable {operation}")
        return SCRIPT.repeatable

    async def reauthenticate(self) -> bool:
        """As the script says."""
        return await self._renew("reauthenticate", None)

    async def refresh(self, error: KMSError) -> bool:
        """As the script says."""
        del error
        return await self._renew("refresh", None)

    async def poll(self, error: KMSError, call: Call) -> bool:
        """As the script says."""
        del error
        return await self._renew("poll", call)

    async def health(self, call: Call) -> Identity | None:
        """It is there."""
        await self._do("health", call)
        return Identity(credential="nobody")

    async def close(self) -> None:
        """Counted."""
        SCRIPT.closed.append(self)
        await SCRIPT.on_close()

    async def get_secret(self, call: Call, name: str, version: str | None) -> Secret:
        """A value of its own for each name."""
        await self._do("get", call)
        return Secret(name, version or "1", f"value of {name}")

    async def set_secret(self, call: Call, name: str, new: NewSecret) -> Secret:
        """What was given."""
        await self._do("set", call)
        return Secret(name, "2", new.value)

    async def proved_set(self, call: Call, name: str, new: NewSecret) -> Secret | None:
        """As the script says."""
        del name, new
        await self._do("proof", call)
        return SCRIPT.proof

    async def list_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """Three pages of two, each read from a generator that holds a permit."""
        await self._do("list", call)
        first = int(cursor or 0)
        items: list[SecretInfo] = []
        async with aclosing(self._all()) as infos:
            async for info in infos:
                items.append(info)
                if len(items) == first + 2:
                    break
        return Page(items[first:], str(first + 2) if first < 4 else None)

    async def list_secret_versions(self, call: Call, name: str, cursor: str | None) -> Page[SecretInfo]:
        """Two."""
        del cursor
        await self._do("versions", call)
        return Page([SecretInfo(name, "2"), SecretInfo(name, "1")])

    async def update_secret(self, call: Call, name: str, version: str | None, change: SecretChange) -> SecretInfo:
        """Done."""
        del change
        await self._do("update", call)
        return SecretInfo(name, version)

    async def delete_secret(self, call: Call, name: str) -> SecretInfo:
        """Done."""
        await self._do("delete", call)
        return SecretInfo(name)

    async def list_deleted_secrets(self, call: Call, cursor: str | None) -> Page[SecretInfo]:
        """None."""
        del cursor
        await self._do("deleted", call)
        return Page([])

    async def recover_secret(self, call: Call, name: str) -> SecretInfo:
        """Done."""
        await self._do("recover", call)
        return SecretInfo(name)

    async def purge_secret(self, call: Call, name: str) -> None:
        """Done."""
        del name
        await self._do("purge", call)

    async def _all(self) -> AsyncGenerator[SecretInfo, None]:
        SCRIPT.permits += 1
        try:
            for letter in "abcdef":
                yield SecretInfo(letter)
        finally:
            SCRIPT.permits -= 1

    async def _do(self, operation: str, call: Call) -> None:
        SCRIPT.log.append(operation)
        if (step := SCRIPT.on.get(operation)) is not None:
            await step(self, call)

    async def _renew(self, how: str, call: Any) -> bool:
        SCRIPT.log.append(how)
        if (step := SCRIPT.on.get(how)) is not None:
            return bool(await step(self, call))
        return SCRIPT.renews
