"""How a tag moved in a recorded run, and what moved it: found by replaying the scans around a moment.

A cell knows its inputs, its neighbours' words in the handovers, its commands and the time, nothing else.
So what moved one of its tags is a transition of this scan, an input that changed, or the time alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cellrt.image import Image
from cellrt.interlock import Cause
from cellrt.line.spec import LineSpec
from cellrt.narrate import Entry, Narrator, sentence, words
from cellrt.recording.header import RecordingError
from cellrt.recording.reader import Finding
from cellrt.replay import Player
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import KEYFRAME_EVERY_NS
from cellrt.tags import WORD, Leaf, Role, Scalar
from cellrt.wire import Ints

WINDOW_NS = 1_000_000_000
"""How far before and after a moment is looked at."""

SHOWN = 40
"""Moves that are worth a person's time."""

TIME_ALONE = "no transition, no command, no input: the logic and the time alone"


@dataclass(frozen=True)
class Move:
    """A tag changed in scan number `scan`, at logical time `t_ns`; `causes` say with what."""

    scan: int
    t_ns: int
    before: Scalar
    after: Scalar
    causes: tuple[str, ...]


@dataclass(frozen=True)
class Moves:
    """What a tag did from `start_ns` to `end_ns`; `first` is its value before that. `findings`: what is odd
    in the recording up to then."""

    tag: str
    unit: str
    start_ns: int
    end_ns: int
    first: Scalar
    moves: tuple[Move, ...]
    findings: tuple[Finding, ...] = ()

    def lines(self) -> list[str]:
        """For people."""
        told = [
            f"{self.start_ns / 1e9:10.3f} s  {self.tag} = {_value(self.first)} {self.unit}".rstrip()
        ]
        told[:0] = [f"scan {finding.scan}: {finding}" for finding in self.findings]
        for move in self.moves[:SHOWN]:
            moved = f"{_value(move.before)} -> {_value(move.after)}"
            told.append(f"{move.t_ns / 1e9:10.3f} s  scan {move.scan}: {moved}")
            told += [f"{'':14}{cause}" for cause in move.causes]
        if len(self.moves) > SHOWN:
            told.append(f"and {len(self.moves) - SHOWN} more moves")
        if not self.moves:
            told.append(f"{self.end_ns / 1e9:10.3f} s  it has not moved")
        return told


def at(
    path: Path, t_ns: int, tag: str, line: LineSpec | None = None, *, window_ns: int = WINDOW_NS
) -> Moves:
    """How `tag` moved within `window_ns` of logical time `t_ns`, and what moved it.

    Raises RecordingError where the recording has no such tag or no scan then, LineError, CompileError.
    """
    player = Player(path, line, start_ns=t_ns - window_ns - KEYFRAME_EVERY_NS)
    plan, image = player.runner.plan, player.runner.image
    witness, began_ns, loads = Witness(plan, tag), -1, 0
    leaf, before, moves = witness.leaf, witness.before, []
    for events in player.scans():
        now_ns = player.reader.scan * plan.line.period_ns
        if now_ns > t_ns + window_ns:
            break
        if player.loads != loads:  # what is no scan's doing is no move
            before.views.words[:] = player.loaded_image
            loads = player.loads
        if now_ns >= t_ns - window_ns:
            if began_ns < 0:
                began_ns, first = now_ns, before.read(leaf)
            if witness.moved(image, leaf):
                causes = witness.causes(image, events)
                values = before.read(leaf), image.read(leaf)
                moves.append(Move(player.reader.scan, now_ns, *values, causes))
        before.bytes[:] = image.bytes
    if began_ns < 0:
        raise RecordingError(
            f"{path} has no scans within {window_ns / 1e9:g} s of {t_ns / 1e9:g} s"
        )
    unit, findings = leaf.field.unit, tuple(player.reader.findings)
    return Moves(tag, unit, began_ns, now_ns, first, tuple(moves), findings)


class Witness:
    """Tells what moved one tag: knows the cells that have to do with it, and the image `before` a scan."""

    def __init__(self, plan: Plan, tag: str) -> None:
        try:
            self.leaf = plan.layout.find(tag)
        except KeyError:
            raise RecordingError(f"line {plan.line.name} has no tag {tag}") from None
        self.before = Image(plan.layout)
        self._narrator = Narrator(plan)
        owner = tag.partition(".")[0]
        self._links = {
            h.name: (h.upstream.partition(".")[0], h.downstream.partition(".")[0])
            for h in plan.line.handovers
        }
        self._cells = self._links.get(owner, (owner,))
        self._cause = plan.layout.find(f"{owner}.unit.cause") if owner in plan.cells else None
        self._points = {
            f"{name}.{tag}": place
            for name in self._cells
            for tag, place in plan.line.cells[name].io.items()
        }
        self._heard = [t for t in plan.layout.tags() if self._hears(t)]

    def moved(self, image: Image, leaf: Leaf) -> bool:
        """The tag has other bytes than before the scan."""
        place = slice(leaf.offset, leaf.offset + (1 if leaf.field.kind is bool else WORD))
        return bool((self.before.bytes[place] != image.bytes[place]).any())

    def causes(self, image: Image, events: Ints) -> tuple[str, ...]:
        """What happened in this scan to the cells that have to do with the tag.

        An input's own cause is its device; what else happened came of it.
        """
        if self.leaf.field.role is Role.INPUT:
            return (self._change(self.leaf, image),)
        told = [_words(e) for e in map(self._narrator.tell, events.tolist()) if self._concerns(e)]
        heard = [t for t in self._heard if t != self.leaf and self.moved(image, t)]
        told += [self._change(leaf, image) for leaf in heard]
        if (
            self.leaf.field.role is Role.OUTPUT
            and self._cause
            and (c := int(image.read(self._cause)))
        ):
            told.append(f"{'Gate':<9} safe reaction to {words(Cause(c))}")
        return tuple(told) or (TIME_ALONE,)

    def _change(self, leaf: Leaf, image: Image) -> str:
        """An input or a neighbour's word that changed."""
        change = f"{_value(self.before.read(leaf))} -> {_value(image.read(leaf))}"
        if leaf.path in self._points:
            return f"{'Input':<9} {leaf.path} ({'.'.join(self._points[leaf.path])}) {change}"
        return f"{'Heard':<9} {leaf.path} {change}"

    def _hears(self, leaf: Leaf) -> bool:
        cell, _, path = leaf.path.partition(".")
        heard = leaf.field.role is Role.INPUT or ".hears." in path
        return heard and cell in self._cells

    def _concerns(self, entry: Entry) -> bool:
        """An event of these cells, of their handovers or devices, or a command to them."""
        subject = str(entry.get("cell") or entry.get("target") or entry.get("tag") or "")
        if subject.partition(".")[0] in self._cells:
            return True
        if entry.get("device") in {device for device, _ in self._points.values()}:
            return True
        return bool({*self._links.get(entry.get("handover", ""), ())} & {*self._cells})


def _words(entry: Entry) -> str:
    """An event without its time."""
    return sentence(entry).split(" s  ", 1)[1].rstrip()


def _value(value: Scalar) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
