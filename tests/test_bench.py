"""Every bench can be run, and what `cellrt bench` says of it is what was measured. No figure is judged here."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from bench import run
from bench.registry import (
    SUBJECTS,
    Bench,
    NotHere,
    Pair,
    Result,
    Round,
    Spread,
    Subject,
    measure,
    merged,
)
from cellrt.app.cli import app

RAW = Bench("raw_10", "ns", "C")


@pytest.mark.parametrize("each", SUBJECTS, ids=lambda s: s.benches[0].name)
def test_a_quick_round_of_each_measures_all_that_it_says(each: Subject) -> None:
    try:
        results = measure(each, quick=True)
    except NotHere as reason:
        pytest.skip(str(reason))
    assert [r.bench for r in results] == list(each.benches)
    for told in results:
        assert math.isfinite(told.ours)
        assert (told.reference is not None) == bool(told.bench.reference)


def test_ratio_is_of_medians_round_by_round() -> None:
    asked: list[bool] = []
    rounds = iter([(3.0, 2.0), (1.0, 8.0), (2.0, 4.0)])

    @contextmanager
    def open_(quick: bool) -> Iterator[Round]:
        asked.append(quick)
        yield lambda: {"raw_10": Pair(*next(rounds))}

    (told,) = measure(Subject((RAW,), 3, open_), quick=False)
    assert asked == [False]
    row = told.row()
    assert row.pop("steal_ticks") >= 0
    assert row == {
        "name": "raw_10",
        "unit": "ns",
        "ours": 2.0,
        "reference": 4.0,
        "reference_name": "C",
        "ratio": 0.5,
        "rounds": 3,
    }


def test_what_stands_alone_has_no_ratio() -> None:
    told = Result(Bench("start_cold", "s"), 0, [Pair(2.0)])
    assert told.reference is None and told.ratio is None
    assert run.row_of(told) == ("start_cold", "s", "2", "", "", "", "1", "0")


def test_spreads_merged_keep_every_value() -> None:
    one = Spread(np.array([1.0, 3.0]), np.array([5.0, 1.0]))
    two = Spread(np.array([2.0, 3.0]), np.array([4.0, 6.0]))
    both = merged([one, two])
    assert both.values.tolist() == [1.0, 2.0, 3.0]
    assert both.counts.tolist() == [5.0, 4.0, 7.0]


def test_only_chooses_by_how_names_begin() -> None:
    names = [b.name for s in run.chosen(["twin_", "recorder_mb"]) for b in s.benches]
    assert names and all(n.startswith(("twin_", "recorder_mb")) for n in names)
    assert len(run.chosen([])) == len(SUBJECTS)


def test_bench_that_there_is_not_is_refused_with_those_there_are() -> None:
    result = CliRunner().invoke(app, ["bench", "--only", "wake_up"])
    assert result.exit_code == 2
    assert "no bench is called 'wake_up'" in result.stderr and "twin_speed" in result.stderr


def test_outside_a_checkout_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "bench", None)
    result = CliRunner().invoke(app, ["bench"])
    assert result.exit_code == 2
    assert "runs in a checkout only" in result.stderr


def test_plot_without_matplotlib_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delitem(sys.modules, "bench.plot", raising=False)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(app, ["bench", "--plot", str(tmp_path / "plots")])
    assert result.exit_code == 2
    assert "--plot needs matplotlib" in result.stderr and "`plot`" in result.stderr


def test_table_and_file_have_what_was_measured(tmp_path: Path) -> None:
    path = tmp_path / "figures.json"
    asked = ["bench", "--quick", "--only", "recorder_mb", "--json", str(path), "--markdown"]
    result = CliRunner().invoke(app, asked)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(path.read_text())
    assert row["name"] == "recorder_mb_per_hour" and row["ours"] > 0
    assert f"| recorder_mb_per_hour | MB/h | {run.number(row['ours'])} |" in result.stdout


def test_subject_that_fails_is_told_and_costs_no_other(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "figures.json"
    found: list[int] = []

    @contextmanager
    def sound(quick: bool) -> Iterator[Round]:
        found.append(len(json.loads(path.read_text())) if path.exists() else 0)
        yield lambda: {"raw_10": Pair(1.0, 2.0)}

    @contextmanager
    def broken(quick: bool) -> Iterator[Round]:
        yield lambda: {"raw_10": Pair(1.0)["no such place"]}  # type: ignore[call-overload]

    monkeypatch.setattr(
        run, "SUBJECTS", [Subject((RAW,), 1, each) for each in (sound, broken, sound)]
    )
    result = CliRunner().invoke(app, ["bench", "--json", str(path)])
    assert result.exit_code == 1
    assert found == [0, 1], "what is measured is in the file before the next subject begins"
    assert [row["ratio"] for row in json.loads(path.read_text())] == [0.5, 0.5]
    assert "raw_10: failed: Traceback" in result.stderr and "TypeError" in result.stderr
    assert "failed: raw_10\n" in result.stderr and "failed" not in result.stdout
    assert list(tmp_path.iterdir()) == [path]


def test_drawn_are_histograms_curves_and_ratios(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from bench.plot import draw

    spread = Spread(np.array([1.0, 2.0, 9.0]), np.array([5.0, 3.0, 1.0]))
    results = [
        Result(RAW, 0, [Pair(1.0, 2.0, spread, spread)]),
        Result(Bench("raw_1000", "ns", "C"), 0, [Pair(3.0, 2.0)]),
        Result(Bench("start_cold", "s"), 0, [Pair(3.0)]),
    ]
    drawn = draw(tmp_path, results)
    assert {p.name for p in drawn} == {
        f"{n}.{e}" for n in ("raw_10", "raw", "ratios") for e in ("svg", "png")
    }
    assert all(p.stat().st_size > 1000 for p in drawn)
