"""Everything that a user's input can be refused with: shown as one message, exit code 2."""

from __future__ import annotations

from cellrt.app.new import NewError
from cellrt.app.options import RunError
from cellrt.compiler.entry import CompileError
from cellrt.journal import JournalError
from cellrt.line.load import LineError
from cellrt.opcua.certificates import TrustError
from cellrt.opcua.users import UsersError
from cellrt.recording.header import RecordingError
from cellrt.report import ReportError
from cellrt.retained import RetainedError
from cellrt.runtime.control import ControlError
from cellrt.shared.ringfile import RingFileError
from cellrt.tags import DeclarationError
from cellrt.twin import TwinError


class UsageError(Exception):
    """A command was asked for something that is not there."""


REFUSALS: tuple[type[Exception], ...] = (
    UsageError,
    CompileError,
    ControlError,
    DeclarationError,
    JournalError,
    LineError,
    NewError,
    OSError,
    RetainedError,
    RingFileError,
    RecordingError,
    ReportError,
    RunError,
    TrustError,
    TwinError,
    UsersError,
    ValueError,
)
