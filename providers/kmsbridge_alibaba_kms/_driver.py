"""One region under one identity, perhaps with an instance's door beside it; or that door alone."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kmsbridge._decode import Refused
from kmsbridge._errors import Code
from kmsbridge_alibaba_kms._answers import number
from kmsbridge_alibaba_kms._client_key import read_client_key
from kmsbridge_alibaba_kms._cryptography import RegionCryptography
from kmsbridge_alibaba_kms._errors import decoder
from kmsbridge_alibaba_kms._region import Region
from kmsbridge_alibaba_kms._secrets import KmsSecrets
from kmsbridge_alibaba_kms._uses import KmsKeyUses

if TYPE_CHECKING:
    from kmsbridge._call import Call
    from kmsbridge._errors import Identity, KMSError
    from kmsbridge._runtime import Runtime
    from kmsbridge_alibaba_kms._config import KmsSettings
    from kmsbridge_alibaba_kms._cryptography import Cryptography
    from kmsbridge_alibaba_kms._instance import Instance

_NOT_REPEATABLE = frozenset(
    (
        "secrets.delete",
        "secrets.recover",
        "secrets.purge",
        "keys.rotate",
        "keys.schedule_deletion",
        "keys.cancel_deletion",
    )
)
"""What finds its work done the second time. A secret is set under an id of the call's own, and a key is made so."""


class AlibabaKmsDriver(KmsSecrets, KmsKeyUses):
    """Alibaba Cloud KMS."""

    def __init__(self, region: Region | None, instance: Instance | None, door: Cryptography) -> None:
        KmsSecrets.__init__(self, region, instance)
        KmsKeyUses.__init__(self, region, door)

    def repeatable(self, operation: str) -> bool:
        """Whether a call that may have been applied can be made again."""
        return operation not in _NOT_REPEATABLE

    async def reauthenticate(self) -> bool:
        """Drop the AccessKey that was refused; a client key is what it is."""
        return self._door_or_none is not None and self._door_or_none.keys.renew()

    async def refresh(self, error: KMSError) -> bool:  # noqa: ARG002 - what is stale is looked at within the call
        """Nothing is kept that an error would show to be stale."""
        return False

    async def poll(self, error: KMSError, call: Call) -> bool:  # noqa: ARG002 - no operation goes on behind an answer
        """Nothing goes on behind an answer."""
        return True

    async def health(self, call: Call) -> Identity | None:
        """List one secret, and have one random byte made; who may not list is known all the same."""
        region, instance = self._door_or_none, self._instance
        if region is not None:
            request = {"PageNumber": 1, "PageSize": 1}
            try:
                await region.exchange(call, "ListSecrets", request, partial(number, name="TotalCount"))
            except Refused as refused:
                if decoder.decode(refused.answer).code is not Code.ACCESS_DENIED:
                    raise
        if instance is not None:
            await instance.exchange(call, "GenerateRandom", {"Length": 1}, lambda found: len(found["Random"]))
        return call.identity

    async def close(self) -> None:
        """Close the connections; the AccessKeys are the process's."""
        for door in (self._door_or_none, self._instance):
            if door is not None:
                await door.close()


async def open_driver(settings: KmsSettings, runtime: Runtime) -> AlibabaKmsDriver:
    """Open what the settings name. Sends nothing.

    Raises:
        KMSError: The client key cannot be read.
    """
    region = None if settings.login is None else Region(settings, settings.login, runtime)
    if settings.instance is None:
        assert region is not None  # of two doors there is one
        return AlibabaKmsDriver(region, None, RegionCryptography(region))
    from kmsbridge_alibaba_kms._instance import Instance, InstanceCryptography

    key = await runtime.in_thread(partial(read_client_key, settings.instance.files))
    instance = Instance(settings.instance, key, runtime)
    return AlibabaKmsDriver(region, instance, InstanceCryptography(instance))
