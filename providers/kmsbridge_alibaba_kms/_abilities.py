"""What the two doors can do, and how large things may be."""

from __future__ import annotations

from dataclasses import replace

from kmsbridge._model import (
    Capabilities,
    KeyAbilities,
    KeySpec,
    SecretAbilities,
    SignatureAlgorithm,
    SpecAbilities,
)

MAX_VALUE = 30_720
"""Bytes of a value as it is sent."""
MIN_DAYS, MAX_DAYS, DAYS = 7, 366, 30
"""Days until a key is deleted: the least, the most, and where nobody says."""
MAX_TAGS = 18
"""A key has 20; two are ours."""

VERSION_DAYS = 7
"""Between two versions of a key, at least."""

SPECS = {
    # The service makes versions of such a key by a policy of the key, not when it is asked to.
    KeySpec.AES_256: SpecAbilities(encrypt=True, context=True, max_plaintext=6 * 1024, rotate=False),
    # What RSA-OAEP-256 leaves of the modulus: its size less 66 bytes (RFC 8017, 7.1.1).
    KeySpec.RSA_2048: SpecAbilities(encrypt=True, max_plaintext=190),
    KeySpec.RSA_3072: SpecAbilities(encrypt=True, max_plaintext=318),
    KeySpec.EC_P256: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES256,)),
}
"""Of the keys we make: an RSA key is made to encrypt, because a key has one use here."""
_USES = KeyAbilities(
    public_key=True,
    sign=True,
    verify=True,
    encrypt=True,
    decrypt=True,
    wrap=True,
    unwrap=True,
    generate_data_key=True,
    context=True,
    specs=SPECS,
)
REGION = Capabilities(
    secrets=SecretAbilities(
        get=True,
        set=True,
        list=True,
        versions=True,
        delete=True,
        deleted=True,
        recover=True,
        purge=True,
        get_version=True,
        if_absent=True,
        max_batch=20,
        max_value=MAX_VALUE,
        max_binary=MAX_VALUE // 4 * 3,  # as Base64
    ),
    keys=replace(
        _USES,
        create=True,
        get=True,
        list=True,
        versions=True,
        rotate=True,
        enable=True,
        disable=True,
        schedule_deletion=True,
        deletion_days=True,
        cancel_deletion=True,
        tags=True,
        max_tags=MAX_TAGS,
        min_deletion_days=MIN_DAYS,
        max_deletion_days=MAX_DAYS,
    ),
)
"""The region's door alone."""
BOTH = replace(
    REGION, secrets=replace(REGION.secrets, max_batch=0), keys=replace(REGION.keys, rotate=False)
)
"""That of an instance beside it, where secrets are read one by one, and of whose keys no version can be made."""
INSTANCE = Capabilities(secrets=SecretAbilities(get=True, get_version=True), keys=_USES)
"""The door of an instance alone: cryptography, and reading secrets."""
