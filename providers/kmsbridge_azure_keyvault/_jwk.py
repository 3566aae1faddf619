"""JSON Web Keys as vaults show them: RFC 7517, with ``-HSM`` behind the type of what an HSM holds."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsbridge._model import KeySpec
from kmsbridge_azure_keyvault._bundles import data, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_RSA = {2048: KeySpec.RSA_2048, 3072: KeySpec.RSA_3072, 4096: KeySpec.RSA_4096}
_EC = {"P-256": KeySpec.EC_P256, "P-384": KeySpec.EC_P384, "P-521": KeySpec.EC_P521}
_CURVES: Mapping[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}


def spec_of(jwk: Mapping[str, Any]) -> KeySpec | None:
    """The kind of a key; None for one that is not known here.

    Raises:
        ValueError: It is no key.
    """
    match text(jwk, "kty").removesuffix("-HSM"):
        case "RSA":
            return _RSA.get(_number(jwk, "n").bit_length())
        case "EC":
            return _EC.get(text(jwk, "crv"))
        case "oct":  # its size is not told
            return KeySpec.AES_256
    return None


def pem(jwk: Mapping[str, Any]) -> str:
    """The public half of an RSA or EC key of a known kind.

    Raises:
        ValueError: It is no key.
    """
    key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey
    if text(jwk, "kty").startswith("RSA"):
        key = rsa.RSAPublicNumbers(_number(jwk, "e"), _number(jwk, "n")).public_key()
    else:
        curve = _CURVES[text(jwk, "crv")]()
        key = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curve).public_key()
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def _number(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(data(jwk, name), "big")
