"""A sender asks whether a parameter's new value fits before the scan has it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import numpy as np
import pytest
from scada_line import line_of
from scan_bench import Bench

from cellrt import Cell, Parameter
from cellrt.commander import Commander
from cellrt.line.spec import CellSpec
from cellrt.runtime.sender import Sender, misfit
from cellrt.scan.commands import Operation, Origin, Refusal, raw_bits
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Section
from cellrt.shared.queue import QueueReader, queue_bytes


class Sieve(Cell):
    low_mm: float = Parameter(1.0, unit="mm", low=0.0, high=10.0)
    meshes: int = Parameter(2, low=0, high=10)

    @classmethod
    def unfit(cls, parameters: Mapping[str, bool | int | float]) -> str | None:
        return "too many meshes" if parameters["meshes"] > 5 * parameters["low_mm"] else None


@pytest.fixture(scope="module")
def plan() -> Plan:
    return line_of("sieve", [], {"sieve": CellSpec("sieve", Sieve, {}, {}, {})})


def number(plan: Plan, tag: str) -> int:
    return [leaf.path for leaf in plan.parameters].index(f"sieve.{tag}")


def read(plan: Plan, tag: str) -> bool | int | float:
    return plan.layout.find(tag).field.default or 0


@pytest.mark.parametrize(
    ("tag", "value", "why"),
    [
        ("meshes", 5, None),
        ("meshes", 6, "too many meshes"),
        ("low_mm", 0.5, None),
        ("low_mm", 0.25, "too many meshes"),
    ],
)
def test_new_value_is_looked_at_beside_the_others_as_they_are(
    plan: Plan, tag: str, value: float, why: str | None
) -> None:
    bits = raw_bits(plan.layout.find(f"sieve.{tag}").field.kind, value)
    assert misfit(plan, lambda t: read(plan, t), number(plan, tag), bits) == why


@pytest.mark.parametrize(
    ("meshes", "fits", "operation"),
    [
        (5, False, Operation.PARAMETER),
        (6, False, Operation.MISFIT),
        (6, True, Operation.PARAMETER),
    ],
)
async def test_sender_tells_the_scan_of_a_value_that_does_not_fit(
    plan: Plan, meshes: int, fits: bool, operation: Operation
) -> None:
    words = np.zeros(queue_bytes(8) // 8, np.int64)
    queue = Section(words, words.ctypes.data)
    sender = Sender(queue, Commander(1, Origin.SCADA), plan, lambda t: read(plan, t))
    target = number(plan, "meshes")
    asked = asyncio.create_task(sender.send(Operation.PARAMETER, target, meshes, 0, fits=fits))
    await asyncio.sleep(0)
    command = np.zeros(8, np.int64)
    assert QueueReader(queue).pop(command)
    assert command[:5].tolist() == [1, Origin.SCADA, operation, target, meshes]
    sender.hear(1, Refusal.UNFIT)
    assert await asked is Refusal.UNFIT


def test_scan_refuses_and_tells_what_its_sender_found_unfit(plan: Plan) -> None:
    bench = Bench(plan, compiled=False)
    target = number(plan, "meshes")
    assert bench.asked(Operation.MISFIT, target, 6) is Refusal.UNFIT
    assert bench["sieve.meshes"] == 2
    (told,) = bench.told("Command")
    assert (told["operation"], told["target"], told["answer"]) == (
        "Misfit",
        "sieve.meshes",
        "Unfit",
    )
