"""What type an expression of logic has, as far as its text tells: a tag's, an argument's, or made of them."""

from __future__ import annotations

import ast
import enum
import operator
from contextlib import suppress
from types import FunctionType
from typing import Any

from cellrt.tags import Record

Kind = Any
"""bool, int, float, a Record class, or None where the text does not tell."""

NUMBERS = (bool, int, float)
_OF_BUILTINS: dict[str, Kind] = {"int": int, "round": int, "len": int, "float": float, "bool": bool}
_BITWISE = (ast.BitAnd, ast.BitOr, ast.BitXor)
_SHIFTS = (ast.LShift, ast.RShift)
_OPERATORS: dict[type[ast.operator], Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}


class Names:
    """The names that a function sees: `local` ones with their types, and its module's."""

    def __init__(self, function: FunctionType, owner: type[Record] | None) -> None:
        self.module = function.__globals__
        code = function.__code__
        arguments = code.co_varnames[: code.co_argcount]
        given = function.__annotations__
        self.local: dict[str, Kind] = {a: self.named(given.get(a)) for a in arguments}
        self.limited: set[str] = set()
        if owner is not None:
            self.local[arguments[0]] = owner

    def learn(self, target: ast.expr, value: ast.expr) -> None:
        """A local name was given a value. One that is given different types has none."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for each, part in zip(target.elts, value.elts, strict=False):
                self.learn(each, part)
        elif isinstance(target, ast.Name):
            kind = self.kind(value)
            before = self.local.get(target.id, kind)
            self.local[target.id] = kind if before is kind else None
            (self.limited.add if self.is_limited(value) else self.limited.discard)(target.id)

    def is_limited(self, node: ast.expr) -> bool:
        """A constant, a call of LIMIT, or a local name last given one: a number, and within bounds."""
        if isinstance(node, ast.Name) and node.id in self.limited:
            return True
        if isinstance(node, ast.Call):
            return ast.unparse(node.func).rpartition(".")[2] == "LIMIT"
        return self.constant(node) is not None

    def named(self, annotation: Any) -> Kind:
        """The type that an annotation names."""
        if isinstance(annotation, str):
            builtin = {"bool": bool, "int": int, "float": float}
            annotation = builtin.get(annotation) or self.module.get(annotation)
        usable = isinstance(annotation, type) and issubclass(annotation, (*NUMBERS, Record))
        return annotation if usable else None

    def found(self, node: ast.expr) -> Any:
        """The object that a dotted name stands for among the module's globals; None if there is none."""
        if isinstance(node, ast.Name) and node.id not in self.local:
            return self.module.get(node.id)
        if isinstance(node, ast.Attribute):
            return getattr(self.found(node.value), node.attr, None)
        return None

    def constant(self, node: ast.expr) -> int | float | None:
        """The number that an expression always is: a literal, a module's constant, or made of such."""
        value: Any = None
        match node:
            case ast.Constant():
                value = node.value
            case ast.UnaryOp(ast.USub(), operand):
                inner = self.constant(operand)
                value = None if inner is None else -inner
            case ast.BinOp(left, op, right) if type(op) in _OPERATORS:
                numbers = self.constant(left), self.constant(right)
                with suppress(ArithmeticError, TypeError, ValueError):
                    value = _OPERATORS[type(op)](*numbers)
            case ast.Name() | ast.Attribute():
                value = self.found(node)
        return value if isinstance(value, int | float) else None

    def kind(self, node: ast.expr) -> Kind:
        """The type of an expression."""
        match node:
            case ast.Constant(value):
                return type(value) if type(value) in NUMBERS else None
            case ast.Name(name) if name in self.local:
                return self.local[name]
            case ast.Name() | ast.Attribute():
                return self._of_reference(node)
            case ast.Compare() | ast.UnaryOp(ast.Not()):
                return bool
            case ast.BoolOp(_, values):
                return self.common(*values)
            case ast.IfExp(_, yes, no):
                return self.common(yes, no)
            case ast.UnaryOp(_, operand):
                return _as_number(self.kind(operand))
            case ast.BinOp():
                return self._of_arithmetic(node)
            case ast.Call():
                return self._of_call(node)
        return None

    def common(self, *nodes: ast.expr) -> Kind:
        """The one type of all these; None where they differ."""
        kinds = {self.kind(n) for n in nodes}
        return kinds.pop() if len(kinds) == 1 else None

    def _of_reference(self, node: ast.expr) -> Kind:
        if isinstance(node, ast.Attribute):
            owner = self.kind(node.value)
            if isinstance(owner, type) and issubclass(owner, Record):
                declared = owner.fields.get(node.attr)
                return None if declared is None else declared.kind
        value = self.found(node)
        if isinstance(value, enum.IntEnum):
            return int
        return type(value) if type(value) in NUMBERS else None

    def _of_arithmetic(self, node: ast.BinOp) -> Kind:
        kinds = {self.kind(node.left), self.kind(node.right)}
        if isinstance(node.op, ast.Div):
            return float
        if isinstance(node.op, _SHIFTS):
            return int
        if isinstance(node.op, _BITWISE):
            return bool if kinds == {bool} else int if kinds <= {bool, int} else None
        if kinds <= {bool, int}:
            return int
        return float if float in kinds and kinds <= set(NUMBERS) else None

    def _of_call(self, node: ast.Call) -> Kind:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name in _OF_BUILTINS:
            return _OF_BUILTINS[name]
        if name in ("abs", "min", "max", "LIMIT"):
            return self.common(*node.args)
        function = self.found(node.func)
        if isinstance(node.func, ast.Attribute) and isinstance(
            owner := self.kind(node.func.value), type
        ):
            function = getattr(owner, node.func.attr, None)
        return self.named(getattr(function, "__annotations__", {}).get("return"))


def _as_number(kind: Kind) -> Kind:
    return int if kind is bool else kind
