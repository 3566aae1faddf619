"""The portable operations on secrets, written once for the sync and the async bridge.

Each is one call: what the caller can get wrong is checked first, then the driver is
asked. Names go to the backend in its own spelling and come back in ours.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import cast

from kmsbridge._driver import ProvesWrites
from kmsbridge._errors import Code, InvalidRequestError, KMSError, Outcome, Resource, invalid
from kmsbridge._model import NewSecret, Page, Secret, SecretAbilities, SecretChange, SecretInfo
from kmsbridge._operations import Operations, checked_tags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._decode import Answer
    from kmsbridge._driver import Driver, ReadsMany, SecretsDriver

    Fetch = Callable[[str | None], Coroutine[Any, Any, Page[SecretInfo]]]
    """Fetches the page that starts at a cursor; None for the first."""


class SecretOperations(Operations[SecretAbilities]):
    """What a bridge can do with secrets."""

    async def get(self, name: str, version: str | None, timeout: float | None) -> Secret:
        async def body(call: Call) -> Secret:
            self._need("get")
            if version is not None:
                self._need("get_version")
            native = self._about(call, name, version)
            driver = await _driver(call)
            found = await driver.get_secret(call, native, version)
            return found if found.name == name else replace(found, name=name)

        return await self._calls.run("secrets.get", body, timeout)

    async def get_many(self, names: Iterable[str], timeout: float | None) -> dict[str, Secret | KMSError]:
        wanted: list[str] | None = None
        with suppress(TypeError):  # not iterable, or holds what no name can be
            wanted = None if isinstance(names, str) else list(dict.fromkeys(names))
        if wanted is None:
            error = invalid("get_many takes several names", "names", remediation="Write get_many([name]).")
            error.provider, error.operation = self._calls.provider, "secrets.get_many"
            raise error
        makers = [partial(self._get_batch, batch, timeout) for batch in self._batches(wanted)]
        found = {name: item for items in await self._calls.runtime.gather(makers) for name, item in items.items()}
        return {name: found[name] for name in wanted}

    def _batches(self, names: list[str]) -> list[dict[str, str]]:
        """Names and their native ones, as they are asked for by one request each; what is no name goes alone."""
        together: dict[str, str] = {}
        alone: list[dict[str, str]] = []
        for name in names:
            native = None
            if self._abilities.max_batch:
                with suppress(KMSError):  # its own call says what is wrong with it
                    native = self._names.native(name)
            if native is None:
                alone.append({name: ""})
            else:
                together[name] = native
        pairs, size = list(together.items()), self._abilities.max_batch or 1
        return alone + [dict(pairs[start : start + size]) for start in range(0, len(pairs), size)]

    async def _get_batch(self, batch: dict[str, str], timeout: float | None) -> dict[str, Secret | KMSError]:
        async def body(call: Call) -> dict[str, Secret | KMSError]:
            driver = cast("ReadsMany", await call.driver())
            items = await driver.get_secrets(call, list(batch.values()))
            return {name: self._our_item(call, name, items[native]) for name, native in batch.items()}

        try:
            if len(batch) > 1:
                return await self._calls.run("secrets.get_many", body, timeout)
            return {name: await self.get(name, None, timeout) for name in batch}
        except KMSError as error:
            failure = error.with_traceback(None)
        if len(batch) == 1:
            return dict.fromkeys(batch, failure)
        return {name: self._about_item(failure.copy(), name) for name in batch}

    def _our_item(self, call: Call, name: str, item: Secret | Answer) -> Secret | KMSError:
        if isinstance(item, Secret):
            return replace(item, name=name)
        return self._about_item(self._calls.item_error(item, call), name)

    def _about_item(self, error: KMSError, name: str) -> KMSError:
        """The same error as a `get` of this name alone would have."""
        error.operation, error.resource = "secrets.get", Resource(self._what, name)
        return error

    async def set(
        self,
        name: str,
        value: str | bytes,
        content_type: str | None,
        tags: Mapping[str, str] | None,
        expires_at: datetime | None,
        if_absent: bool,
        timeout: float | None,
    ) -> Secret:
        new: NewSecret | None = None

        async def body(call: Call) -> Secret:
            nonlocal new
            self._need("set")
            native = self._about(call, name)
            new = NewSecret(
                self._checked_value(value),
                self._checked_content_type(content_type),
                self._checked_tags(tags) or {},
                self._checked_expiry(expires_at),
                self._checked_flag(if_absent, "if_absent"),
            )
            driver = await _driver(call)
            return replace(await driver.set_secret(call, native, new), name=name)

        async def proof(call: Call, driver: Driver) -> Secret | None:
            if new is None or call.native is None or not isinstance(driver, ProvesWrites):
                return None
            call.attempts += 1  # a request like any other
            found = await driver.proved_set(call, call.native, new)
            return None if found is None else replace(found, name=name)

        return await self._calls.run("secrets.set", body, timeout, proof)

    def list(self, prefix: str, timeout: float | None) -> Fetch:
        async def body(call: Call, cursor: str | None) -> Page[SecretInfo]:
            self._need("list")
            self._names.check_prefix(prefix)
            driver = await _driver(call)
            page = await driver.list_secrets(call, cursor)
            infos = [self._our_info(info) for info in page.items]
            return Page([info for info in infos if info.name.startswith(prefix)], page.cursor)

        return self._pages("secrets.list", body, timeout)

    def versions(self, name: str, timeout: float | None) -> Fetch:
        async def body(call: Call, cursor: str | None) -> Page[SecretInfo]:
            self._need("versions")
            native = self._about(call, name)
            driver = await _driver(call)
            page = await driver.list_secret_versions(call, native, cursor)
            return Page([self._our_info(info) for info in page.items], page.cursor)

        return self._pages("secrets.versions", body, timeout)

    async def update(
        self,
        name: str,
        version: str | None,
        enabled: bool | None,
        tags: Mapping[str, str] | None,
        expires_at: datetime | None,
        timeout: float | None,
    ) -> SecretInfo:
        async def body(call: Call) -> SecretInfo:
            self._need("update")
            if version is not None:
                self._need("update_version")
            native = self._about(call, name, version)
            if enabled is not None:
                self._checked_flag(enabled, "enabled", needs=True)
            change = SecretChange(enabled, self._checked_tags(tags), self._checked_expiry(expires_at))
            if change == SecretChange():
                raise invalid("there is nothing to update", remediation="Give enabled=, tags= or expires_at=.")
            driver = await _driver(call)
            return self._our_info(await driver.update_secret(call, native, version, change))

        return await self._calls.run("secrets.update", body, timeout)

    async def delete(self, name: str, timeout: float | None) -> SecretInfo:
        async def body(call: Call) -> SecretInfo:
            self._need("delete")
            native = self._about(call, name)
            driver = await _driver(call)
            return self._our_info(await driver.delete_secret(call, native))

        return await self._calls.run("secrets.delete", body, timeout)

    def deleted(self, timeout: float | None) -> Fetch:
        async def body(call: Call, cursor: str | None) -> Page[SecretInfo]:
            self._need("deleted")
            driver = await _driver(call)
            page = await driver.list_deleted_secrets(call, cursor)
            return Page([self._our_info(info) for info in page.items], page.cursor)

        return self._pages("secrets.deleted", body, timeout)

    async def recover(self, name: str, timeout: float | None) -> SecretInfo:
        async def body(call: Call) -> SecretInfo:
            self._need("recover")
            native = self._about(call, name)
            driver = await _driver(call)
            return self._our_info(await driver.recover_secret(call, native))

        return await self._calls.run("secrets.recover", body, timeout)

    async def purge(self, name: str, timeout: float | None) -> None:
        async def body(call: Call) -> None:
            self._need("purge")
            native = self._about(call, name)
            driver = await _driver(call)
            await driver.purge_secret(call, native)

        return await self._calls.run("secrets.purge", body, timeout)

    def _our_info(self, info: SecretInfo) -> SecretInfo:
        return replace(info, name=self._names.portable(info.name))

    # -- what the caller can get wrong --------------------------------------------------

    def _checked_value(self, value: str | bytes) -> str | bytes:
        if isinstance(value, str):
            size, limit = _utf8_size(value), self._abilities.max_value
        elif isinstance(value, bytes):
            size, limit = len(value), self._abilities.max_binary or self._abilities.max_value
        else:
            hint = "Write json.dumps(value), or encode it otherwise."
            raise invalid(
                f"a secret's value must be str or bytes, not {type(value).__name__}", "value", remediation=hint
            )
        if size is None:
            raise invalid("the value holds half a surrogate pair: no text", "value", remediation="Give it as bytes.")
        if size > limit:
            raise InvalidRequestError(
                f"the value has {size} bytes; this backend takes {limit}",
                code=Code.PAYLOAD_TOO_LARGE,
                outcome=Outcome.NOT_SENT,
            )
        return value

    def _checked_content_type(self, content_type: str | None) -> str | None:
        if content_type is None:
            return None
        self._need("content_type")
        limit = self._abilities.max_content_type
        if not isinstance(content_type, str) or not content_type.isprintable() or not 0 < len(content_type) <= limit:
            hint = 'Write "application/json", for instance.'
            raise invalid(
                f"content_type must be 1 to {limit} printable characters", "content_type", remediation=hint
            )
        return content_type

    def _checked_tags(self, tags: Mapping[str, str] | None) -> Mapping[str, str] | None:
        if tags is None:
            return None
        if tags:
            self._need("tags")
        return checked_tags(tags, self._abilities.max_tags)

    def _checked_expiry(self, expires_at: datetime | None) -> datetime | None:
        if expires_at is None:
            return None
        self._need("expires_at")
        if not isinstance(expires_at, datetime) or expires_at.utcoffset() is None:
            raise invalid(
                "expires_at must be a datetime with a time zone",
                "expires_at",
                remediation="Write datetime.now(UTC) + timedelta(days=30), for instance.",
            )
        try:
            return expires_at.astimezone(UTC).replace(microsecond=0)
        except OverflowError:
            pass
        raise invalid("expires_at is beyond the calendar in UTC", "expires_at", remediation="Give an earlier one.")

    def _checked_flag(self, flag: bool, name: str, *, needs: bool = False) -> bool:
        if not isinstance(flag, bool):
            hint = f"Write {name}=True or {name}=False."
            raise invalid(f"{name} must be True or False, not {type(flag).__name__}", name, remediation=hint)
        if flag or needs:
            self._need(name)
        return flag


def _utf8_size(text: str) -> int | None:
    """Bytes of a text as UTF-8; None if it is none. The encoder's own exception would carry the text."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return None


async def _driver(call: Call) -> SecretsDriver:
    return cast("SecretsDriver", await call.driver())
