"""Recordings on disk: cut off anywhere, with any bit turned, resumed, of another line, of another version."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded import PERIOD_NS, RING_BYTES, Session, line

from cellrt.recording import header as headers
from cellrt.recording.file import FRAME_BYTES, RecordingWriter, frames, salvage
from cellrt.recording.header import RecordingError, describe, pack, planned, unpack
from cellrt.recording.reader import RecordingReader, check_sound, part_of
from cellrt.replay import replay
from cellrt.scan.plan import Plan
from cellrt.scan.recorder import longest
from cellrt.scan.tape import EPOCH
from cellrt.shared.ringfile import Piece, RingFileError

Told = tuple[int, bytes, bytes]


def told(reader: RecordingReader) -> list[Told]:
    """Everything that a recording says of its scans."""
    return [(r.scan, r.inputs.tobytes(), r.results.tobytes()) for r in reader]


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recording of 120 scans in three pieces."""
    path = tmp_path_factory.mktemp("short") / "short.rec"
    with Session(path, seed=5) as session:
        for _ in range(3):
            session.at_random(40)
            session.save()
    return path


@pytest.fixture(scope="module")
def whole(short: Path) -> list[Told]:
    return told(RecordingReader(short))


def test_line_without_devices_is_described() -> None:
    alone = replace(line(), devices={}, cells={}, text='[line]\nname = "alone"')
    assert unpack(pack(describe(Plan(alone))), Path())[0]


def begin_of(path: Path) -> int:
    """Where the pieces begin."""
    return unpack(path.read_bytes(), path)[1]


def records_of(data: bytes, begin: int) -> list[tuple[int, int]]:
    """Begin and end of every record of a sound file."""
    found = []
    for frame in frames(data, begin):
        at = frame.begin
        while at < frame.end:
            length, size = 0, 0
            while True:
                octet = data[at + size]
                length |= (octet & 127) << 7 * size
                size += 1
                if octet < 128:
                    break
            found.append((at, at + size + length + 4))
            at = found[-1][1]
    return found


def test_a_recording_says_what_the_scans_took_in(tmp_path: Path) -> None:
    path, seen = tmp_path / "x.rec", []
    with Session(path) as session:
        base = session.plan.commands_base
        for _ in range(200):
            inputs = session.runner.inputs
            session.at_random(1)
            seen.append((session.runner.scan - 1, inputs[:base].tolist()))
    assert [(r.scan, r.inputs[:base].tolist()) for r in RecordingReader(path)] == seen


def test_cut_off_anywhere_it_is_read_up_to_the_last_whole_record(tmp_path: Path) -> None:
    path, cut = tmp_path / "x.rec", tmp_path / "cut.rec"
    with Session(path) as session:
        for _ in range(2):
            session.at_random(6)
            session.save()
    data, begin, whole = path.read_bytes(), begin_of(path), told(RecordingReader(path))
    ends = [end for at, end in records_of(data, begin) if _kind(data, at) == 0]
    assert len(ends) == len(whole) == 12
    for length in range(begin, len(data)):
        cut.write_bytes(data[:length])
        reader = RecordingReader(cut)
        assert told(reader) == whole[: sum(end <= length for end in ends)]
        assert not reader.findings
        assert reader.cut_bytes < 200


def _kind(data: bytes, at: int) -> int:
    while data[at] & 128:
        at += 1
    return data[at + 1] & 3


@pytest.mark.parametrize("length", [0, 1, 7, 8, 12, 47, 48, 1000])
def test_cut_off_inside_its_header_it_is_refused(short: Path, tmp_path: Path, length: int) -> None:
    cut = tmp_path / "cut.rec"
    cut.write_bytes(short.read_bytes()[:length])
    with pytest.raises(RecordingError, match=r"is not a recording|inside its header"):
        RecordingReader(cut)


def test_zeros_behind_it_as_a_power_cut_leaves_them_are_told_and_overwritten(
    short: Path, whole: list[Told], tmp_path: Path
) -> None:
    path, data = tmp_path / "x.rec", short.read_bytes()
    path.write_bytes(data + bytes(300))
    reader = RecordingReader(path)
    assert told(reader) == whole
    assert reader.cut_bytes == 300 and not reader.findings
    RecordingWriter(path, describe(Plan(line()))).close()
    assert path.read_bytes() == data


def test_every_turned_bit_is_found_named_and_mended(
    short: Path, whole: list[Told], tmp_path: Path
) -> None:
    """A sample of all bits behind the header; every kind of place is among them."""
    data, damaged = short.read_bytes(), tmp_path / "damaged.rec"
    begin, records = begin_of(short), records_of(short.read_bytes(), begin_of(short))
    header = unpack(data, short)[0]
    chance, named = random.Random(1), set()
    for bit in chance.sample(range(begin * 8, len(data) * 8), 1200):
        byte = bit >> 3
        octets = bytearray(data)
        octets[byte] ^= 1 << (bit & 7)
        damaged.write_bytes(octets)
        reader = RecordingReader(damaged)
        assert told(reader) == whole
        (finding,) = reader.findings
        holder = [(a, b) for a, b in records if a <= byte < b]
        if not holder:
            assert "the frame of the piece" in finding.what
            named.add("frame")
            continue
        ((first, last),) = holder
        kind, _, word, part = part_of(data[first:last], byte - first, 2)
        name = part if word is None else header.name(word)
        assert name in finding.what and "mended" in finding.what
        assert ("the keyframe's" in finding.what) == (kind != 0)
        named.add(name.split()[0] + str(kind != 0))
    assert named >= {"frame", "inputFalse", "inputTrue", "tagTrue", "commandFalse", "itsFalse"}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_byte_changed_is_told_and_what_is_replayed_is_what_was(
    short: Path, whole: list[Told], data: st.DataObject
) -> None:
    """Anywhere in the file, its header included: never a replay of something else, and never in silence."""
    octets = bytearray(short.read_bytes())
    place = data.draw(
        st.integers(0, len(octets) - 1) | st.integers(begin_of(short), len(octets) - 1)
    )
    octets[place] ^= data.draw(st.integers(1, 255))
    damaged = short.with_name("changed.rec")
    damaged.write_bytes(octets)
    with pytest.raises(RecordingError, match=r"changed\.rec"):
        check_sound(damaged)
    if place < begin_of(short):
        return
    reader = RecordingReader(damaged)
    assert {*told(reader)} <= {*whole}
    assert reader.findings or reader.cut_bytes
    replayed = replay(damaged, line())
    assert replayed.differing == replayed.differing_bytes == 0


def test_a_turned_bit_in_an_input_names_device_point_tag_and_scan(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.runner.scan = 400
        session.start()
        session.scan()
        session.sample(1, board_at_exit=1)
        session.scan()
    data = bytearray(path.read_bytes())
    place, end = records_of(bytes(data), begin_of(path))[-2]
    record = bytes(data[place:end])
    exit_ = session.plan.samples[1].first_raw + 4
    byte = next(b for b in range(len(record)) if part_of(record, b, 2)[2] == exit_)
    data[place + byte] ^= 1
    path.write_bytes(data)
    reader = RecordingReader(path)
    assert len(told(reader)) == 2
    assert [(f.scan, f.what) for f in reader.findings] == [
        (401, "input right.board_at_exit (right.board_at_exit): one bit was wrong and is mended")
    ]


def test_two_turned_bits_leave_out_the_scans_to_the_next_keyframe_and_name_its_inputs(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.scan()
        session.save()
        session.sample(0, pressure=700)
        before = session.ring.written
        session.scan()
        size = session.ring.written - before
        for _ in range(600):
            session.scan()
        session.save()
    sound = told(RecordingReader(path))
    data = bytearray(path.read_bytes())
    frame = [*frames(bytes(data), begin_of(path))][1]
    data[frame.begin + size - 6] ^= 255
    path.write_bytes(data)
    reader = RecordingReader(path)
    read = told(reader)
    (finding,) = reader.findings
    assert finding.scan == 0 and finding.until == 499
    assert "left.pressure" in finding.what and "right" not in finding.what
    assert read == [t for t in sound if not 0 < t[0] <= 499]


def test_what_the_ring_lost_is_told_and_reading_goes_on_at_the_next_keyframe(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.rec"
    capacity = 4 * longest(Plan(line()))
    with Session(path, capacity=capacity) as session:
        session.at_random(100)
        session.save()
        while session.ring.written < session.reader.position + 2 * session.ring.capacity:
            session.at_random(10)
        end = session.runner.scan
    reader = RecordingReader(path)
    scans = [r.scan for r in reader]
    (finding,) = reader.findings
    assert "bytes were overwritten" in finding.what
    assert finding.until is not None and finding.scan < finding.until < end
    assert finding.scan in scans and min(s for s in scans if s > finding.scan) > finding.until
    assert scans[-1] == end - 1


def test_a_killed_writer_is_followed_by_one_that_doubles_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.at_random(50)
        session.save()
        session.at_random(50)
        piece = session.reader.drain()
        session.writer.write(piece)
        session.writer.close()
        for lost in (1, piece.data.size // 2, piece.data.size + FRAME_BYTES - 1):
            data = path.read_bytes()
            path.write_bytes(data[:-lost])
            session.writer = RecordingWriter(path, describe(session.plan))
            assert session.writer.position == piece.position
            session.reader.position = session.writer.position
            session.save()
            session.writer.close()
            assert path.read_bytes() == data
        session.writer = RecordingWriter(path, describe(session.plan))
    assert len(told(RecordingReader(path))) == 100


def test_a_writer_killed_inside_the_header_is_followed_by_one_that_begins_anew(
    tmp_path: Path,
) -> None:
    path, header = tmp_path / "x.rec", describe(Plan(line()))
    for length in (0, 1, 100, len(pack(header)) - 1):
        path.write_bytes(pack(header)[:length])
        RecordingWriter(path, header).close()
        assert path.read_bytes() == pack(header)


def test_what_a_killed_line_left_in_its_ring_is_salvaged_once(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.at_random(30)
        session.save()
        session.at_random(30)
        left = session.ring.written - session.writer.position
        session.writer.close()
        assert salvage(path, session.ring.path) == left
        assert salvage(path, session.ring.path) == 0
        session.writer = RecordingWriter(path, describe(session.plan))
        session.reader.position = session.writer.position
    assert len(told(RecordingReader(path))) == 60
    with pytest.raises(RingFileError, match="No such file"):
        salvage(path, tmp_path / "none.ring")
    with pytest.raises(RecordingError, match="No such file"):
        salvage(tmp_path / "none.rec", session.ring.path)


def test_a_restarted_scan_goes_on_in_the_same_recording(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with Session(path) as session:
        session.at_random(30)
        session.runner.inputs[:] = 0
        session.runner.epoch = 2
        session.runner.scan += 500
        session.start()
        session.at_random(30)
    reader = RecordingReader(path)
    epochs = [int(reader.tape.head[EPOCH]) for _ in reader]
    assert epochs == [1] * 30 + [2] * 30
    assert not reader.findings


def spoil(path: Path, change: Callable[[headers.Header], headers.Header]) -> None:
    """Write the header anew, changed."""
    header, end = unpack(path.read_bytes(), path)
    path.write_bytes(pack(change(header)) + path.read_bytes()[end:])


def test_what_is_no_recording_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    with pytest.raises(RecordingError, match=r"x\.rec: No such file"):
        RecordingReader(path)
    for data in (b"", b"[line]\nname = 'x'\n", bytes(4096)):
        path.write_bytes(data)
        with pytest.raises(RecordingError, match="is not a recording"):
            RecordingReader(path)
    with pytest.raises(RecordingError, match="Is a directory"):
        RecordingReader(tmp_path)


def test_another_format_and_a_damaged_header_are_refused(short: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(short.read_bytes())
    spoil(path, lambda h: replace(h, format=7))
    with pytest.raises(RecordingError, match=r"has format 7.*reads format 4"):
        RecordingReader(path)
    data = bytearray(short.read_bytes())
    data[500] ^= 4
    path.write_bytes(data)
    with pytest.raises(RecordingError, match="damaged header"):
        RecordingReader(path)


def test_another_line_is_refused_and_the_first_difference_named(short: Path) -> None:
    header = RecordingReader(short).header
    assert planned(header, line()).hash == header.plan_hash
    with pytest.raises(RecordingError, match="of line pair, not of other"):
        planned(header, replace(line(), name="other"))
    with pytest.raises(RecordingError, match="its period was 10 ms and is 20 ms now"):
        planned(header, replace(line(), period_ns=2 * PERIOD_NS))
    with pytest.raises(
        RecordingError, match=r"tag \('left>right.state', 'int', \d+\) is nothing now"
    ):
        planned(header, replace(line(), handovers=()), exactly=True)
    with pytest.raises(RecordingError, match="holds no line file"):
        planned(header, None)


def test_a_writer_refuses_to_go_on_with_another_lines_recording(
    short: Path, tmp_path: Path
) -> None:
    path = tmp_path / "x.rec"
    path.write_bytes(short.read_bytes())
    with pytest.raises(RecordingError, match="of another line"):
        RecordingWriter(path, describe(Plan(replace(line(), seed=2))))
    with pytest.raises(RecordingError, match="No such file"):
        RecordingWriter(tmp_path / "none" / "x.rec", describe(Plan(line())))


def test_a_full_disk_leaves_whole_pieces_and_the_next_one_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x.rec"
    writer = RecordingWriter(path, describe(Plan(line())))
    file, size = writer._file, path.stat().st_size

    class Full:
        """A file on a disk that takes ten bytes more."""

        def __getattr__(self, name: str) -> object:
            return getattr(file, name)

        def write(self, data: bytes) -> int:
            return file.write(data[:10])  # type: ignore[no-any-return]

    writer._file = Full()  # type: ignore[assignment]
    piece = Piece(0, np.zeros(100, np.uint8))
    with pytest.raises(RecordingError, match="No space left"):
        writer.write(piece)
    assert path.stat().st_size == size and writer.position == 0
    writer._file = file
    writer.write(piece)
    writer.close()
    assert path.stat().st_size == size + FRAME_BYTES + 100


def test_the_header_is_canonical_and_names_every_word() -> None:
    plan = Plan(line())
    header = describe(plan)
    assert json.loads(json.dumps(asdict(header), sort_keys=True))["line"] == "pair"
    words = header.input_words + header.state_words
    names = [header.name(word) for word in range(words)]
    assert names[0] == "input left: number of its sample"
    assert names[5] == "input left.board_at_entry (left.board_at_entry)"
    assert names[plan.commands_base] == "command 1" and names[plan.input_words - 1] == "command 16"
    place = plan.layout.find("left.run").offset // 8 + header.image_base
    assert "left.run" in names[place]
    assert names[plan.input_words] == "output scan"
    assert {"left state", "right step", "left>right state"} < {*names}
    assert "output left.run (left.run)" in names
    assert names[-1] == "a force, a jog, a sample's number or a task's pace"
    assert RING_BYTES % 8 == 0
