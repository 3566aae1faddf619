"""A certificate authority that lives as long as its emulator."""

from __future__ import annotations

import ipaddress
import os
import secrets
import ssl
import tempfile
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

VALID_DAYS = 7


class Authority:
    """Makes one server certificate, and then forgets how.

    Args:
        hosts: The names and addresses of the server. Its certificate is for these, and the
            authority itself may sign for nothing else, whoever trusts it.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        self._server_key = ec.generate_private_key(ec.SECP256R1())
        names = [_general_name(host) for host in hosts]
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"kmsbridge emulator {secrets.token_hex(4)}")])
        permitted = [_permitted(name) for name in names]
        authority = (
            _certificate(subject, subject, key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.NameConstraints(list(dict.fromkeys(permitted)), None), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        server = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kmsbridge emulator")])
        self._server = (
            _certificate(server, subject, self._server_key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        self.pem = authority.public_bytes(serialization.Encoding.PEM)
        """The certificate that clients have to trust. Its key is gone when this returns."""

    def context(self) -> ssl.SSLContext:
        """The server's side of TLS."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        # The ssl module reads keys from files only: the file holds it encrypted, under a
        # password that never leaves this process, and is gone a moment later.
        password = secrets.token_bytes(32)
        locked = self._server_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(password),
        )
        descriptor, path = tempfile.mkstemp(prefix="kmsbridge-", suffix=".pem")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(self._server.public_bytes(serialization.Encoding.PEM) + locked)
            context.load_cert_chain(path, password=password)
        finally:
            os.unlink(path)
        return context


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject_name=subject, issuer_name=issuer, public_key=key)
    builder = builder.serial_number(x509.random_serial_number())
    # An hour back, for clients whose clock is a little behind.
    return builder.not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(days=VALID_DAYS))


def _general_name(host: str) -> x509.DNSName | x509.IPAddress:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _permitted(name: x509.DNSName | x509.IPAddress) -> x509.DNSName | x509.IPAddress:
    """The name constraint that lets a name through, and as little else as can be."""
    if isinstance(name, x509.IPAddress):
        return x509.IPAddress(ipaddress.ip_network(str(name.value)))
    return x509.DNSName(name.value.removeprefix("*."))


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates, key_cert_sign=signs_certificates, crl_sign=signs_certificates,
        content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        encipher_only=False, decipher_only=False,
    )
