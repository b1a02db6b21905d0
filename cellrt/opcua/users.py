"""The users of a line's OPC UA server: names, ranks and salted hashes of passwords, in one file."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

VERSION = 1
COST, BLOCK, LANES = 1 << 14, 8, 1
"""scrypt's n, r and p: 16 MB and some 40 ms for each attempt."""

LONGEST = 256


class Rank(IntEnum):
    """What a user may do; each may do what those before it may."""

    VIEWER = 1  # read, watch, read history
    OPERATOR = 2  # give PackML commands and modes
    ENGINEER = 3  # write parameters

    @property
    def word(self) -> str:
        """As it is written in files."""
        return self.name.lower()


RANKS = {rank.word: rank for rank in Rank}


class UsersError(Exception):
    """The file of users is damaged, or a user cannot be as asked; says which and the mend."""


@dataclass(frozen=True)
class _User:
    rank: Rank
    salt: bytes
    digest: bytes

    def has(self, password: str) -> bool:
        return hmac.compare_digest(_digest(password, self.salt), self.digest)


_NOBODY = _User(Rank.VIEWER, bytes(16), bytes(64))
"""Compared with when there is no such user, so that the time taken does not tell."""


class Users:
    """The users in the file at `path`, which is read anew whenever it has changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stamp: tuple[int, ...] = ()
        self._users: dict[str, _User] = {}

    def ranks(self) -> dict[str, Rank]:
        """Every user's rank. Raises UsersError."""
        return {name: user.rank for name, user in self._read().items()}

    def rank(self, name: str) -> Rank | None:
        """A user's rank; None when there is no such user (any more). Raises UsersError."""
        user = self._read().get(name)
        return user.rank if user else None

    def check(self, name: str, password: str) -> Rank | None:
        """The rank of the user with this password, else None. Raises UsersError."""
        user = self._read().get(name)
        right = (user or _NOBODY).has(password)
        return user.rank if user and right else None

    def add(self, name: str, rank: Rank, password: str) -> None:
        """Add a user, or give one another rank and password. Raises UsersError, OSError."""
        if not name.isprintable() or not name.strip() or len(name) > LONGEST:
            raise UsersError(f"{name!r} cannot name a user; give a word")
        if not 8 <= len(password) <= LONGEST:
            raise UsersError(f"a password has 8 to {LONGEST} characters")
        salt = secrets.token_bytes(16)
        self._write({**self._read(), name: _User(rank, salt, _digest(password, salt))})

    def remove(self, name: str) -> None:
        """Remove a user; the sessions that there are end with it. Raises UsersError, OSError."""
        users = dict(self._read())
        if users.pop(name, None) is None:
            raise UsersError(f"no user {name!r}; users are {', '.join(users) or 'none'}")
        self._write(users)

    def _read(self) -> dict[str, _User]:
        try:
            status = self.path.stat()
        except FileNotFoundError:
            self._stamp, self._users = (), {}
            return self._users
        stamp = status.st_mtime_ns, status.st_size, status.st_ino
        if stamp == self._stamp:
            return self._users
        try:
            stored = json.loads(self.path.read_text())
            if stored["version"] != VERSION:
                raise UsersError(
                    f"{self.path}: version {stored['version']}, this cellrt reads {VERSION}; move it away"
                )
            self._users = {
                name: _User(
                    RANKS[user["rank"]], bytes.fromhex(user["salt"]), bytes.fromhex(user["scrypt"])
                )
                for name, user in stored["users"].items()
            }
        except (ValueError, KeyError, TypeError, AttributeError):
            raise UsersError(f"{self.path}: no file of users; restore it or move it away") from None
        self._stamp = stamp
        return self._users

    def _write(self, users: dict[str, _User]) -> None:
        """The whole file or nothing, for its owner's eyes only."""
        told = {
            name: {"rank": user.rank.word, "salt": user.salt.hex(), "scrypt": user.digest.hex()}
            for name, user in sorted(users.items())
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_private(self.path, json.dumps({"version": VERSION, "users": told}, indent=1).encode())


def write_private(path: Path, content: bytes) -> None:
    """Replace a file by one that only its owner can read. Raises OSError; it is then as it was."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, dklen=64)
