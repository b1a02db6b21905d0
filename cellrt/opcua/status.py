"""Status codes, and the scan's answer to a command as one."""

from __future__ import annotations

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes as Codes

from cellrt.scan.commands import Refusal

__all__ = ["ANSWERS", "Codes", "status"]

ANSWERS = {
    Refusal.ACCEPTED: (Codes.Good, "accepted"),
    Refusal.EXPIRED: (Codes.BadRequestTimeout, "refused: it reached the scan too late"),
    Refusal.OTHER_EPOCH: (Codes.BadShutdown, "refused: the scan was started anew meanwhile"),
    Refusal.UNKNOWN_TARGET: (Codes.BadNotFound, "refused: the scan knows no such target"),
    Refusal.NOT_IN_THIS_STATE: (Codes.BadInvalidState, "refused: not in this state"),
    Refusal.OUT_OF_LIMITS: (Codes.BadOutOfRange, "refused: out of limits"),
    Refusal.UNKNOWN_OPERATION: (Codes.BadInvalidArgument, "refused: there is no such command"),
    Refusal.QUEUE_FULL: (Codes.BadResourceUnavailable, "refused: too many commands at once"),
    Refusal.SAFETY: (Codes.BadUserAccessDenied, "refused: safety relies on it"),
    Refusal.NOT_IN_COMMAND: (Codes.BadNotWritable, "refused: a person has taken the cell"),
    Refusal.NOT_IN_THIS_MODE: (Codes.BadInvalidState, "refused: not in this mode"),
    Refusal.NOT_WELL: (Codes.BadInvalidState, "refused: an interlock is lost"),
    Refusal.UNFIT: (Codes.BadOutOfRange, "refused: it does not go with the other parameters"),
    Refusal.UNKNOWN: (Codes.BadTimeout, "not answered: it may or may not have been carried out"),
}
"""By the scan's answer: the code that the client gets, and the same in words."""


def status(code: int) -> ua.StatusCode:
    """A code as asyncua wants it."""
    return ua.StatusCode(ua.UInt32(code))
