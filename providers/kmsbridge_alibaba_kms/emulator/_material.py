"""The kinds of keys, and their material."""

from __future__ import annotations

import secrets

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kmsbridge_alibaba_kms.emulator._arithmetic import SM4_BYTES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsbridge_alibaba_kms.emulator._state import Material

ENCRYPT, SIGN = "ENCRYPT/DECRYPT", "SIGN/VERIFY"
USAGES: Mapping[str, tuple[str, ...]] = {
    "Aliyun_AES_256": (ENCRYPT,),
    "Aliyun_SM4": (ENCRYPT,),
    "RSA_2048": (ENCRYPT, SIGN),
    "RSA_3072": (ENCRYPT, SIGN),
    "EC_P256": (SIGN,),
    "EC_P256K": (SIGN,),
}
"""What a key of each kind can be for; the first is what it is for where nobody says."""
_RSA_BITS = {"RSA_2048": 2048, "RSA_3072": 3072}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {"EC_P256": ec.SECP256R1, "EC_P256K": ec.SECP256K1}


def generate(spec: str) -> Material:
    """New material of a kind."""
    if spec in _RSA_BITS:
        return rsa.generate_private_key(65537, _RSA_BITS[spec])
    if spec in _CURVES:
        return ec.generate_private_key(_CURVES[spec]())
    return secrets.token_bytes(SM4_BYTES if spec == "Aliyun_SM4" else 32)
