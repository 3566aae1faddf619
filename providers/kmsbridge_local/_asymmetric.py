"""RSA and EC keys: made, loaded, and used in the ways that every backend has.

RSA encrypts with OAEP (SHA-256 for hash and mask, no label) and signs with PSS (salt as
long as the hash) or PKCS #1 v1.5; EC signs with ECDSA, r and s side by side (RFC 7518).
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from kmsbridge._ciphertext import Broken
from kmsbridge._model import KeySpec, SignatureAlgorithm

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey

_HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}
_CURVES = {KeySpec.EC_P256: ec.SECP256R1(), KeySpec.EC_P384: ec.SECP384R1(), KeySpec.EC_P521: ec.SECP521R1()}
_BITS = {KeySpec.RSA_2048: 2048, KeySpec.RSA_3072: 3072, KeySpec.RSA_4096: 4096}
_OAEP = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)


def generate(spec: KeySpec) -> bytes:
    """A new private key, as PKCS #8 in DER."""
    key = ec.generate_private_key(_CURVES[spec]) if spec in _CURVES else rsa.generate_private_key(65537, _BITS[spec])
    return key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load(material: bytes) -> PrivateKey:
    """The private key that `generate` gave; its row has proved that it is unaltered."""
    key = serialization.load_der_private_key(material, None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey)
    return key


def pem(key: PublicKey) -> str:
    """The key as SubjectPublicKeyInfo."""
    encoded = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    return encoded.decode()


def encrypt(key: rsa.RSAPublicKey, plaintext: bytes) -> bytes:
    """RSA-OAEP-256; at most the size of the modulus less 66 bytes."""
    return key.encrypt(plaintext, _OAEP)


def decrypt(key: rsa.RSAPrivateKey, ciphertext: bytes) -> bytes:
    """What `encrypt` was given.

    Raises:
        Broken: It does not decrypt.
    """
    try:
        return key.decrypt(ciphertext, _OAEP)
    except ValueError:
        pass
    raise Broken


def sign(key: PrivateKey, algorithm: SignatureAlgorithm, digest: bytes) -> bytes:
    """The signature of a digest."""
    prehashed = Prehashed(_HASHES[algorithm[2:]])
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(digest, _padding(algorithm), prehashed)
    size = (key.key_size + 7) // 8
    r, s = decode_dss_signature(key.sign(digest, ec.ECDSA(prehashed)))
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify(key: PublicKey, algorithm: SignatureAlgorithm, digest: bytes, signature: bytes) -> bool:
    """Whether it is the signature of this digest under this key; False for any that is malformed."""
    prehashed = Prehashed(_HASHES[algorithm[2:]])
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, _padding(algorithm), prehashed)
            return True
        size = (key.key_size + 7) // 8
        if len(signature) != 2 * size:
            return False
        r, s = (int.from_bytes(half, "big") for half in (signature[:size], signature[size:]))
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(prehashed))
    except InvalidSignature:
        return False
    return True


def _padding(algorithm: SignatureAlgorithm) -> padding.PSS | padding.PKCS1v15:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    size = _HASHES[algorithm[2:]].digest_size
    return padding.PSS(padding.MGF1(_HASHES[algorithm[2:]]), size)
