"""Signatures and public keys as the service writes them, and as everybody reads them."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from kmsbridge._model import KeySpec
from kmsbridge_alibaba_kms._answers import Malformed

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_SIZE = 32
"""Bytes of r and of s, on P-256."""


def to_der(signature: bytes) -> bytes | None:
    """r and s side by side (RFC 7518) as the service takes them; None for what is not that."""
    if len(signature) != 2 * _SIZE:
        return None
    r, s = int.from_bytes(signature[:_SIZE], "big"), int.from_bytes(signature[_SIZE:], "big")
    return encode_dss_signature(r, s) if r and s else None


def from_der(signature: bytes) -> bytes:
    """The service's form as r and s side by side."""
    if len(signature) == 2 * _SIZE:  # which no DER of two such numbers starting with 0x30 0x44... has
        return signature
    r, s = decode_dss_signature(signature)
    return r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")


def public_key(pem: bytes) -> tuple[KeySpec | None, str]:
    """What kind of key it is, and its public half as SubjectPublicKeyInfo."""
    try:
        key = load_pem_public_key(pem)
    except Exception as error:
        raise Malformed("no public key") from error
    text = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    name = ""
    if isinstance(key, rsa.RSAPublicKey):
        name = f"RSA_{key.key_size}"
    elif isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES):
        name = f"EC_P{key.key_size}"
    return KeySpec(name) if name in list(KeySpec) else None, text
