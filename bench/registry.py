"""What a bench is: something of ours and what it is measured against, round by round, in one run.

Whatever a machine does to its programs from minute to minute then meets both. A subject is one setup that
measures some benches together:

    @subject(Bench("wake_spin_p50", "us", "C loop"), Bench("wake_spin_p99", "us", "C loop"))
    def wake(quick: bool) -> Iterator[Round]:
        ...                       # set up
        yield one_round           # called `rounds` times; {name: Pair(ours, reference)}
        ...                       # clean up
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from cellrt.report import steal_ticks
from cellrt.wire import Floats

ROUNDS = 9


@dataclass(frozen=True)
class Bench:
    """A figure. Without a `reference` it stands alone."""

    name: str
    unit: str
    reference: str = ""


class Spread(NamedTuple):
    """How single values were spread in a round: values in the bench's unit, and how often each."""

    values: Floats
    counts: Floats


class Pair(NamedTuple):
    """What one round measured, perhaps with the single values behind it."""

    ours: float
    reference: float | None = None
    our_spread: Spread | None = None
    reference_spread: Spread | None = None


class NotHere(Exception):
    """This machine has not got what a bench needs; says what."""


Round = Callable[[], Mapping[str, Pair]]


@dataclass(frozen=True)
class Subject:
    """Benches that one setup measures together. `open(quick)` gives one round of it."""

    benches: tuple[Bench, ...]
    rounds: int
    open: Callable[[bool], AbstractContextManager[Round]]


@dataclass(frozen=True)
class Result:
    """A bench's rounds; what is told of them are medians."""

    bench: Bench
    steal_ticks: int
    pairs: Sequence[Pair] = field(repr=False)

    @property
    def ours(self) -> float:
        return statistics.median(pair.ours for pair in self.pairs)

    @property
    def reference(self) -> float | None:
        """The reference's median; None where there is no reference."""
        told = [pair.reference for pair in self.pairs if pair.reference is not None]
        return statistics.median(told) if told else None

    @property
    def ratio(self) -> float | None:
        """Ours per reference, of the medians."""
        return self.ours / self.reference if self.reference else None

    def row(self) -> dict[str, Any]:
        """As it is written to a file."""
        return {
            "name": self.bench.name,
            "unit": self.bench.unit,
            "ours": self.ours,
            "reference": self.reference,
            "reference_name": self.bench.reference,
            "ratio": self.ratio,
            "rounds": len(self.pairs),
            "steal_ticks": self.steal_ticks,
        }


SUBJECTS: list[Subject] = []


def subject(
    *benches: Bench, rounds: int = ROUNDS
) -> Callable[[Callable[[bool], Iterator[Round]]], Callable[[bool], Iterator[Round]]]:
    """Register a generator that sets up, yields one round, and cleans up."""

    def register(function: Callable[[bool], Iterator[Round]]) -> Callable[[bool], Iterator[Round]]:
        SUBJECTS.append(Subject(benches, rounds, contextmanager(function)))
        return function

    return register


def measure(chosen: Subject, quick: bool) -> list[Result]:
    """Set up, measure round by round, clean up. `quick`: one round of as little as will do."""
    with chosen.open(quick) as one_round:
        before = steal_ticks()
        rounds = [one_round() for _ in range(1 if quick else chosen.rounds)]
        stolen = steal_ticks() - before
    return [
        Result(bench, stolen, [told[bench.name] for told in rounds]) for bench in chosen.benches
    ]


def merged(spreads: Sequence[Spread]) -> Spread:
    """The spread of all rounds together."""
    values, places = np.unique(np.concatenate([s.values for s in spreads]), return_inverse=True)
    counts = np.bincount(places, np.concatenate([s.counts for s in spreads]))
    return Spread(values, counts.astype(np.float64))
