"""Key material: made, imported, and shown as a JSON Web Key."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from kmsbridge_azure_keyvault.emulator._base64url import decode, encode
from kmsbridge_azure_keyvault.emulator._items import Refused, Version

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

Material = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | bytes

CURVES: dict[str, type[ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1, "P-256K": ec.SECP256K1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1,
}
RSA_BITS = (2048, 3072, 4096)
OCT_BITS = (128, 192, 256)
MAX_OCT_BYTES = 64

OPERATIONS = {
    "RSA": ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"),
    "EC": ("sign", "verify"),
    "oct": ("encrypt", "decrypt", "wrapKey", "unwrapKey"),
}
"""What a new key may be used for, where its maker does not say."""
ALL_OPERATIONS = frozenset({*OPERATIONS["RSA"], "import", "export"})


@dataclass(slots=True)
class KeyVersion(Version):
    """One version of a key."""

    kty: str = "RSA"
    """With ``-HSM`` at its end for what an HSM holds."""
    material: Material = field(default=b"", repr=False)
    key_ops: tuple[str, ...] = ()
    exportable: bool | None = None
    release_policy: dict[str, Any] | None = None

    @property
    def family(self) -> str:
        """``RSA``, ``EC`` or ``oct``."""
        return self.kty.removesuffix("-HSM")

    @property
    def curve(self) -> str:
        """Of an EC key, as JSON Web Keys name it; empty for others."""
        if not isinstance(self.material, ec.EllipticCurvePrivateKey):
            return ""
        return next(name for name, curve in CURVES.items() if isinstance(self.material.curve, curve))


def generate(kty: str, size: int | None, curve: str | None, exponent: int | None) -> Material:
    """New material of a kind.

    Raises:
        Refused: The service has no such kind or size.
    """
    family = kty.removesuffix("-HSM")
    if family == "RSA" and (size or 2048) in RSA_BITS and exponent in (None, 3, 65537):
        return rsa.generate_private_key(exponent or 65537, size or 2048)
    if family == "EC" and (curve or "P-256") in CURVES:
        return ec.generate_private_key(CURVES[curve or "P-256"]())
    if family == "oct" and (size or 256) in OCT_BITS:
        return secrets.token_bytes((size or 256) // 8)
    raise Refused("InvalidProperty")


def renew(material: Material) -> Material:
    """New material of the same kind and size."""
    if isinstance(material, rsa.RSAPrivateKey):
        return rsa.generate_private_key(material.public_key().public_numbers().e, material.key_size)
    if isinstance(material, ec.EllipticCurvePrivateKey):
        return ec.generate_private_key(material.curve)
    return secrets.token_bytes(len(material))


def from_jwk(jwk: Mapping[str, Any]) -> Material:
    """The material of an imported key.

    Raises:
        Refused: It is incomplete, or no key.
    """
    family = str(jwk.get("kty", "")).removesuffix("-HSM")
    try:
        if family == "RSA":
            return _rsa(jwk)
        if family == "EC" and jwk.get("crv") in CURVES:
            curve = CURVES[jwk["crv"]]()
            public = ec.EllipticCurvePublicNumbers(_number(jwk, "x"), _number(jwk, "y"), curve)
            return ec.EllipticCurvePrivateNumbers(_number(jwk, "d"), public).private_key()
    except ValueError:
        raise Refused("InvalidProperty") from None
    if family == "oct":
        material = _member(jwk, "k")
        if len(material) > MAX_OCT_BYTES:
            raise Refused("OctKeyTooLarge")
        if len(material) * 8 in OCT_BITS:
            return material
    raise Refused("InvalidProperty")


def _rsa(jwk: Mapping[str, Any]) -> rsa.RSAPrivateKey:
    n, e, d = _number(jwk, "n"), _number(jwk, "e"), _number(jwk, "d")
    if n.bit_length() not in RSA_BITS or e < 3 or d < 3:  # also: the factors of some such numbers are searched for ever
        raise Refused("InvalidProperty")
    whole = "p" in jwk and "q" in jwk
    p, q = (_number(jwk, "p"), _number(jwk, "q")) if whole else rsa.rsa_recover_prime_factors(n, e, d)
    return rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), rsa.RSAPublicNumbers(e, n)
    ).private_key()


def public_jwk(version: KeyVersion, kid: str) -> dict[str, Any]:
    """The part of a key that may be seen."""
    shown: dict[str, Any] = {"kid": kid, "kty": version.kty, "key_ops": list(version.key_ops)}
    material = version.material
    if isinstance(material, rsa.RSAPrivateKey):
        numbers = material.public_key().public_numbers()
        shown |= {"n": _bytes(numbers.n), "e": _bytes(numbers.e)}
    elif isinstance(material, ec.EllipticCurvePrivateKey):
        point, size = material.public_key().public_numbers(), (material.key_size + 7) // 8
        shown |= {"crv": version.curve, "x": _bytes(point.x, size), "y": _bytes(point.y, size)}
    return shown


def _member(jwk: Mapping[str, Any], name: str) -> bytes:
    value = jwk.get(name)
    if not isinstance(value, str):
        raise Refused("PropertyRequired", value=name)
    return decode(value, name)


def _number(jwk: Mapping[str, Any], name: str) -> int:
    return int.from_bytes(_member(jwk, name), "big")


def _bytes(number: int, size: int | None = None) -> str:
    return encode(number.to_bytes(size or (number.bit_length() + 7) // 8, "big"))
