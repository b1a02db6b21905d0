"""The line of every key, however it is written: files whose every value is its own line."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellrt.line.source import Keys, parse

Writer = Callable[[int, str], str]

STATEMENTS: dict[str, Writer] = {
    "pair": lambda at, key: f"{key} = {at}",
    "quoted": lambda at, key: f'  "{key} #.x" = {at}  # {key} = 0',
    "dotted": lambda at, key: f"{key}.b.c = {at}",
    "inline": lambda at, key: f"{key} = {{ x = {at}, y.z = {at}, w = {{ v = {at} }} }}",
    "array": lambda at, key: f"{key}_a = [0,\n\n 0, # 1\n]\n{key}_b = {at + 4}",
    "list": lambda at, key: (
        f"{key} = [\n# [{{ x = 0 }}]\n {{ x = {at + 2} }},\n\n {{ x = {at + 4} }}, {{ z.y = {at + 4} }},\n]"
    ),
    "string": lambda at, key: f'{key}_s = """\n[{key}]\n"""\n{key}_t = {at + 3}',
    "literal": lambda at, key: f"{key}_s = '''a\n\nb'''\n{key}_t = {at + 3}",
    "table": lambda at, key: f"[{key}]\nin = {at + 1}",
    "deep": lambda at, key: f"\n[t.{key} . u]   # c\nin = {at + 2}",
    "comment": lambda at, key: f"# {key} = 0",
    "blank": lambda at, key: " \t",
}


def written(kinds: list[str]) -> str:
    """A file with these statements, one after the other; keys differ."""
    text = ""
    for number, kind in enumerate(kinds):
        text += STATEMENTS[kind](text.count("\n") + 1, f"k{number}") + "\n"
    return text


def numbers(data: object, path: Keys = ()) -> Iterator[tuple[Keys, int]]:
    """Every number but 0, with the way to it."""
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from numbers(value, (*path, key))
    elif isinstance(data, list):
        for place, value in enumerate(data):
            yield from numbers(value, (*path, place))
    elif isinstance(data, int) and data:
        yield path, data


@given(st.lists(st.sampled_from(sorted(STATEMENTS)), min_size=1, max_size=12), st.booleans())
def test_line_of_each_key_is_the_one_it_stands_on(kinds: list[str], windows: bool) -> None:
    text = written(kinds)
    text = text.replace("\n", "\r\n") if windows else text
    if not text.strip():
        return
    source = parse(text, "x.toml")
    for keys, line in numbers(source.data):
        assert source.line(keys) == line, keys


def test_line_in_an_array_of_tables_is_the_tables_own() -> None:
    source = parse("[[a]]\nb = 2\n\n[[a]]\n[a.c]\nb = 6\n", "x.toml")
    for keys, line in numbers(source.data):
        assert source.line(keys) == line, keys
    assert source.line(("a", 1)) == 4


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
def test_line_of_a_missing_key_is_that_of_its_table(end: str) -> None:
    source = parse(f"# first\na = 1\n[b.c]\nd = [{{ e = 1 }}]{end}", "x.toml")
    assert source.line(("b", "c", "no")) == 3
    assert source.line(("b", "c", "d", 0, "e")) == 4
    assert source.line(("no", "way")) == 1
