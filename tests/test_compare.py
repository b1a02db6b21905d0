"""Edited logic beside a recording: what differs first, layouts mapped by name, and the exit code."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from recorded import PERIOD_NS, Session, hand_over, line

from cellrt import Parameter, Sequence, Step
from cellrt.compare import compare
from cellrt.line.spec import LineSpec
from cellrt.recording.header import RecordingError
from cellrt.recording.mapping import Mapping
from cellrt.recording.reader import RecordingReader
from cellrt.replay import restore, same_layout
from cellrt.scan.plan import Plan
from cellrt.scan.runner import Runner
from cells.conveyor import Conveyor


class Roomy(Conveyor):
    """A conveyor with a parameter more, and a step between two that there were."""

    slack_s: float = Parameter(0.5, unit="s", low=0.0, high=9.0)
    sequence = Sequence(
        Step(
            "empty", {"has_board": "full", "transport_in": "filling", "transport_out": "emptying"}
        ),
        Step("resting", {"has_board": "full"}),
        Step("filling", {"has_board": "full", "none_came": "empty"}, within_s=15.0),
        Step("full", {"transport_out": "emptying", "board_gone": "empty"}),
        Step("emptying", {"board_gone": "empty", "board_kept": "full"}, within_s=30.0),
    )


class Shy(Conveyor):
    """A conveyor whose belt runs only to give."""

    def execute(self) -> None:
        ready = self.board_gone()
        self.infeed.take(self.board, ready, self.board_at_exit, self.board_at_entry)
        self.run = self.outfeed.give(self.board, self.has_board(), not self.board_at_exit)


@pytest.fixture(scope="module")
def handled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run in which hands forced, jogged and stepped."""
    path = tmp_path_factory.mktemp("compare") / "hands.rec"
    with Session(path, seed=3, hands=True) as session:
        session.at_random(1500)
    assert session.most_forces > 0
    return path


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare") / "x.rec"
    with Session(path, seed=7) as session:
        for _ in range(5):
            session.at_random(100)
            session.save()
    return path


def edited_line(kind: type[Conveyor], *names: str) -> LineSpec:
    """The line with other cells of these names."""
    spec = line()
    cells = {n: replace(c, type=kind) if n in names else c for n, c in spec.cells.items()}
    return replace(spec, cells=cells)


def test_the_same_logic_does_the_same_in_every_scan(recorded: Path) -> None:
    told = compare(recorded, line())
    assert told.same and told.scans == 500 and not told.rows and not told.changes
    assert told.lines()[-1] == "0 differing scans"


def test_outputs_that_would_be_others_stand_beside_the_recorded_ones_from_their_first_scan(
    recorded: Path,
) -> None:
    told = compare(recorded, line(safe_run=True))
    assert not told.same
    first = told.rows[0]
    assert (first.scan, first.t_ns) == (0, 0)
    assert (first.name, first.recorded, first.edited) == (
        "output left.run (left.run)",
        "False",
        "True",
    )
    assert any(f"first divergence: scan 0, 0.000 s, {first.name}" in row for row in told.lines())
    assert told.scans_of[first.name] == told.scans == told.differing


def test_cells_and_devices_in_another_order_do_the_same(handled: Path) -> None:
    """Every word lies elsewhere, and every command and force is for another number."""
    spec = line()
    devices, cells = (dict(reversed(part.items())) for part in (spec.devices, spec.cells))
    turned = replace(spec, devices=devices, cells=cells)
    assert not same_layout(handled, turned)
    told = compare(handled, turned)
    assert told.same and told.scans == 1500 and told.changes == ()


def test_a_parameter_and_a_step_more_do_the_same_and_are_told(recorded: Path) -> None:
    """The steps behind the new one have other numbers, in the image that the replay begins with too."""
    told = compare(recorded, edited_line(Roomy, "left", "right"))
    assert told.same
    steps = "empty, filling, full, emptying were, empty, resting, filling, full, emptying are"
    assert [*told.changes] == [
        "added tag left.slack_s (float, begins as 0.5)",
        "added tag right.slack_s (float, begins as 0.5)",
        f"steps of left: {steps}",
        f"steps of right: {steps}",
    ]
    assert f"layout: steps of left: {steps}" in told.lines()


def test_a_belt_that_would_stand_is_shown_while_it_ran(tmp_path: Path) -> None:
    scans = hand_over(tmp_path / "x.rec")
    told = compare(tmp_path / "x.rec", edited_line(Shy, "right"))
    assert not told.same
    began, *_ = told.rows
    assert began.name == "output right.run (right.run)"
    assert (began.recorded, began.edited) == ("True", "False") and began.scan < scans["exit clear"]
    ended = next(row for row in told.rows if row.name == began.name and row.edited == "=")
    assert scans["arrived"] <= ended.scan <= scans["arrived"] + 2
    assert told.scans_of[began.name] == ended.scan - began.scan
    table = [row for row in told.lines() if " | " in row]
    assert table[0].endswith("recorded | edited") and table[1].endswith("True | False")


def test_what_is_gone_is_told_and_the_rest_is_compared(recorded: Path) -> None:
    spec = line()
    alone = replace(
        spec,
        devices={"left": spec.devices["left"]},
        cells={"left": spec.cells["left"]},
        handovers=(),
    )
    told = compare(recorded, alone)
    assert {"removed cell right", "removed handover left>right"} < {*told.changes}
    assert "removed input right.board_at_exit" in told.changes
    assert told.scans == 500


def test_a_retyped_tag_keeps_its_value(recorded: Path) -> None:
    class Counted(Conveyor):
        level: int = Parameter(3, low=0, high=9)

    class Weighed(Conveyor):
        level: float = Parameter(1.0, low=0.0, high=9.0)

    path = recorded.with_name("counted.rec")
    with Session(path, spec=edited_line(Counted, "left")) as session:
        session.at_random(20)
    told = compare(path, edited_line(Weighed, "left"))
    assert told.changes == ("retyped tag left.level: int was, float is",)
    reader = RecordingReader(path)
    next(reader.walk())
    runner = Runner(Plan(edited_line(Weighed, "left")))
    restore(runner.work, Mapping(reader.header, runner).state(reader.tape.frame))
    assert runner.image["left.level"] == 3.0


def test_another_period_and_another_line_are_refused_with_the_mend(recorded: Path) -> None:
    with pytest.raises(
        RecordingError, match=r"was 10 ms and is 20 ms now; replay it with the line"
    ):
        compare(recorded, replace(line(), period_ns=2 * PERIOD_NS))
    with pytest.raises(RecordingError, match="name the file of pair"):
        compare(recorded, replace(line(), name="other"))
