"""People at a line's OPC UA server: users with passwords, and clients with certificates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asyncua import Client, ua
from asyncua.crypto.cert_gen import dump_private_key_as_pem, generate_private_key
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from cellrt.opcua.access import Access
from cellrt.opcua.users import Rank

TIMEOUT_S = 10.0
PASSWORDS = {
    "vera": (Rank.VIEWER, "look at it"),
    "otto": (Rank.OPERATOR, "push a button"),
    "emma": (Rank.ENGINEER, "turn a screw"),
}


@dataclass(frozen=True)
class Laptop:
    """A client's certificate and key, in files."""

    folder: Path
    der: bytes

    @classmethod
    def make(cls, folder: Path, name: str = "laptop", since_days: int = 0) -> Laptop:
        """Valid for ten days, which began so many days ago."""
        key, began = generate_private_key(), datetime.now(UTC) - timedelta(days=since_days)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(began)
            .not_valid_after(began + timedelta(days=10))
            .sign(key, SHA256())
        )
        folder.mkdir(parents=True, exist_ok=True)
        der = made.public_bytes(Encoding.DER)
        (folder / "client.der").write_bytes(der)
        (folder / "client_key.pem").write_bytes(dump_private_key_as_pem(key))
        return cls(folder, der)

    async def client(self, port: int, user: str = "", password: str = "") -> Client:
        """An encrypted client, not yet connected."""
        client = Client(f"opc.tcp://127.0.0.1:{port}", timeout=TIMEOUT_S)
        await client.set_security(
            SecurityPolicyBasic256Sha256,
            str(self.folder / "client.der"),
            str(self.folder / "client_key.pem"),
            mode=ua.MessageSecurityMode.SignAndEncrypt,
        )
        if user:
            client.set_user(user)
            client.set_password(password or PASSWORDS[user][1])
        return client


def staff(access: Access) -> Access:
    """With its users."""
    for name, (rank, password) in PASSWORDS.items():
        access.users.add(name, rank, password)
    return access
