"""A server that misbehaves below HTTP, on a loopback port, over plain TCP or TLS; and a proxy.

The first segment of a path says what it does: see `Faults.misbehave`. It counts requests by
method and path, and the connections they came over.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Self

HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nx-ms-request-id: r-1\r\n"


class Listener:
    """A thread for each connection; all end when it is closed."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.tls = tls
        self.greeting = b""
        """Sent as soon as a connection is there, below TLS."""
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=256)
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.ended = threading.Event()
        self.port: int = self._listening.getsockname()[1]
        self.connections = 0

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.drop()
        for thread in self._threads:
            thread.join(5)
            assert not thread.is_alive()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def drop(self) -> None:
        """Close every open connection, as a server does that restarts."""
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open_after(self, few: int) -> int:
        """Connections that the client has not closed, once there are so few, or after a second."""
        until = time.monotonic() + 1
        while len(self._open) > few and time.monotonic() < until:
            time.sleep(0.005)
        return len(self._open)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        self._open.add(connection)
        wrapped = connection
        try:
            connection.settimeout(20)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with suppress(OSError):
                connection.sendall(self.greeting)
                if self.tls is not None:
                    wrapped = self.tls.wrap_socket(connection, server_side=True)
                    self._open.add(wrapped)
                    self._open.discard(connection)
                self.converse(wrapped)
        finally:
            self._open -= {connection, wrapped}
            wrapped.close()
            connection.close()

    def converse(self, connection: socket.socket) -> None:
        """Serve one connection."""
        raise NotImplementedError


class Faults(Listener):
    """Answers, or does not. ``/ok/<anything>`` echoes the path; ``/late`` takes its time for the last byte."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        self.requests: Counter[tuple[str, str]] = Counter()
        self.heads: list[bytes] = []
        self.bodies: list[bytes] = []
        self.answers: dict[str, bytes | Callable[[bytes, bytes], bytes]] = {}
        """Whole answers by first path segment, or what makes them from head and body."""

    def converse(self, connection: socket.socket) -> None:
        """Read requests and misbehave as their path asks."""
        received = b""
        while True:
            while b"\r\n\r\n" not in received:
                part = connection.recv(65536)
                if not part:
                    return
                received += part
            head, _, received = received.partition(b"\r\n\r\n")
            method, path, _ = head.split(b"\r\n")[0].decode().split(" ")
            self.requests[method, path] += 1
            self.heads.append(head)
            if path == "/unread":
                self.ended.wait(10)
                return
            length = 0
            for line in head.split(b"\r\n")[1:]:
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            while len(received) < length:
                received += connection.recv(65536)
            body, received = received[:length], received[length:]
            self.bodies.append(body)
            if not self._answer(connection, path, head, body):
                return

    def _answer(self, connection: socket.socket, path: str, head: bytes, body: bytes) -> bool:
        name = path.split("?", maxsplit=1)[0].split("/")[1]
        canned = self.answers.get(name)
        if canned is not None:
            connection.sendall(canned if isinstance(canned, bytes) else canned(head, body))
            return b"Connection: close" not in (canned if isinstance(canned, bytes) else b"")
        if name == "ok":
            echo = path.encode()
            connection.sendall(HEAD % b"200 OK" + b"Content-Length: %d\r\n\r\n" % len(echo) + echo)
            return True
        if name == "late":
            connection.sendall(HEAD % b"200 OK" + b"Content-Length: 2\r\n\r\na")
            self.ended.wait(0.1)
            connection.sendall(b"b")
            return True
        self.misbehave(connection, name)
        return False

    def misbehave(self, connection: socket.socket, name: str) -> None:
        """What follows a request that gets no good answer; the connection is closed after it."""
        whole = HEAD % b"503 Busy" + b"Content-Length: 100\r\n\r\n"
        if name == "reset":
            reset(connection)
        elif name == "cut-headers":
            connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-")
        elif name == "not-http":
            connection.sendall(b"220 mail.example.com ESMTP\r\n")
        elif name == "cut-body":
            connection.sendall(whole + b"half")
        elif name == "cut-chunk":
            connection.sendall(HEAD % b"200 OK" + b"Transfer-Encoding: chunked\r\n\r\n20\r\nhalf")
        elif name == "reset-body":
            connection.sendall(whole + b"half")
            time.sleep(0.1)
            reset(connection)
        elif name == "hang":
            until_closed(connection)
        elif name == "hang-body":
            connection.sendall(whole + b"half")
            until_closed(connection)
        elif name == "drip-headers":
            self._drip(connection, HEAD % b"200 OK" + b"x" * 1000)
        elif name == "drip-body":
            connection.sendall(HEAD % b"200 OK" + b"Content-Length: 1000\r\n\r\n")
            self._drip(connection, b"y" * 1000)
        elif name == "long-error":
            self._pour(connection, b"403 Forbidden", 50_000_000)
        elif name == "long-success":
            self._pour(connection, b"200 OK", 50_000_000)
        else:
            assert name == "close", name

    def _drip(self, connection: socket.socket, content: bytes) -> None:
        for byte in content:
            connection.sendall(bytes((byte,)))
            if self.ended.wait(0.02):
                return

    def _pour(self, connection: socket.socket, status: bytes, size: int) -> None:
        connection.sendall(HEAD % status + b"Content-Length: %d\r\n\r\n" % size)
        for _ in range(size // 100_000):
            connection.sendall(b"z" * 100_000)


def until_closed(connection: socket.socket) -> None:
    """Wait until the other side closes, ten seconds at most."""
    connection.settimeout(10)
    connection.recv(1)


def reset(connection: socket.socket) -> None:
    """Close with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    number = connection.detach()
    socket.close(number)


class Proxy(Listener):
    """Opens tunnels, or refuses with a status."""

    def __init__(self, refuse: bytes | None = None) -> None:
        super().__init__()
        self._refuse = refuse
        self.heads: list[bytes] = []

    def converse(self, connection: socket.socket) -> None:
        """Read one CONNECT and pass bytes on both ways."""
        head = b""
        while b"\r\n\r\n" not in head:
            head += connection.recv(1)
        self.heads.append(head)
        if self._refuse is not None:
            connection.sendall(b"HTTP/1.1 %s\r\nContent-Length: 0\r\n\r\n" % self._refuse)
            return
        port = int(head.split(b" ")[1].rpartition(b":")[2])
        with closing(socket.create_connection(("127.0.0.1", port), timeout=10)) as far:
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            self._start(self._pass, far, connection)
            self._pass(connection, far)

    def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65536):
                sink.sendall(part)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


class Authority:
    """A certificate authority made for one test run, and servers' contexts that it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kmsbridge test CA")])
        certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        self.file = str(folder / "ca.pem")
        (folder / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
        )

    def server(self, *names: str) -> ssl.SSLContext:
        """A server's context with a certificate for these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        found: list[x509.GeneralName] = []
        for name in names:
            try:
                found.append(x509.IPAddress(ip_address(name)))
            except ValueError:
                found.append(x509.DNSName(name))
        certificate = (
            self._builder(x509.Name([]), key.public_key())
            .add_extension(x509.SubjectAlternativeName(found), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, SHA256())
        )
        path = self._folder / f"{names[0]}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
