"""A certificate authority for one run of the stack: so that every host can be played here.

The stack's workers trust its certificate because their channel configuration names it, and nobody else does.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

_LIFETIME = timedelta(days=365)
_CLOCKS = timedelta(hours=1)
_LONGEST_NAME = 64  # of a common name, RFC 5280 Appendix A


class Authority:
    """Certifies whatever host it is asked for."""

    def __init__(self, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
        self._certificate, self._key = certificate, key
        self._hosts_key = ec.generate_private_key(ec.SECP256R1())  # of all hosts: they are all played here
        self.context_for = lru_cache(maxsize=1_000)(self._context_for)

    def _context_for(self, host: str) -> ssl.SSLContext:
        """TLS as this host, a name in ASCII or an IP address."""
        certificate = _signed(host, self._hosts_key, self._certificate.subject, self._key, host=host)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        # OpenSSL reads files alone.
        descriptor, path = tempfile.mkstemp(prefix="clarion-", suffix=".pem")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_pem(self._hosts_key) + certificate.public_bytes(Encoding.PEM))
            context.load_cert_chain(path)
        finally:
            os.unlink(path)
        return context


def make_authority(certificate: Path, key: Path) -> None:
    """Make a new one: its certificate, for those who are to trust it, and its key, for the catcher alone."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Clarion's local stack")])
    made = _signed("Clarion's local stack", private, name, private, host=None)
    with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_pem(private))
    certificate.write_bytes(made.public_bytes(Encoding.PEM))


def read_authority(certificate: Path, key: Path) -> Authority:
    """The one that `make_authority` wrote. `OSError` or `ValueError` where it can't be read."""
    private = load_pem_private_key(key.read_bytes(), None)
    if not isinstance(private, ec.EllipticCurvePrivateKey):
        raise ValueError("an authority's key of another kind")
    return Authority(x509.load_pem_x509_certificate(certificate.read_bytes()), private)


def _signed(
    subject: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    signing: ec.EllipticCurvePrivateKey,
    *,
    host: str | None,
) -> x509.Certificate:
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject[:_LONGEST_NAME])]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCKS)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
    )
    if host is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(host)]), critical=False)
    return builder.sign(signing, hashes.SHA256())


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
