"""Figures as pictures: how wake-ups are spread, how cost grows with size, and all ratios at a glance."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from bench.registry import Result, Spread, merged

OURS, REFERENCE = "#1764ab", "#b0562b"
SIZED = re.compile(r"(.+)_(\d+)$")
matplotlib.rcParams.update({"svg.hashsalt": "cellrt", "axes.spines.top": False, "font.size": 9})
matplotlib.rcParams["axes.spines.right"] = False


def draw(folder: Path, results: Sequence[Result]) -> list[Path]:
    """Write what there is to draw, as SVG and PNG; the files."""
    written = []
    for each in results:
        if any(pair.our_spread for pair in each.pairs):
            written += picture(folder, each.bench.name, partial(histogram, each=each))
    for stem, sizes in scaling(results).items():
        written += picture(folder, stem, partial(curve, sizes=sizes))
    compared = [each for each in results if each.ratio]
    if compared:
        written += picture(folder, "ratios", partial(bars, compared=compared), len(compared))
    return written


def picture(folder: Path, name: str, on: Callable[[Any], None], rows: int = 12) -> list[Path]:
    """One pair of axes, drawn by `on`, high enough for so many rows."""
    figure = Figure(figsize=(7.2, max(3.2, 0.9 + 0.24 * rows)), layout="constrained")
    on(figure.add_subplot())
    paths = [folder / f"{name}.svg", folder / f"{name}.png"]
    for path in paths:
        figure.savefig(path, dpi=140)
    return paths


def histogram(axes: Any, each: Result) -> None:
    """Shares of all wake-ups by how late they were, ours and the reference's, on a logarithmic scale."""
    ours = merged([p.our_spread for p in each.pairs if p.our_spread])
    theirs = [p.reference_spread for p in each.pairs if p.reference_spread]
    steps(axes, ours, OURS, "cellrt")
    if theirs:
        steps(axes, merged(theirs), REFERENCE, each.bench.reference)
    axes.set(xscale="log", yscale="log", xlabel=each.bench.unit, ylabel="share later than that")
    axes.set_title(each.bench.name, loc="left")
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)


def steps(axes: Any, spread: Spread, colour: str, name: str) -> None:
    """How many are above each value: a histogram that needs no bins and shows its tail."""
    later = 1.0 - spread.counts.cumsum() / spread.counts.sum()
    shown = later > 0
    axes.step(spread.values[shown].clip(1e-2), later[shown], where="post", color=colour, label=name)


def scaling(results: Sequence[Result]) -> dict[str, list[tuple[int, Result]]]:
    """Results whose names end in a size, by what stands before it."""
    found: dict[str, list[tuple[int, Result]]] = {}
    for each in results:
        if sized := SIZED.fullmatch(each.bench.name):
            found.setdefault(sized[1], []).append((int(sized[2]), each))
    return {stem: sorted(sizes, key=lambda s: s[0]) for stem, sizes in found.items() if sizes[1:]}


def curve(axes: Any, sizes: list[tuple[int, Result]]) -> None:
    """A figure against the size."""
    values = [each.ours for _, each in sizes]
    axes.plot([size for size, _ in sizes], values, "o-", color=OURS)
    for (size, _), value in zip(sizes, values, strict=True):
        axes.annotate(
            f"{value:.3g}", (size, value), (0, 7), textcoords="offset points", ha="center"
        )
    axes.set(xscale="log", xlabel="how many", ylabel=sizes[0][1].bench.unit)
    axes.set_ylim(0, max(values) * 1.25)
    axes.grid(alpha=0.25)


def bars(axes: Any, compared: list[Result]) -> None:
    """Ours per reference; 1 is as good as what it is measured against."""
    names = [each.bench.name for each in compared]
    ratios = [each.ratio or 0.0 for each in compared]
    axes.barh(names, ratios, color=OURS, height=0.6, left=0)
    axes.axvline(1.0, color=REFERENCE, linewidth=1)
    for place, ratio in enumerate(ratios):
        axes.annotate(
            f"{ratio:.3g}", (ratio, place), (4, 0), textcoords="offset points", va="center"
        )
    axes.set(xscale="log", xlabel="ours per reference")
    axes.margins(x=0.12, y=0.02)
    axes.invert_yaxis()
