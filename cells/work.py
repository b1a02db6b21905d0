"""What a board has had done to it: bits of `Board.work_done`, and boards that are not who they should be."""

from __future__ import annotations

from cellrt import MS, Board, Result, Route, compiled

PRINTED = 1 << 0
MEASURED = 1 << 1
PLACED = 1 << 2
SOLDERED = 1 << 3
VIEWED = 1 << 4

READ_WITHIN_NS = 500 * MS
"""A scanner that has read nothing, or another board, for so long has its last word."""
SETTLED_NS = 200 * MS
"""Values of one result may come in several messages; after so long they are all there."""


@compiled
def passes_through(board: Board) -> bool:
    """A failed board, or one on its way out, gets no more work (Hermes Action 2)."""
    return board.result == Result.FAILED or board.route != Route.LINE


@compiled
def condemn(board: Board, route: int) -> None:
    """The board has failed; it leaves the line by `route`."""
    board.result = int(Result.FAILED)
    board.route = route


@compiled
def identify(board: Board, barcode: int) -> bool:
    """Whether the scanner saw the board that this should be; another one goes to quarantine."""
    known = barcode == board.id
    if not known:
        condemn(board, int(Route.REMOVAL))
    return known
