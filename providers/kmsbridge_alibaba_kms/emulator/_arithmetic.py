"""Encryption and signatures by real material; it knows nothing of names or states."""

from __future__ import annotations

import hashlib
import secrets

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsbridge_alibaba_kms.emulator._known import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from cryptography.hazmat.primitives.asymmetric.padding import AsymmetricPadding

    from kmsbridge_alibaba_kms.emulator._state import Material

IV_BYTES, TAG_BYTES, DIGEST_BYTES = 12, 16, 32
SM4_BYTES = 16
"""Of material that long; AES keys have 32."""
_SHA_256 = utils.Prehashed(hashes.SHA256())
_OAEP: Mapping[str, AsymmetricPadding] = {
    "RSAES_OAEP_SHA_256": padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None),
    "RSAES_OAEP_SHA_1": padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None),  # noqa: S303 - the service has it
}
_RSA_SIGNATURES: Mapping[str, AsymmetricPadding] = {
    "RSA_PSS_SHA_256": padding.PSS(padding.MGF1(hashes.SHA256()), DIGEST_BYTES),
    "RSA_PKCS1_SHA_256": padding.PKCS1v15(),
}


def additional_data(context: Mapping[str, str]) -> bytes:
    """What an EncryptionContext is to AES-GCM: a digest of its pairs, in hexadecimal digits; nothing if it is empty."""
    if not context:
        return b""
    pairs = "&".join(f"{name}={value}" for name, value in sorted(context.items()))
    return hashlib.sha256(pairs.encode()).hexdigest().encode()


def seal(material: Material, plaintext: bytes, aad: bytes, iv: bytes | None = None) -> tuple[bytes, bytes]:
    """The IV, a new one if none is given, and the ciphertext with its tag.

    Raises:
        Refused: The key is not symmetric.
    """
    if not isinstance(material, bytes):
        raise Refused("UnsupportedOperation")
    iv = iv or secrets.token_bytes(IV_BYTES)
    if len(material) == SM4_BYTES:
        cipher = Cipher(SM4(material), GCM(iv)).encryptor()
        cipher.authenticate_additional_data(aad)
        return iv, cipher.update(plaintext) + cipher.finalize() + cipher.tag
    return iv, AESGCM(material).encrypt(iv, plaintext, aad)


def unseal(material: Material, iv: bytes, sealed: bytes, aad: bytes) -> bytes:
    """The plaintext.

    Raises:
        Refused: The key is not symmetric, or this was not made by it, or for something else.
    """
    if not isinstance(material, bytes):
        raise Refused("UnsupportedOperation")
    try:
        if len(material) == SM4_BYTES:
            cipher = Cipher(SM4(material), GCM(iv, sealed[-TAG_BYTES:])).decryptor()
            cipher.authenticate_additional_data(aad)
            return cipher.update(sealed[:-TAG_BYTES]) + cipher.finalize()
        return AESGCM(material).decrypt(iv, sealed, aad)
    except (InvalidTag, ValueError):
        raise Refused("InvalidParameter") from None


def encrypt(material: Material, algorithm: str, plaintext: bytes) -> bytes:
    """By RSA-OAEP.

    Raises:
        Refused: The key or the algorithm is of another kind, or the plaintext too long.
    """
    if not isinstance(material, rsa.RSAPrivateKey) or algorithm not in _OAEP:
        raise Refused("InvalidParameter")
    try:
        return material.public_key().encrypt(plaintext, _OAEP[algorithm])
    except ValueError:
        raise Refused("InvalidParameter") from None


def decrypt(material: Material, algorithm: str, ciphertext: bytes) -> bytes:
    """By RSA-OAEP.

    Raises:
        Refused: The key or the algorithm is of another kind, or this was not made for it.
    """
    if not isinstance(material, rsa.RSAPrivateKey) or algorithm not in _OAEP:
        raise Refused("InvalidParameter")
    try:
        return material.decrypt(ciphertext, _OAEP[algorithm])
    except ValueError:
        raise Refused("InvalidParameter") from None


def sign(material: Material, algorithm: str, digest: bytes) -> bytes:
    """A signature; of ECDSA in DER.

    Raises:
        Refused: The key or the algorithm is of another kind, or the digest not of SHA-256.
    """
    _fits(material, algorithm, digest)
    if isinstance(material, rsa.RSAPrivateKey):
        return material.sign(digest, _RSA_SIGNATURES[algorithm], _SHA_256)
    assert isinstance(material, ec.EllipticCurvePrivateKey)
    return material.sign(digest, ec.ECDSA(_SHA_256))


def verify(material: Material, algorithm: str, digest: bytes, signature: bytes) -> bool:
    """Whether the signature is good.

    Raises:
        Refused: As of `sign`.
    """
    _fits(material, algorithm, digest)
    try:
        if isinstance(material, rsa.RSAPrivateKey):
            material.public_key().verify(signature, digest, _RSA_SIGNATURES[algorithm], _SHA_256)
        else:
            assert isinstance(material, ec.EllipticCurvePrivateKey)
            material.public_key().verify(signature, digest, ec.ECDSA(_SHA_256))
    except InvalidSignature:
        return False
    return True


def _fits(material: Material, algorithm: str, digest: bytes) -> None:
    known = (
        algorithm in _RSA_SIGNATURES
        if isinstance(material, rsa.RSAPrivateKey)
        else isinstance(material, ec.EllipticCurvePrivateKey) and algorithm == "ECDSA_SHA_256"
    )
    if not known or len(digest) != DIGEST_BYTES:
        raise Refused("InvalidParameter")


def public_pem(material: Material) -> str:
    """The public key.

    Raises:
        Refused: The key is symmetric.
    """
    if isinstance(material, bytes):
        raise Refused("UnsupportedOperation")
    return material.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
