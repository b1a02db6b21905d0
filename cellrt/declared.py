"""From a cell's declarations to the methods that its scan calls.

Everything that differs between cell types (which condition is which bit, which method belongs to
which step) is written out here as plain Python, once, when the class is made. The generated text
can be read with `inspect`, stepped through in a debugger, and is what the compiler compiles.
"""

from __future__ import annotations

import linecache
from typing import TYPE_CHECKING, Any

import numpy as np

from cellrt.handover import Board, Infeed, Link, Outfeed
from cellrt.interlock import IN_TIME, INPUTS_GOOD, Cause
from cellrt.packml import ACTING, RUNNING, State, trigger_of
from cellrt.tags import DeclarationError, Role, leaves

if TYPE_CHECKING:
    from cellrt.cell import Cell

RUNNING_BITS = sum(1 << s for s in RUNNING)


def rules(cell: type[Cell]) -> tuple[str, ...]:
    """Names of what can trip a cell, by bit: its interlocks, then its steps' time limits."""
    late = tuple(f"{s.name} within {s.within_s:g} s" for s in cell.sequence.steps if s.within_s)
    return (*(i.name or i.condition for i in all_interlocks(cell)), *late)


def all_interlocks(cell: type[Cell]) -> tuple[Any, ...]:
    """Inputs first: stale input is the first suspect."""
    return (INPUTS_GOOD, *cell.interlocks, IN_TIME)


def tags_read(cell: type[Cell], condition: str) -> set[str]:
    """Tags on which a condition may rely: itself, or all whose names its method and those it calls use."""
    names: set[str] = set()
    waiting = {condition}
    while waiting:
        name = waiting.pop()
        names.add(name)
        code = getattr(getattr(cell, name, None), "__code__", None)
        waiting |= set(code.co_names) - names if code else set()
    return {
        path
        for path, _ in leaves(cell)
        if names.issuperset(part for part in path.split(".") if not part.isdecimal())
    }


def declare(cell: type[Cell]) -> None:
    """Check a cell's declarations and give the class its generated methods.

    Raises DeclarationError where a name in an interlock or a step is neither a bool tag nor a
    method, where an output has no safe reaction for some cause, or where there are too many rules.
    """
    _check(cell)
    source = "\n".join(
        (
            _mask(
                "lost_conditions", [f"not {_term(cell, i.condition)}" for i in all_interlocks(cell)]
            ),
            _mask("guards", [_term(cell, c) for c in cell.sequence.conditions]),
            _dispatch("step_action", "self.unit.step", _step_actions(cell), "return"),
            _dispatch("state_work", "self.unit.state", _state_actions(cell), "return True"),
            _ports(cell),
            _TABLE_METHODS,
            *(f"def {name}(self):\n    return {value}\n" for name, value in _defaults(cell)),
        )
    )
    filename = f"<declared {cell.type_name()}>"
    linecache.cache[filename] = (len(source), None, source.splitlines(True), filename)
    namespace: dict[str, Any] = _tables(cell)
    exec(compile(source, filename, "exec"), namespace)
    for name, value in namespace.items():
        if callable(value) and getattr(value, "__code__", None) and not name.startswith("_"):
            if name in cell.__dict__ or name in cell.sequence.names:
                raise DeclarationError(f"{cell.type_name()}: every cell has a {name}() already")
            setattr(cell, name, value)


def _term(cell: type[Cell], condition: str) -> str:
    declared = cell.fields.get(condition)
    if declared is not None and declared.kind is bool:
        return f"self.{condition}"
    return f"self.{condition}()"


def _mask(name: str, terms: list[str]) -> str:
    body = "".join(f"    if {term}:\n        m |= {1 << bit}\n" for bit, term in enumerate(terms))
    return f"def {name}(self):\n    m = 0\n{body}    return m\n"


def _dispatch(name: str, selector: str, actions: dict[int, str], otherwise: str) -> str:
    lines = [f"def {name}(self):", f"    k = {selector}"]
    for value, statement in actions.items():
        lines += [f"    if k == {value}:", f"        {statement}"]
    return "\n".join([*lines, f"    {otherwise}", ""])


def _step_actions(cell: type[Cell]) -> dict[int, str]:
    return {
        number: f"return self.{name}()"
        for number, name in enumerate(cell.sequence.names)
        if hasattr(cell, name)
    }


def _state_actions(cell: type[Cell]) -> dict[int, str]:
    return {
        int(s): f"return self.{s.name.lower()}()" for s in ACTING if hasattr(cell, s.name.lower())
    }


def _ports(cell: type[Cell]) -> str:
    """What a cell's handover ports say of it, whatever the ports are called."""
    infeeds = [f"self.{f.name}" for f in cell.fields.values() if f.kind is Infeed]
    outfeeds = [f"self.{f.name}" for f in cell.fields.values() if f.kind is Outfeed]
    starved = [
        f"({p}.says.machine_ready and {p}.state == {int(Link.MACHINE_READY)})" for p in infeeds
    ]
    blocked = [
        f"({p}.says.board_available and {p}.state == {int(Link.BOARD_AVAILABLE)})" for p in outfeeds
    ]
    moving = [f"{p}.moving()" for p in (*infeeds, *outfeeds)]
    hear = [f"{p}.hear()" for p in infeeds] + [f"{p}.hear(self.{cell.gives})" for p in outfeeds]
    withdraw = [] if cell.runs_out else [f"{p}.withdraw()" for p in outfeeds]
    silence = [f"{p}.decline()" for p in infeeds] + withdraw
    still = f"self.unit.state == {int(State.HELD)}" if cell.runs_out else "False"
    leave = [f"{p}.leave()" for p in (*infeeds, *outfeeds)]
    return "\n".join(
        (
            f"def is_starved(self):\n    return {' or '.join(starved) or False}\n",
            f"def is_blocked(self):\n    return {' or '.join(blocked) or False}\n",
            f"def ports_moving(self):\n    return {' or '.join(moving) or False}\n",
            _calls("hear_ports", hear),
            _calls("silence_ports", silence),
            _calls("leave_ports", leave),
            f"def gives_still(self):\n    return {still}\n",
        )
    )


def _calls(name: str, statements: list[str]) -> str:
    return "\n    ".join([f"def {name}(self):", *(statements or ["pass"])]) + "\n"


_TABLE_METHODS = '''
def running_only(self):
    """Bits of the rules that are looked at only in PackML's Running states."""
    return RUNNING_ONLY

def late_rules(self):
    """Bits of the rules that say how long a step may take."""
    return LATE_RULES

def finish_limit_ns(self):
    """How long the end of the work under way may take."""
    return FINISH_LIMIT_NS

def rule_trigger(self, rule):
    """The `packml.Trigger` bit that the loss of a rule asks for."""
    return int(RULE_TRIGGER[rule])

def rule_cause(self, rule):
    """The `interlock.Cause` that the loss of a rule gates the outputs by."""
    return int(RULE_CAUSE[rule])

def late_rule(self, step):
    """The rule that says how long a step may take."""
    return int(LATE_RULE[step])

def step_within_ns(self, step):
    """How long a step may take; 0 for ever."""
    return int(WITHIN_NS[step])

def next_step(self, step, conditions):
    """The step that the most urgent of `conditions` leads to; -1 to stay."""
    return _fire(STEP_ALLOW, STEP_NEXT, step, conditions)
'''


def _defaults(cell: type[Cell]) -> list[tuple[str, object]]:
    defaults: dict[str, object] = {"always": None, "execute": None, "work_complete": True}
    return [(name, value) for name, value in defaults.items() if not hasattr(cell, name)]


def _tables(cell: type[Cell]) -> dict[str, Any]:
    from cellrt.statemachine import fire

    allow, next_, within_ns = cell.sequence.tables()
    interlocks = all_interlocks(cell)
    timed = [s for s in cell.sequence.steps if s.within_s]
    triggers = [1 << trigger_of(i.command) for i in interlocks] + [
        1 << trigger_of(s.late) for s in timed
    ]
    causes = [int(i.cause) for i in interlocks] + [int(Cause.PROCESS)] * len(timed)
    late = [len(interlocks) + timed.index(s) if s.within_s else -1 for s in cell.sequence.steps]
    return {
        "RUNNING_ONLY": sum(1 << n for n, i in enumerate(interlocks) if i.only_running),
        "LATE_RULES": sum(1 << rule for rule in late if rule >= 0),
        "FINISH_LIMIT_NS": round(cell.finish_s * 1e9),
        "RULE_TRIGGER": np.array(triggers, np.int64),
        "RULE_CAUSE": np.array(causes, np.int64),
        "LATE_RULE": np.array(late or [-1], np.int64),
        "WITHIN_NS": within_ns,
        "STEP_ALLOW": allow,
        "STEP_NEXT": next_,
        "_fire": fire,
        "__name__": cell.__module__,
    }


def _check(cell: type[Cell]) -> None:
    where = cell.type_name()
    for condition in (*(i.condition for i in cell.interlocks), *cell.sequence.conditions):
        declared = cell.fields.get(condition)
        if declared is None and not callable(getattr(cell, condition, None)):
            raise DeclarationError(
                f"{where}: condition {condition!r} is neither a bool tag nor a method; declare "
                f"`{condition}: bool = Input()` or `def {condition}(self) -> bool`"
            )
        if declared is not None and declared.kind is not bool:
            raise DeclarationError(f"{where}: condition {condition!r} is a tag but no bool")
    if cell.gives not in cell.fields or cell.fields[cell.gives].kind is not Board:
        raise DeclarationError(f"{where}: gives = {cell.gives!r}, which is no Board of the cell")
    if len(rules(cell)) > 62:
        raise DeclarationError(f"{where}: more than 62 interlocks and timed steps; split the cell")
    for name in cell.sequence.names:
        if name in cell.fields or name.upper() in State.__members__:
            raise DeclarationError(
                f"{where}: step {name!r} has the name of a tag or a PackML state"
            )
        if hasattr(cell.__mro__[-3], name):
            raise DeclarationError(f"{where}: every cell has a {name}() already")
    for declared in cell.fields.values():
        if declared.role is Role.OUTPUT and declared.safe is not None:
            missing = [c.name for c in Cause if c is not Cause.NONE and c not in declared.safe]
            if missing:
                raise DeclarationError(
                    f"{where}.{declared.name}: no safe reaction for {', '.join(missing)}; "
                    "use always(...) or name every cause with safe(...)"
                )
