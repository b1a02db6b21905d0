"""Replay: the same bytes again, compiled and plain; differences and damage told; what moved a tag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from recorded import PERIOD_NS, Session, hand_over, line

from cellrt import State
from cellrt.line.spec import LineSpec
from cellrt.moves import TIME_ALONE, Move, at
from cellrt.recording.file import frames
from cellrt.recording.header import RecordingError, edited, recorded_line, unpack
from cellrt.recording.reader import RecordingReader, check_sound
from cellrt.replay import Player, Replayed, replay
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest, state

STATION = Path(__file__).parent.parent / "cells" / "print_station.toml"


def record(path: Path, scans: int, seed: int, *, hands: bool = False) -> Session:
    """A recorded session of random scans, its inputs, commands and scan numbers moved by chance."""
    with Session(path, seed, hands=hands) as session:
        while scans > 0:
            session.at_random(min(scans, 100))
            session.save()
            scans -= 100
    return session


def same_memory(session: Session, player: Player) -> bool:
    ours, theirs = state(session.runner.work), state(player.runner.work)
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_a_random_run_replays_to_the_last_byte(tmp_path: Path, seed: int) -> None:
    session = record(tmp_path / "x.rec", 3000, seed)
    player = Player(tmp_path / "x.rec", line())
    player.run()
    assert player.tally.tolist() == [3000, 0, -1, 1]
    assert not player.differences and not player.reader.findings
    assert player.reader.scan == session.runner.scan - 1 > 3000
    assert same_memory(session, player)
    assert len(session.states) > 8, "the run was no dull one"


def test_forces_jogs_single_steps_and_tasks_paces_replay_to_the_last_byte(tmp_path: Path) -> None:
    session = record(tmp_path / "x.rec", 2000, 5, hands=True)
    player = Player(tmp_path / "x.rec", line())
    player.run()
    assert player.tally.tolist() == [2000, 0, -1, 1] and not player.differences
    assert same_memory(session, player)
    assert session.most_forces > 0 and session.runner.work.jogged_until_ns.any()
    assert session.paces > {1, 2}


def test_a_plain_replay_is_the_same(tmp_path: Path) -> None:
    session = record(tmp_path / "x.rec", 400, 9)
    player = Player(tmp_path / "x.rec", line(), compiled=False)
    player.run()
    assert player.tally.tolist() == [400, 0, -1, 1]
    assert same_memory(session, player)


def test_outputs_that_would_be_others_today_are_found_in_the_first_such_scan(
    tmp_path: Path,
) -> None:
    """The belts' safe reaction is turned round: it shows as soon as a cell is gated, from the first scan."""
    path = tmp_path / "x.rec"
    with Session(path) as session:
        for _ in range(300):
            session.scan()
    told = replay(path, line(safe_run=True))
    assert not told.faithful
    assert told.scans == told.differing == 300
    first = told.differences[0]
    assert first.scan == 0
    belts = "tag left.run", "tag right.run"
    assert first.tags == (*belts, "output left.run (left.run)", "output right.run (right.run)")
    assert first.nbytes == 4
    assert told.differing_bytes == sum(d.nbytes for d in told.differences)
    assert any("scan 0 was another one; at the next keyframe: " in row for row in told.lines())


def spoil(path: Path, change: Callable[[bytearray, int], None]) -> None:
    """Change the bytes of the last piece."""
    data = bytearray(path.read_bytes())
    *_, frame = frames(bytes(data), unpack(bytes(data), path)[1])
    change(data, frame.begin)
    path.write_bytes(data)


def turn(data: bytearray, at_: int, bits: int) -> None:
    data[at_] ^= bits


def test_a_turned_bit_is_told_and_the_rest_replays_to_the_last_byte(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    session = record(path, 500, 2)
    spoil(path, lambda data, begin: turn(data, begin + 40, 4))
    told = replay(path, line())
    (finding,) = told.findings
    assert "one bit was wrong and is mended" in finding.what
    assert told.scans == 500 and told.differing == told.differing_bytes == 0
    with pytest.raises(RecordingError, match="is mended; bring it again"):
        check_sound(path)
    assert any(finding.what in row for row in told.lines())
    player = Player(path, line())
    player.run()
    assert same_memory(session, player)


def test_scans_behind_worse_damage_are_left_out_up_to_the_next_keyframe(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.at_random(10)
        session.save()
        session.at_random(2000)
    spoil(path, lambda data, begin: turn(data, begin + 4000, 255))
    told = replay(path, line())
    (finding,) = told.findings
    assert finding.until is not None and 0 < finding.until - finding.scan <= 600
    assert 1300 < told.scans < 2010
    assert told.differing == told.differing_bytes == 0
    player = Player(path, line())
    player.run()
    assert same_memory(session, player)


def test_a_replay_goes_on_behind_what_the_ring_lost(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    capacity = 4 * longest(Plan(line()))
    with Session(path, capacity=capacity) as session:
        session.at_random(100)
        session.save()
        while session.ring.written < session.reader.position + 2 * session.ring.capacity:
            session.at_random(10)
    told = replay(path, line())
    assert len(told.findings) == 1 and told.differing == told.differing_bytes == 0
    player = Player(path, line())
    player.run()
    assert same_memory(session, player)


def test_a_restarted_scan_replays_too(tmp_path: Path) -> None:
    """The second process starts from other values than the first one ended with."""
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.at_random(150)
        runner = session.runner
        runner.inputs[:] = 0
        runner.image.write(session.plan.layout.find("right.board.id"), 12)
        runner.epoch, runner.scan = 2, runner.scan + 300
        session.start()
        session.at_random(150)
    told = replay(path, line())
    assert told.faithful and told.scans == 300
    player = Player(path, line())
    player.run()
    assert same_memory(session, player)


def test_cut_short_it_replays_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    record(path, 300, 4)
    path.write_bytes(path.read_bytes()[:-3])
    told = replay(path, line())
    assert told.faithful and told.scans == 300 and told.cut_bytes > 0
    assert any("cut short" in row for row in told.lines())


def test_an_edited_type_and_line_file_are_named(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    record(path, 10, 1)
    header = RecordingReader(path).header
    assert edited(header, Plan(line())) == ()
    code = {**header.code, "cells.conveyor:Conveyor": "0" * 64}
    assert edited(replace(header, code=code), Plan(line())) == ("cells.conveyor:Conveyor",)
    assert edited(replace(header, text="[line]"), Plan(line())) == ("the line file",)
    elsewhere = edited(replace(header, environment="0" * 64), Plan(line()))
    assert elsewhere == ("the compiler, its options or the processor",)


def test_the_recorded_texts_make_the_line_again_wherever_the_files_are_now() -> None:
    from cellrt.line.load import load_line
    from cellrt.recording.header import describe

    station = load_line(STATION)
    header = describe(Plan(station))
    assert {*header.maps} == {"coupler.toml", "printer.toml", "safety.toml"}
    there = recorded_line(header)
    assert Plan(there).hash == header.plan_hash
    assert there.text == station.text and there.path == station.path


# What moved a tag: a board that goes from left to right.


def number_of(session: Session, cell: str) -> int:
    return session.plan.cells.index(cell)


@pytest.fixture(scope="module")
def handed_over(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, int]]:
    """A recording in which a board goes from left to right, and the scans in which it did."""
    path = tmp_path_factory.mktemp("moves") / "x.rec"
    return path, hand_over(path)


def moves(found: tuple[Path, dict[str, int]], when: str, tag: str, line_: LineSpec) -> list[Move]:
    """The moves of a tag in the scan of that name and the two that follow."""
    path, scans = found
    t_ns = (scans[when] + 1) * PERIOD_NS
    return list(at(path, t_ns, tag, line_, window_ns=PERIOD_NS).moves)


def test_a_tag_moved_by_an_input_names_device_and_point(
    handed_over: tuple[Path, dict[str, int]],
) -> None:
    (move,) = moves(handed_over, "exit clear", "left.run", line())
    scan = handed_over[1]["exit clear"]
    assert (move.scan, move.t_ns) == (scan, scan * PERIOD_NS)
    assert (move.before, move.after) == (True, False)
    assert move.causes == ("Input     left.board_at_exit (left.board_at_exit) True -> False",)


def test_an_inputs_cause_is_its_device(handed_over: tuple[Path, dict[str, int]]) -> None:
    (move,) = moves(handed_over, "arrived", "right.board_at_exit", line())
    assert move.causes == ("Input     right.board_at_exit (right.board_at_exit) False -> True",)


def test_a_tag_moved_by_a_transition_names_it(handed_over: tuple[Path, dict[str, int]]) -> None:
    (move,) = moves(handed_over, "arrived", "right.board.id", line())
    assert (move.before, move.after) == (0, 7)
    assert any("BoardIn" in cause and "board 7" in cause for cause in move.causes)
    (move, *_) = moves(handed_over, "arrived", "left>right.state", line())
    assert any("TransportFinished -> " in cause for cause in move.causes)


def test_a_tag_moved_by_the_neighbour_names_what_was_heard(
    handed_over: tuple[Path, dict[str, int]],
) -> None:
    (move,) = moves(handed_over, "arrived", "left.board.id", line())
    assert (move.before, move.after) == (7, 0)
    assert "Heard     left.outfeed.hears.holds 0 -> 7" in move.causes


def test_a_tag_moved_by_a_command_names_it(handed_over: tuple[Path, dict[str, int]]) -> None:
    found = at(handed_over[0], 0, "left.unit.state", line(), window_ns=10 * PERIOD_NS)
    reset = next(m for m in found.moves if m.before == State.STOPPED)
    assert any("Packml" in c and "target left" in c and "Accepted" in c for c in reset.causes)
    assert any("Stopped -> Resetting" in c for c in reset.causes)
    assert not any("target right" in c for c in reset.causes)
    assert (
        found.lines()[1].strip().startswith(f"{reset.t_ns / 1e9:.3f} s  scan {reset.scan}: 2 -> 15")
    )


def test_a_tag_moved_by_the_time_says_so(handed_over: tuple[Path, dict[str, int]]) -> None:
    found = at(handed_over[0], 2_000_000_000, "right.now_ns", line(), window_ns=3 * PERIOD_NS)
    assert [m.after - m.before for m in found.moves] == [PERIOD_NS] * 7
    assert found.moves[3].t_ns == 2_000_000_000 == found.moves[3].after
    assert all(m.causes == (TIME_ALONE,) for m in found.moves)
    still = at(handed_over[0], 2_000_000_000, "right.run", line(), window_ns=3 * PERIOD_NS)
    assert still.moves == () and still.first is False
    assert still.lines() == ["     1.970 s  right.run = False", "     2.040 s  it has not moved"]


def test_looking_at_a_moment_begins_at_the_keyframe_before_it(
    handed_over: tuple[Path, dict[str, int]],
) -> None:
    player = Player(handed_over[0], line(), start_ns=1_500_000_000)
    first = next(iter(player.scans()))
    assert len(first) == 0
    assert player.reader.scan == 500 and player.tally[0] == 1
    assert [*player.scans()] and player.tally[1] == 0


def test_no_such_tag_and_no_such_time_are_refused(handed_over: tuple[Path, dict[str, int]]) -> None:
    with pytest.raises(RecordingError, match=r"line pair has no tag left\.speed"):
        at(handed_over[0], 0, "left.speed", line())
    with pytest.raises(RecordingError, match="no scans within 1 s of 4000 s"):
        at(handed_over[0], 4_000_000_000_000, "left.run", line())


def test_a_faithful_replay_says_so_in_two_lines(handed_over: tuple[Path, dict[str, int]]) -> None:
    told: Replayed = replay(handed_over[0], line())
    assert told.faithful
    assert told.lines() == [
        f"pair: {told.scans} scans of 10 ms, up to {told.last / 100:.3f} s",
        "0 differing scans, 0 differing bytes",
    ]
