"""The devices' physics is ordinary Python: uncompiled it does the same, bit by bit."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from plain_line import PlainLine
from sim_bench import PERIOD_NS, station
from test_sim_boards import COMMANDS

from cellrt.tags import leaves
from hw_sim.plant import Plant, sow

HEARTBEATS = ("coupler.heartbeat", "printer.heartbeat", "safety.heartbeat")


@settings(max_examples=8, deadline=None)
@given(
    st.integers(0, 2**31),
    st.lists(
        st.tuples(st.sets(st.sampled_from((*COMMANDS, *HEARTBEATS))), st.integers(1, 80)),
        min_size=3,
        max_size=6,
    ),
)
def test_plain_and_compiled_leave_the_same_bytes(
    seed: int, script: list[tuple[set[str], int]]
) -> None:
    compiled = Plant(station(), seed=seed)
    plain = PlainLine(station(), PERIOD_NS)
    sow(plain.image, seed)
    for named, scans in script:
        for _ in range(scans):
            for image in (compiled.image, plain.image):
                for tag in (*COMMANDS, *HEARTBEATS):
                    leaf = image.layout.find(tag)
                    if leaf.field.kind is bool:
                        image.write(leaf, tag not in named)
                    elif tag not in named:
                        image.write(leaf, int(image.read(leaf)) + 1)
            compiled.tick(plain.now_ns, PERIOD_NS * 1e-9)
            plain.scan()
        assert compiled.image.bytes.tobytes() == plain.image.bytes.tobytes()


def test_a_print_is_the_same_plain_and_compiled() -> None:
    """Twenty seconds with a clamped board at the stop: every phase, every draw."""
    compiled = Plant(station(), seed=3)
    plain = PlainLine(station(), PERIOD_NS)
    sow(plain.image, 3)
    for image in (compiled.image, plain.image):
        find = image.layout.find
        image.write(find("printer.belt.board.id"), 4711)
        image.write(find("printer.belt.position_mm"), 360.0)
    for k in range(1900):
        for image in (compiled.image, plain.image):
            find = image.layout.find
            image.write(find("printer.heartbeat"), k)
            image.write(find("safety.heartbeat"), k)
            image.write(find("printer.clamp"), k > 10)
            image.write(find("printer.print_start"), k > 100)
        compiled.tick(plain.now_ns, PERIOD_NS * 1e-9)
        plain.scan()
    assert compiled.read("printer.print_done")
    assert compiled.read("printer.offset_x_um") != 0.0
    assert compiled.image.bytes.tobytes() == plain.image.bytes.tobytes()


def test_every_tag_of_every_device_says_what_it_is_in_units() -> None:
    for name, kind in station().members.items():
        for path, field in leaves(kind):
            unit = field.unit
            assert not unit or path.endswith(("_" + unit.replace("/", "_"), "_pct")), (
                f"{name}.{path}"
            )
