"""The labeler in its line, in virtual time, with every device simulated."""

from __future__ import annotations

from cellrt.testing import Golden, OpenLine, TestLine


def running(line: OpenLine) -> TestLine:
    return line("../acme_line.toml", sim=True).start()


def test_board_comes_gets_one_label_and_goes_on(line: OpenLine, golden: Golden) -> None:
    station = running(line).step(until="labeler.filling", timeout_s=30.0)
    trace = station.trace("labeler.*", "labeler.board.id", "labeler.board.result")
    station.step(until="labeler.emptying", timeout_s=30.0)
    station.step(until="labeler.empty", timeout_s=10.0)
    golden("one_board", trace)


def test_running_every_board_is_stored_with_its_label(line: OpenLine) -> None:
    station = running(line)
    station.step(until=lambda: station["magazine.good"] == 3, timeout_s=120.0)
    station.stop()
    assert station["labeler.labels_used"] == station["labeler.unit.boards_out"]
    assert station["magazine.failed"] == 0


def test_fetching_no_label_comes_holds_until_someone_mends_it(line: OpenLine) -> None:
    station = running(line).force("labeler.label_ready", False)
    station.step(until="labeler.Held", timeout_s=40.0)
    assert station["labeler.fetching"] and not station["labeler.ram"]
    station.release("labeler.label_ready").command("labeler", "unhold")
    station.step(until="labeler.pressing", timeout_s=2.0)


def test_pressing_hold_and_unhold_presses_no_second_label(line: OpenLine) -> None:
    station = running(line)
    station.step(until="labeler.pressing", timeout_s=30.0)
    station.command("labeler", "hold").step(until="labeler.Held", timeout_s=1.0).step(500)
    assert station["labeler.ram"]
    station.command("labeler", "unhold").step(until="labeler.full", timeout_s=5.0)
    assert station["labeler.labels_used"] == 1


def test_pressing_estop_lifts_the_ram_and_the_board_is_failed(line: OpenLine) -> None:
    station = running(line)
    station.step(until="labeler.pressing", timeout_s=30.0)
    station.force("labeler.estop_released", False).step()
    assert not station["labeler.ram"]
    station.step(until="labeler.Aborted", timeout_s=1.0)
    station.release("labeler.estop_released").start()
    station.step(until=lambda: station["magazine.failed"] == 1, timeout_s=60.0)
    assert station["magazine.good"] == 0


def test_device_answers_no_more_ram_and_belt_are_off(line: OpenLine) -> None:
    station = running(line)
    station.step(until="labeler.filling", timeout_s=30.0)
    station.step(until="labeler.belt_run", timeout_s=5.0)
    station.quality("labeler", False).step()
    assert not station["labeler.belt_run"]
    station.step(until="labeler.Aborted", timeout_s=1.0)
