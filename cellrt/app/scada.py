"""`cellrt users` and `cellrt trust`: who may come in to a line's OPC UA server. Both act on a running one."""

from __future__ import annotations

import getpass
import sys
from collections.abc import Iterator

from cellrt.opcua.access import FOLDER
from cellrt.opcua.certificates import Certificates, TrustError
from cellrt.opcua.users import RANKS, Users, UsersError
from cellrt.runtime.watcher import state_dir


def change_users(line: str, action: str, name: str, role: str) -> Iterator[str]:
    """List, add or remove users; what was done, in words. Raises UsersError, OSError."""
    users = Users(state_dir(line) / FOLDER / "users.json")
    if action == "list":
        ranks = users.ranks()
        yield from (f"{user:24} {rank.word}" for user, rank in ranks.items())
        if not ranks:
            yield f"{line} has no users; `cellrt users LINE add NAME --role engineer` adds one"
        return
    if action not in ("add", "remove") or not name:
        raise UsersError("say `list`, `add NAME --role ROLE` or `remove NAME`")
    if action == "remove":
        users.remove(name)
        yield f"removed {name}"
        return
    if role not in RANKS:
        raise UsersError(f"--role {role}: choose among {', '.join(RANKS)}")
    users.add(name, RANKS[role], _password(name))
    yield f"{name} is {role} of {line}"


def change_trust(line: str, which: str, remove: bool) -> Iterator[str]:
    """List certificates, trust one or trust it no more; what was done, in words. Raises TrustError, OSError."""
    certificates = Certificates(state_dir(line) / FOLDER)
    if which:
        known = certificates.distrust(which) if remove else certificates.trust(which)
        said = "trusted no more" if remove else "trusted"
        yield f"{said}: {known.thumbprint} {known.subject}"
        return
    if remove:
        raise TrustError("say which: the start of its thumbprint")
    for folder in (certificates.trusted, certificates.rejected):
        for known in certificates.listed(folder):
            until = f"until {known.until:%Y-%m-%d}"
            yield f"{folder.name:8} {known.thumbprint} {until} {known.subject}"
    yield f"in {certificates.folder}"


def _password(name: str) -> str:
    """Asked for twice at a terminal, else one line of standard input. Raises UsersError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass(f"password of {name}: ")
    if getpass.getpass("once more: ") != password:
        raise UsersError("the two passwords differ")
    return password
