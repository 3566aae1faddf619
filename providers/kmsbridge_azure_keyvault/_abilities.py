"""What a vault and a Managed HSM can do, and how large things may be."""

from __future__ import annotations

from kmsbridge._model import (
    Capabilities,
    KeyAbilities,
    KeySpec,
    SecretAbilities,
    SignatureAlgorithm,
    SpecAbilities,
)

MARKER = ";kmsbridge=base64"
"""Ends the content type of a value that was given as bytes. Beside the value, so that tags can be replaced unread."""
MAX_VALUE = 25_600
"""Bytes of a value."""
MAX_CONTENT_TYPE = 255 - len(MARKER)

_RSA_SIGNS = tuple(algorithm for algorithm in SignatureAlgorithm if algorithm[1] == "S" and algorithm[0] != "E")
_SPECS = {
    # What RSA-OAEP-256 leaves of the modulus: its size less 66 bytes (RFC 8017, 7.1.1).
    KeySpec.RSA_2048: SpecAbilities(encrypt=True, max_plaintext=190, signature_algorithms=_RSA_SIGNS),
    KeySpec.RSA_3072: SpecAbilities(encrypt=True, max_plaintext=318, signature_algorithms=_RSA_SIGNS),
    KeySpec.RSA_4096: SpecAbilities(encrypt=True, max_plaintext=446, signature_algorithms=_RSA_SIGNS),
    KeySpec.EC_P256: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES256,)),
    KeySpec.EC_P384: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES384,)),
    KeySpec.EC_P521: SpecAbilities(signature_algorithms=(SignatureAlgorithm.ES512,)),
}
_AES = SpecAbilities(encrypt=True, context=True, max_plaintext=4_096)
"""No limit is documented; what is larger than this is for `seal`."""


def _keys(*, hsm: bool) -> KeyAbilities:
    return KeyAbilities(
        create=True,
        get=True,
        list=True,
        versions=True,
        rotate=not hsm,
        enable=True,
        disable=True,
        enable_version=True,
        schedule_deletion=True,
        cancel_deletion=True,
        public_key=True,
        sign=True,
        verify=True,
        encrypt=True,
        decrypt=True,
        wrap=True,
        unwrap=True,
        generate_data_key=True,
        context=hsm,
        tags=True,
        max_tags=15,
        specs={KeySpec.AES_256: _AES, **_SPECS} if hsm else _SPECS,
    )


VAULT = Capabilities(
    secrets=SecretAbilities(
        get=True,
        set=True,
        list=True,
        versions=True,
        update=True,
        delete=True,
        deleted=True,
        recover=True,
        purge=True,
        get_version=True,
        content_type=True,
        tags=True,
        expires_at=True,
        enabled=True,
        update_version=True,
        max_value=MAX_VALUE,
        max_binary=MAX_VALUE // 4 * 3,  # as Base64
        max_tags=15,
        max_content_type=MAX_CONTENT_TYPE,
    ),
    keys=_keys(hsm=False),
)
MANAGED_HSM = Capabilities(keys=_keys(hsm=True))
