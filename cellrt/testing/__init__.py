"""For those who test cells: a pytest plugin with lines in virtual time, and the types of its fixtures."""

from cellrt.testing.line import NotReached, TestLine
from cellrt.testing.plant import Plant
from cellrt.testing.plugin import Golden, OpenLine
from cellrt.testing.trace import Trace

__all__ = ["Golden", "NotReached", "OpenLine", "Plant", "TestLine", "Trace"]
