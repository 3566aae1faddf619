"""What keys compute: RSA, EC and AES, by the names of JSON Web Algorithms."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap
from cryptography.hazmat.primitives import padding as block_padding
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsbridge_azure_keyvault.emulator._items import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from kmsbridge_azure_keyvault.emulator._material import KeyVersion

HASHES: dict[str, hashes.HashAlgorithm] = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
CURVE_OF = {"ES256": "P-256", "ES256K": "P-256K", "ES384": "P-384", "ES512": "P-521"}
GCM_IV = 12
GCM_TAG = 16
BLOCK = 16


@dataclass(frozen=True, slots=True)
class Sealed:
    """What an encryption gives, and a decryption takes."""

    value: bytes
    iv: bytes | None = None
    aad: bytes | None = None
    tag: bytes | None = None


def encrypt(key: KeyVersion, algorithm: str, plain: Sealed, *, wrapping: bool) -> Sealed:
    """Encrypt or wrap.

    Raises:
        Refused: The algorithm does not fit the key, or the value does not fit the algorithm.
    """
    material = key.material
    try:
        if isinstance(material, rsa.RSAPrivateKey):
            return Sealed(material.public_key().encrypt(plain.value, _rsa_padding(algorithm)))
        if isinstance(material, bytes):
            return _aes_encrypt(material, algorithm, plain, wrapping=wrapping)
    except ValueError:  # too long for the modulus, or no multiple of the block
        raise Refused("InvalidProperty") from None
    raise Refused("InvalidProperty")


def decrypt(key: KeyVersion, algorithm: str, sealed: Sealed, *, wrapping: bool) -> bytes:
    """Decrypt or unwrap.

    Raises:
        Refused: The algorithm does not fit the key, or the value was not made by this key.
    """
    material = key.material
    try:
        if isinstance(material, rsa.RSAPrivateKey):
            return material.decrypt(sealed.value, _rsa_padding(algorithm))
        if isinstance(material, bytes):
            return _aes_decrypt(material, algorithm, sealed, wrapping=wrapping)
    except (ValueError, InvalidTag, keywrap.InvalidUnwrap):
        raise Refused("UndecryptableValue") from None
    raise Refused("InvalidProperty")


def sign(key: KeyVersion, algorithm: str, digest: bytes) -> bytes:
    """The signature of a digest; of an EC key as r and s, each as long as the curve.

    Raises:
        Refused: The algorithm does not fit the key, or the digest not the algorithm.
    """
    material = key.material
    if isinstance(material, bytes):
        return _hmac(material, algorithm, digest)
    if isinstance(material, rsa.RSAPrivateKey):
        if algorithm == "RSNULL":
            return _bare_sign(material, digest)
        chosen, prehashed = _rsa_signature(algorithm, digest)
        return material.sign(digest, chosen, prehashed)
    _check_curve(key, algorithm)
    r, s = utils.decode_dss_signature(material.sign(digest, ec.ECDSA(_prehashed(algorithm[2:5], digest))))
    size = (material.key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify(key: KeyVersion, algorithm: str, digest: bytes, signature: bytes) -> bool:
    """Whether a signature is that of a digest.

    Raises:
        Refused: The algorithm does not fit the key, or the digest not the algorithm.
    """
    material = key.material
    if isinstance(material, bytes):
        return hmac.compare_digest(_hmac(material, algorithm, digest), signature)
    try:
        if isinstance(material, rsa.RSAPrivateKey):
            if algorithm == "RSNULL":
                return hmac.compare_digest(_bare_sign(material, digest), signature)
            chosen, prehashed = _rsa_signature(algorithm, digest)
            material.public_key().verify(signature, digest, chosen, prehashed)
            return True
        _check_curve(key, algorithm)
        prehashed = _prehashed(algorithm[2:5], digest)
        size = (material.key_size + 7) // 8
        if len(signature) != 2 * size:
            return False
        r, s = int.from_bytes(signature[:size], "big"), int.from_bytes(signature[size:], "big")
        material.public_key().verify(utils.encode_dss_signature(r, s), digest, ec.ECDSA(prehashed))
    except InvalidSignature:
        return False
    return True


# -- RSA and EC -------------------------------------------------------------------------


def _rsa_padding(algorithm: str) -> padding.AsymmetricPadding:
    match algorithm:
        case "RSA-OAEP":
            return padding.OAEP(padding.MGF1(hashes.SHA1()), hashes.SHA1(), None)  # noqa: S303 - what the name means
        case "RSA-OAEP-256":
            return padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
        case "RSA1_5":
            return padding.PKCS1v15()
    raise Refused("InvalidProperty")


def _rsa_signature(algorithm: str, digest: bytes) -> tuple[padding.AsymmetricPadding, utils.Prehashed]:
    prehashed = _prehashed(algorithm[2:], digest)
    if algorithm.startswith("RS"):
        return padding.PKCS1v15(), prehashed
    if algorithm.startswith("PS"):
        return padding.PSS(padding.MGF1(HASHES[algorithm[2:]]), len(digest)), prehashed
    raise Refused("InvalidProperty")


def _bare_sign(key: rsa.RSAPrivateKey, digest: bytes) -> bytes:
    """PKCS #1 v1.5 without the name of a hash: the caller has put in what shall be signed."""
    size = key.key_size // 8
    if len(digest) > size - 11:
        raise Refused("InvalidProperty")
    padded = b"\x00\x01" + b"\xff" * (size - 3 - len(digest)) + b"\x00" + digest
    numbers = key.private_numbers()
    return pow(int.from_bytes(padded, "big"), numbers.d, numbers.public_numbers.n).to_bytes(size, "big")


def _check_curve(key: KeyVersion, algorithm: str) -> None:
    wanted = CURVE_OF.get(algorithm)
    if wanted is None:
        raise Refused("InvalidProperty")
    if wanted != key.curve:
        raise Refused("WrongCurve", curve=key.curve, wanted=wanted, value=algorithm)


def _prehashed(bits: str, digest: bytes) -> utils.Prehashed:
    chosen = HASHES.get(bits)
    if chosen is None or len(digest) != chosen.digest_size:
        raise Refused("InvalidProperty")
    return utils.Prehashed(chosen)


# -- AES --------------------------------------------------------------------------------


def _hmac(key: bytes, algorithm: str, data: bytes) -> bytes:
    if not algorithm.startswith("HS") or algorithm[2:] not in HASHES:
        raise Refused("InvalidProperty")
    return hmac.digest(key, data, f"sha{algorithm[2:]}")


def _mode(key: bytes, algorithm: str, *, wrapping: bool) -> str:
    """What follows the size in ``A256GCM``, if that is the size of the key."""
    if wrapping and algorithm in ("CKM_AES_KEY_WRAP", "CKM_AES_KEY_WRAP_PAD"):
        return algorithm
    mode = algorithm[4:]
    allowed = ("KW",) if wrapping else ("GCM", "CBC", "CBCPAD")
    if algorithm[:4] != f"A{len(key) * 8}" or mode not in allowed:
        raise Refused("InvalidProperty")
    return mode


def _aes_encrypt(key: bytes, algorithm: str, plain: Sealed, *, wrapping: bool) -> Sealed:
    mode = _mode(key, algorithm, wrapping=wrapping)
    if mode in ("KW", "CKM_AES_KEY_WRAP"):
        return Sealed(keywrap.aes_key_wrap(key, plain.value))
    if mode == "CKM_AES_KEY_WRAP_PAD":
        return Sealed(keywrap.aes_key_wrap_with_padding(key, plain.value))
    if mode == "GCM":
        iv = secrets.token_bytes(GCM_IV)  # of the HSM's choosing, whatever the caller says
        sealed = AESGCM(key).encrypt(iv, plain.value, plain.aad)
        return Sealed(sealed[:-GCM_TAG], iv, plain.aad, sealed[-GCM_TAG:])
    iv = plain.iv or secrets.token_bytes(BLOCK)
    value = plain.value
    if mode == "CBCPAD":
        padder = block_padding.PKCS7(BLOCK * 8).padder()
        value = padder.update(value) + padder.finalize()
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return Sealed(encryptor.update(value) + encryptor.finalize(), iv)


def _aes_decrypt(key: bytes, algorithm: str, sealed: Sealed, *, wrapping: bool) -> bytes:
    mode = _mode(key, algorithm, wrapping=wrapping)
    if mode in ("KW", "CKM_AES_KEY_WRAP"):
        return keywrap.aes_key_unwrap(key, sealed.value)
    if mode == "CKM_AES_KEY_WRAP_PAD":
        return keywrap.aes_key_unwrap_with_padding(key, sealed.value)
    if sealed.iv is None:
        raise Refused("PropertyRequired", value="iv")
    if mode == "GCM":
        if sealed.tag is None:
            raise Refused("PropertyRequired", value="tag")
        return AESGCM(key).decrypt(sealed.iv, sealed.value + sealed.tag, sealed.aad)
    decryptor = Cipher(algorithms.AES(key), modes.CBC(sealed.iv)).decryptor()
    plain = decryptor.update(sealed.value) + decryptor.finalize()
    if mode == "CBCPAD":
        unpadder = block_padding.PKCS7(BLOCK * 8).unpadder()
        plain = unpadder.update(plain) + unpadder.finalize()
    return plain
