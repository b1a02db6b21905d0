"""How a line keeps its time, as a client of its OPC UA server sees it: the scan's own counts, summed up."""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
from asyncua import ua
from scada_line import Desk, press_line, serving, watch

from cellrt import report
from cellrt.line.spec import INTERLOCKS, Policy, TaskSpec
from cellrt.opcua.space import timing_base
from cellrt.runtime.child import Order, Station
from cellrt.runtime.region import Status, sections
from cellrt.runtime.scada import Scada
from cellrt.scan.histogram import BINS, count
from cellrt.scan.meter import COUNTS, Count
from cellrt.scan.plan import Plan
from cellrt.shared.memory import Region, create
from cellrt.shared.triple import TripleWriter
from cellrt.timing import SCAN, timing

pytestmark = pytest.mark.asyncio(loop_scope="module")

MS = 1_000_000
SPEED = 4.0


def plan_with_task() -> Plan:
    line = press_line().line
    quick = TaskSpec("quick", line.period_ns, Policy.DEGRADE, 250.0, 3)
    return Plan(dataclasses.replace(line, tasks={"quick": quick}))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk() -> AsyncIterator[Desk]:
    async with serving(plan_with_task(), speed=SPEED) as desk:
        yield desk


@pytest.fixture
def region(desk: Desk) -> Region:
    """A scan of 0.2 to 0.3 ms that woke 5 us late, but once 90 us; its quick task overran three times."""
    plan = desk.scan.plan
    region = create(sections(plan), plan.hash)
    for n in range(100):
        count(region.section("lateness").words, 90_000 if n == 40 else 5_000)
        count(region.section("execution").words, 200_000 + 1000 * n)
        count(region.section("ages").words[:BINS], 3 * MS)
        count(region.section("task-execution").words[:BINS], 100_000)
    row = region.section("tasks").words[:COUNTS]
    row[[Count.SCANS, Count.OVER_BUDGET, Count.MISSED, Count.OVERRUNS]] = 100, 2, 7, 3
    row[Count.MULTIPLE] = 2
    return region


async def told(desk: Desk, region: Region) -> None:
    plan = desk.scan.plan
    ages = report.input_age_ms(plan, region)
    desk.server.time(timing(plan, report.scan(plan, region), ages, SPEED))
    await desk.publish()


async def test_what_the_scan_counts_is_shown_as_the_report_has_it(
    desk: Desk, region: Region
) -> None:
    await told(desk, region)
    scan = report.scan(desk.scan.plan, region)
    for name, key in (("Lateness", "wake_us"), ("Execution", "exec_us")):
        for share in ("P50", "P99", "Max"):
            value = await desk.value(f"/Diagnostics/Timing/{name}{share}")
            assert value == scan[key][share.lower()] > 0
    assert await desk.value("/Diagnostics/Timing/LatenessMax") == 90.0
    assert await desk.value("/Diagnostics/Timing/InputAgeP99") == pytest.approx(3.0, rel=0.07)


async def test_task_shows_its_budget_and_how_it_fares(desk: Desk, region: Region) -> None:
    await told(desk, region)
    wanted = {"Budget": 250.0, "OverBudget": 2, "Missed": 7, "Overruns": 3, "TimesSlower": 2}
    wanted |= {"Scans": 100, "Policy": "degrade", "ExecutionMax": 100.0}
    for name, value in wanted.items():
        assert await desk.value(f"/Diagnostics/Tasks/quick/{name}") == value, name
    whole = f"/Diagnostics/Tasks/{INTERLOCKS}"
    assert await desk.value(f"{whole}/Policy") == "safe_stop"
    period_us = desk.scan.plan.line.period_ns / 1e3
    assert await desk.value(f"{whole}/Budget") == period_us / SPEED, "on the wall, as it is told"
    assert await desk.value(f"{whole}/TimesSlower") == 1


async def test_times_have_units_and_ranges(desk: Desk) -> None:
    period_us = desk.scan.plan.line.period_ns / 1e3 / SPEED
    for identifier, unit, high in (
        ("/Diagnostics/Tasks/quick/ExecutionP99", "µs", period_us),
        ("/Diagnostics/Timing/LatenessP50", "µs", period_us),
        ("/Diagnostics/Timing/InputAgeMax", "ms", 1000.0),
    ):
        units = await desk.value(f"{identifier}.EngineeringUnits")
        assert units.DisplayName.Text == unit
        assert await desk.value(f"{identifier}.EURange") == ua.Range(0.0, high)


async def test_slow_line_shows_its_times_though_snapshots_come_seldom(
    desk: Desk, region: Region, tmp_path: Path
) -> None:
    """One snapshot a second, between looks at every tenth of it."""
    plan = desk.scan.plan
    region.section("status").words[Status.SPEED_PPM] = 10_000
    order = Order("", region.fd, plan.hash, "", 0, str(tmp_path / "run"), "", 1, {})
    (tmp_path / "run").mkdir()
    scada = Scada(Station(order, plan, region))
    snapshots = TripleWriter(region.section("snapshot-scada"))
    shown = scada.server._mirror.views.words
    at = timing_base(plan) + [figure.name for figure in SCAN].index("LatenessMax")
    seen = []
    for turn in range(30):
        if turn % 10 == 3:
            lateness_us = 90 + turn
            count(region.section("lateness").words, lateness_us * 1000)
            snapshots.publish(desk.scan.snapshot().words)
        await scada.look(1000.0 + 0.1 * turn)
        seen.append(round(float(shown.view(np.float64)[at])))
    assert seen == [0] * 3 + [93] * 10 + [103] * 10 + [113] * 7


async def test_who_watches_a_task_is_told_when_it_overruns_and_of_nothing_else(
    desk: Desk, region: Region
) -> None:
    await told(desk, region)
    counts = [
        f"/Diagnostics/Tasks/quick/{name}" for name in ("Missed", "OverBudget", "TimesSlower")
    ]
    changes = await watch(desk, *counts)
    await told(desk, region)
    region.section("tasks").words[Count.OVER_BUDGET] += 1
    await told(desk, region)
    assert await changes.next() == ("/Diagnostics/Tasks/quick/OverBudget", 3)
    await desk.server.lose()
    assert (await changes.next_status())[1] == "BadOutOfService", (
        "of a scan that is gone it says nothing"
    )
    await desk.publish()
    await desk.forget()
