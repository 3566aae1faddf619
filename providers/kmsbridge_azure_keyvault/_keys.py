"""What becomes of keys: made, seen, rotated, switched on and off, deleted and kept."""

from __future__ import annotations

from functools import partial

from kmsbridge._decode import Answer, Refused
from kmsbridge._model import Key, KeySpec, Page, PublicKey
from kmsbridge_azure_keyvault import _bundles, _findings
from kmsbridge_azure_keyvault._jwk import pem, spec_of
from kmsbridge_azure_keyvault._waiting import no_right, until_there

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from kmsbridge._call import Call
    from kmsbridge._model import SpecAbilities
    from kmsbridge_azure_keyvault._bundles import Item
    from kmsbridge_azure_keyvault._vault import Vault

_DELETED = "/deletedkeys"
_KINDS: Mapping[KeySpec, Mapping[str, object]] = {
    KeySpec.AES_256: {"kty": "oct", "key_size": 256},
    KeySpec.RSA_2048: {"kty": "RSA", "key_size": 2048},
    KeySpec.RSA_3072: {"kty": "RSA", "key_size": 3072},
    KeySpec.RSA_4096: {"kty": "RSA", "key_size": 4096},
    KeySpec.EC_P256: {"kty": "EC", "crv": "P-256"},
    KeySpec.EC_P384: {"kty": "EC", "crv": "P-384"},
    KeySpec.EC_P521: {"kty": "EC", "crv": "P-521"},
}


class VaultKeys:
    """Keys in a vault or a Managed HSM. Names are native, in lower case.

    Args:
        vault: Makes the requests.
        specs: What each kind of key does there.
        hsm: Whether it is a Managed HSM.
    """

    def __init__(self, vault: Vault, specs: Mapping[KeySpec, SpecAbilities], *, hsm: bool) -> None:
        self._vault = vault
        self._specs = specs
        self._hsm = hsm

    async def create_key(self, call: Call, name: str, spec: KeySpec, tags: Mapping[str, str]) -> Key:
        """Make a key. A vault would append a version to one that is there, and has no condition: so look first."""
        try:
            await self._look(call, name)
        except Refused as refused:
            if refused.answer.status != 404:
                raise
        else:
            raise Refused(Answer(door=_findings.EXISTS))
        body: dict[str, Any] = {**_KINDS[spec], "tags": dict(tags), "attributes": {"enabled": True}}
        if self._hsm:
            body["kty"] += "-HSM"
        return await self._vault.exchange(call, "POST", f"/keys/{name}/create", partial(_key, asked=name), body)

    async def get_key(self, call: Call, name: str) -> Key:
        """Its latest version, also if the key is deleted."""
        read = partial(_key, asked=name)
        try:
            return await self._vault.exchange(call, "GET", _path(name), read)
        except Refused as error:
            missing = error
        if missing.answer.status == 404:
            try:
                return await self._vault.exchange(call, "GET", f"/deletedkeys/{name}", read)
            except Refused as error:
                if error.answer.status not in (403, 404):  # it could not be asked
                    raise
        raise missing

    async def list_keys(self, call: Call, cursor: str | None) -> Page[Key]:
        """By pages of the vault's own size: first those that can be used, then those that are deleted.

        Listings do not tell the kind. Who may not see what is deleted sees the rest.
        """
        items: list[Key] = []
        path = cursor or "/keys"
        if not path.startswith(_DELETED):
            items, following = await self._listed(call, path)
            if following is not None:
                return Page(items, following)
            path = _DELETED
        try:
            deleted, following = await self._listed(call, path)
        except Refused as refused:
            if not no_right(refused.answer):
                raise
            deleted, following = [], None
        return Page([*items, *deleted], following)

    async def list_key_versions(self, call: Call, name: str, cursor: str | None) -> Page[Key]:
        """All of them, newest first. Each is looked at: listings tell neither kind nor order."""
        del cursor
        items = await self._versions(call, name)
        looks = [partial(self._look, call, name, _bundles.of_version(item)) for item in items]
        latest, *keys = await self._vault.runtime.gather([partial(self._look, call, name), *looks])
        return Page(_bundles.newest_first(keys, latest.version))

    async def rotate_key(self, call: Call, name: str) -> Key:
        """Append a version, unless the key is disabled: the new version would enable it."""
        try:
            latest = await self._look(call, name)
            if not latest.enabled and not any(item.enabled for item in await self._versions(call, name)):
                refused = Refused(Answer(door=_findings.DISABLED))
            else:
                return await self._vault.exchange(call, "POST", f"/keys/{name}/rotate", partial(_key, asked=name))
        except Refused as error:
            refused = error
        raise await self._missing(call, refused, name)

    async def enable_key(self, call: Call, name: str, version: str | None, enabled: bool) -> Key:
        """Enable or disable a version, or all there are, the latest first: a vault has no switch for a key."""
        try:
            if version is not None:
                return await self._switch(call, name, version, enabled)
            latest = await self._look(call, name)
            for item in sorted(await self._versions(call, name), key=lambda item: item.version != latest.version):
                if item.enabled is not enabled:
                    await self._switch(call, name, _bundles.of_version(item), enabled)
                    call.applied = True
            return await self._look(call, name)
        except Refused as error:
            refused = error
        raise await self._missing(call, refused, name, version)

    async def _switch(self, call: Call, name: str, version: str, enabled: bool) -> Key:
        body = {"attributes": {"enabled": enabled}}
        read = partial(_key, asked=name, version=version)
        return await self._vault.exchange(call, "PATCH", _path(name, version), read, body)

    async def schedule_key_deletion(self, call: Call, name: str, days: int | None) -> Key:
        """Delete it, and wait until that is over: from then on the vault's own retention runs."""
        del days  # the vault's to say
        try:
            deleted = await self._vault.exchange(call, "DELETE", f"/keys/{name}", partial(_key, asked=name))
        except Refused as error:
            refused = error
        else:
            call.applied = True
            if deleted.deletes_at is not None:  # else a vault without soft delete
                await until_there(self._vault, call, f"/deletedkeys/{name}")
            return deleted
        raise await self._missing(call, refused, name)

    async def cancel_key_deletion(self, call: Call, name: str) -> Key:
        """Recover it, and wait until that is over."""
        path = f"/deletedkeys/{name}/recover"
        recovered = await self._vault.exchange(call, "POST", path, partial(_key, asked=name))
        call.applied = True
        await until_there(self._vault, call, _path(name))
        return recovered

    async def get_public_key(self, call: Call, name: str, version: str | None) -> PublicKey:
        """The public half of a version, disabled or not."""
        read = partial(_public_key, asked=name, version=version)
        try:
            public = await self._vault.exchange(call, "GET", _path(name, version), read)
        except Refused as error:
            refused = error
        else:
            if public is None:
                raise Refused(Answer(door=_findings.KIND))
            return public
        raise await self._missing(call, refused, name, version)

    # -- looking ------------------------------------------------------------------------

    async def _look(self, call: Call, name: str, version: str | None = None) -> Key:
        read = partial(_key, asked=name, version=version)
        return await self._vault.exchange(call, "GET", _path(name, version), read)

    async def _there(self, call: Call, name: str) -> Key:
        try:
            return await self._look(call, name)
        except Refused as error:
            refused = error
        raise await self._missing(call, refused, name)

    async def _listed(self, call: Call, path: str, asked: str | None = None) -> tuple[list[Key], str | None]:
        def read(node: Mapping[str, Any]) -> tuple[list[Key], str | None]:
            keys, link = _bundles.page(node, lambda each: _of(_bundles.item(each, each.get("kid"), asked), None))
            return keys, None if link is None else self._vault.local(link)

        return await self._vault.exchange(call, "GET", path, read)

    async def _versions(self, call: Call, name: str) -> list[Key]:
        found: list[Key] = []
        path: str | None = f"/keys/{name}/versions"
        while path is not None:
            items, path = await self._listed(call, path, name)
            found += items
        if not found:  # some vaults have an empty list for what is not there
            await self._look(call, name)
        return found

    async def _missing(self, call: Call, refused: Refused, name: str, version: str | None = None) -> Refused:
        """What is not there: the version that was named, or the key, which may be deleted."""
        if refused.answer.status != 404:
            return refused
        for path, found in ((_path(name), _findings.VERSION), (f"/deletedkeys/{name}", _findings.DELETED)):
            try:
                await self._vault.ask(call, "GET", path)
            except Refused as error:
                if error.answer.status != 404:
                    return refused
                if version is not None and found == _findings.VERSION:
                    refused = error  # it is about the key
            else:
                door = None if found == _findings.VERSION and version is None else found
                return Refused(refused.answer._replace(door=door))
        return refused

    async def _unfit(
        self, call: Call, refused: Refused, name: str, version: str | None, does: Callable[[SpecAbilities], str | None]
    ) -> Refused:
        """Why a key was refused for a use: it is missing, or of a kind for which `does` says what is wrong."""
        if refused.answer.status not in (400, 403):
            return await self._missing(call, refused, name, version)
        try:
            spec = (await self._look(call, name, version)).spec
        except Refused:
            return refused
        wrong = None if spec is None or spec not in self._specs else does(self._specs[spec])
        return refused if wrong is None else Refused(refused.answer._replace(door=wrong))


def _path(name: str, version: str | None = None) -> str:
    return f"/keys/{name}/{version or ''}"


def _jwk(node: Mapping[str, Any]) -> Mapping[str, Any]:
    jwk = node.get("key")
    if not isinstance(jwk, dict):
        raise _bundles.Malformed("no key")
    return jwk


def _key(node: Mapping[str, Any], asked: str, version: str | None = None) -> Key:
    jwk = _jwk(node)
    item = _bundles.item(node, jwk.get("kid"), asked, version)
    _bundles.of_version(item)
    return _of(item, spec_of(jwk))


def _of(item: Item, spec: KeySpec | None) -> Key:
    return Key(
        name=item.name,
        version=item.version,
        spec=spec,
        enabled=item.enabled,
        tags=item.tags,
        created_at=item.created_at,
        expires_at=item.expires_at,
        deletes_at=item.purge_at,
    )


def _public_key(node: Mapping[str, Any], asked: str, version: str | None) -> PublicKey | None:
    """None for a key that has no public half, or a kind that is not known."""
    jwk = _jwk(node)
    item, spec = _bundles.item(node, jwk.get("kid"), asked, version), spec_of(jwk)
    found = _bundles.of_version(item)
    if spec is None or spec is KeySpec.AES_256:
        return None
    return PublicKey(item.name, found, spec, pem(jwk))
