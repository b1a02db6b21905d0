"""Certificates: the server's own, and the list of clients' that it trusts.

In the line's folder: `server.der` and `server_key.pem`, made at the first start; `trusted/`, one file for
each client's certificate; `rejected/`, those that were refused, to be looked at and moved.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua.crypto.cert_gen import (
    dump_private_key_as_pem,
    generate_private_key,
    generate_self_signed_app_certificate,
)
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cellrt.opcua.users import write_private

VALID_DAYS = 5 * 365
RENEW_BEFORE = timedelta(days=30)
MAX_REJECTED = 50
MAX_BYTES = 16_384


class TrustError(Exception):
    """A certificate cannot be trusted or removed as asked; says which and the mend."""


@dataclass(frozen=True)
class Known:
    """A certificate in a folder: its file, the start of its SHA-1 thumbprint, and whose it is."""

    path: Path
    thumbprint: str
    subject: str
    until: datetime


class Certificates:
    """The certificates in a line's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.trusted, self.rejected = folder / "trusted", folder / "rejected"

    def own(self, uri: str, host: str) -> tuple[x509.Certificate, RSAPrivateKey]:
        """The server's certificate and key: made when there is none for `uri`, or when it runs out.

        Raises OSError.
        """
        with contextlib.suppress(FileNotFoundError, ValueError):
            found = self._load()
            late = found[0].not_valid_after_utc - RENEW_BEFORE < datetime.now(UTC)
            if not late and _uris(found[0]) == [uri]:
                return found
        self._make(uri, host)
        return self._load()

    def refusal(self, der: bytes) -> str | None:
        """Why a client with this certificate may not come in; None when it may."""
        try:
            certificate = x509.load_der_x509_certificate(der)
        except ValueError:
            return "its certificate cannot be read"
        if not any(known == der for _, known in _contents(self.trusted)):
            return f"its certificate {thumbprint(der)} is not trusted"
        now = datetime.now(UTC)
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            until = certificate.not_valid_after_utc
            return (
                f"its certificate {thumbprint(der)} is not valid now, only until {until:%Y-%m-%d}"
            )
        return None

    def put_aside(self, der: bytes) -> None:
        """Keep a certificate that was refused where it can be found. The oldest make room."""
        if len(der) > MAX_BYTES:
            return
        self.rejected.mkdir(parents=True, exist_ok=True)
        (self.rejected / _file_name(der)).write_bytes(der)
        kept = sorted(self.rejected.iterdir(), key=lambda path: path.stat().st_mtime_ns)
        for path in kept[:-MAX_REJECTED]:
            path.unlink(missing_ok=True)

    def listed(self, folder: Path) -> list[Known]:
        """What is in `trusted` or `rejected`."""
        return [_known(path, der) for path, der in _contents(folder)]

    def trust(self, which: str) -> Known:
        """Trust a rejected certificate, by the start of its thumbprint, or one in a file. Raises TrustError."""
        path = Path(which)
        if path.is_file():
            der = _read(path)
            if der is None:
                raise TrustError(f"{which}: no certificate in DER or PEM")
        else:
            rejected = self._one(self.rejected, which)
            der = _read(rejected.path) or b""
            rejected.path.unlink()
        self.trusted.mkdir(parents=True, exist_ok=True)
        target = self.trusted / _file_name(der)
        target.write_bytes(der)
        return _known(target, der)

    def distrust(self, which: str) -> Known:
        """Trust a certificate no more. Raises TrustError."""
        known = self._one(self.trusted, which)
        known.path.unlink()
        return known

    def _one(self, folder: Path, which: str) -> Known:
        found = [k for k in self.listed(folder) if which and k.thumbprint.startswith(which.lower())]
        if len(found) != 1:
            there = ", ".join(k.thumbprint for k in self.listed(folder)) or "none"
            raise TrustError(
                f"{which}: no file, and the thumbprint of {len(found)} certificates in {folder}; "
                f"there are: {there}"
            )
        return found[0]

    def _load(self) -> tuple[x509.Certificate, RSAPrivateKey]:
        certificate = x509.load_der_x509_certificate((self.folder / "server.der").read_bytes())
        key = load_pem_private_key((self.folder / "server_key.pem").read_bytes(), None)
        if not isinstance(key, RSAPrivateKey) or key.public_key() != certificate.public_key():
            raise ValueError("the key is not the certificate's")
        return certificate, key

    def _make(self, uri: str, host: str) -> None:
        key, name = generate_private_key(), socket.gethostname()
        names: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(uri),
            *(x509.DNSName(n) for n in dict.fromkeys((name, "localhost"))),
        ]
        for address in dict.fromkeys(("127.0.0.1", host)):
            with contextlib.suppress(ValueError):
                names.append(x509.IPAddress(ipaddress.ip_address(address)))
        use = [ExtendedKeyUsageOID.SERVER_AUTH]
        certificate = generate_self_signed_app_certificate(
            key, uri, {"organizationName": "cellrt"}, names, use, days=VALID_DAYS
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        write_private(self.folder / "server_key.pem", dump_private_key_as_pem(key))
        (self.folder / "server.der").write_bytes(certificate.public_bytes(Encoding.DER))


def thumbprint(der: bytes) -> str:
    """What tools call a certificate's thumbprint: SHA-1 over its DER, in hexadecimal."""
    return hashlib.sha1(der).hexdigest()


def _contents(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        der = _read(path)
        if der is not None:
            yield path, der


def _read(path: Path) -> bytes | None:
    """A certificate's DER, of a file in DER or PEM; None when it is neither."""
    try:
        content = path.read_bytes()
        pem = content.startswith(b"-----BEGIN")
        load = x509.load_pem_x509_certificate if pem else x509.load_der_x509_certificate
        return load(content).public_bytes(Encoding.DER)
    except (OSError, ValueError):
        return None


def _known(path: Path, der: bytes) -> Known:
    certificate = x509.load_der_x509_certificate(der)
    subject = certificate.subject.rfc4514_string()
    return Known(path, thumbprint(der), subject, certificate.not_valid_after_utc)


def _file_name(der: bytes) -> str:
    """`UaExpert-3f9c....der`, of what is harmless in the subject's common name."""
    name = ""
    with contextlib.suppress(ValueError):
        subject = x509.load_der_x509_certificate(der).subject
        for attribute in subject.get_attributes_for_oid(NameOID.COMMON_NAME):
            name = re.sub(r"[^A-Za-z0-9_.@-]+", "_", str(attribute.value))[:40].strip(".")
    return f"{name or 'unnamed'}-{thumbprint(der)}.der"


def _uris(certificate: x509.Certificate) -> list[str]:
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.UniformResourceIdentifier)
