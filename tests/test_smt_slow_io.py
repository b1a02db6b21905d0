"""The SMT line behind slow polls: no handshake relies on a pulse that the field may miss.

At fifteen times real time a device that is polled every 50 ms is heard every 750 ms of the line's time.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from smt import accounted, changed, started, warm

from cellrt.packml import State

BOARDS = 8


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The line with a warm oven whose every board gets a false call at the first look."""
    calls = '"aoi.false_ppm" = 20000.0\n"aoi.cleared" = 1.0\n'
    storm = ('type = "cells.aoi:Aoi"\n', 'type = "cells.aoi:Aoi"\nparams = { storm_ppm = 1e6 }\n')
    return changed(tmp_path_factory.mktemp("slow"), storm, end=warm() + calls)


def test_slow_polls_every_board_is_looked_at_twice_and_none_is_lost(path: Path) -> None:
    line = started(path).go(5.0)
    line.go_slowly(900.0, every=75)
    assert line.states() <= {State.EXECUTE, State.SUSPENDED}, line.told()
    assert accounted(line)
    assert line.journal.boards["completed"] >= BOARDS
    assert line.read("aoi.cleared") >= BOARDS
