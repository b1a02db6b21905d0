"""A cell's command panel: the tags of PackTags.Command and a method for each command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from asyncua import ua
from asyncua.server.address_space import AddressSpace
from asyncua.ua.attribute_ids import AttributeIds

from cellrt.opcua.commands import Target, is_of, spoken
from cellrt.opcua.mirror import Reading, timestamp
from cellrt.opcua.nodes import Method, Nodes, name_of, standard
from cellrt.opcua.packml_types import PACKML, method_name
from cellrt.opcua.status import ANSWERS, Codes, status
from cellrt.opcua.users import Rank
from cellrt.packml import Command, Mode
from cellrt.scan.commands import Operation, Send

Int32, Boolean, String = ua.VariantType.Int32, ua.VariantType.Boolean, ua.VariantType.String

Ask = Callable[[int], Awaitable[ua.StatusCode]]
"""Asks the scan for a command or a mode by its number."""


class Held:
    """A variable that the server itself holds."""

    def __init__(self, aspace: AddressSpace, node: ua.NodeId, kind: ua.VariantType) -> None:
        self.node = node
        self._aspace = aspace
        self._kind = kind

    @property
    def value(self) -> Any:
        variant = self._aspace.read_attribute_value(self.node, AttributeIds.Value).Value
        return None if variant is None else variant.Value

    async def put(self, value: Any) -> ua.StatusCode:
        """Change it, and tell whoever watches."""
        now = timestamp(datetime.now(UTC))
        reading = Reading(ua.Variant(value, self._kind), ua.StatusCode(), now, now)
        return await self._aspace.write_attribute_value(self.node, AttributeIds.Value, reading)

    async def write(self, variant: ua.Variant) -> ua.StatusCode:
        """A client's write."""
        if not is_of(variant, self._kind):
            return status(Codes.BadTypeMismatch)
        return await self.put(variant.Value)


class Panel:
    """What a cell may be asked for; `Answer` says in words what became of the last request.

    A command is given by a method, or by its number in a tag and a rising edge of that tag's change
    request. Either way the status that the client gets is the scan's answer. A change request that
    was refused falls back to false, so that it can rise again; one that was accepted is the
    client's to reset.
    """

    def __init__(self, nodes: Nodes, command: ua.NodeId, send: Send, cell: int) -> None:
        self._nodes = nodes
        self._folder = command
        self._send = send
        self._cell = cell
        doc = "what became of the last command or mode asked for"
        self._answer = self._held("Answer", "", String, doc, writable=False)

    def add_tags(self) -> dict[ua.NodeId, Target]:
        """The command tags; who takes what is written to each."""
        return {
            **self._add_request("CntrlCmd", "CmdChangeRequest", self.command),
            **self._add_request("UnitMode", "UnitModeChangeRequest", self.mode),
        }

    def add_methods(
        self, parent: ua.NodeId, machines: Mapping[Command, Sequence[ua.NodeId]]
    ) -> None:
        """A method for each PackML command, also of the state machines that OPC 30050 gives it to, and
        SetUnitMode; RemoteCommand takes a command's number, where OPC 30050 has a structure.
        ResetCounters, for which it has no method, begins anew with boards and times.
        """
        for command in Command:
            ask, name = partial(self.command, command), command.name.capitalize()
            self._nodes.method(
                parent,
                f"{name_of(parent)}.{name}",
                method_name(command),
                _without_argument(ask),
                rank=Rank.OPERATOR,
                also_of=machines[command],
                names_in=PACKML,
            )
        reset, call = f"{name_of(parent)}.ResetCounters", _without_argument(self.reset_counters)
        self._nodes.method(parent, reset, "ResetCounters", call, rank=Rank.OPERATOR)
        remote = f"{name_of(parent)}.RemoteCommand"
        call, inputs = _with_number(self.command), [_number("Command")]
        self._nodes.method(parent, remote, "RemoteCommand", call, inputs, rank=Rank.OPERATOR)
        mode = f"{name_of(parent)}.SetUnitMode"
        call, inputs = _with_number(self.mode), [_number("RequestedMode")]
        self._nodes.method(
            parent, mode, "SetUnitMode", call, inputs, rank=Rank.OPERATOR, names_in=PACKML
        )

    async def command(self, number: int) -> ua.StatusCode:
        """Ask for a PackML command."""
        return await self._ask(Operation.PACKML, number, spoken(Command, number))

    async def mode(self, number: int) -> ua.StatusCode:
        """Ask for a unit mode."""
        return await self._ask(Operation.MODE, number, spoken(Mode, number))

    async def reset_counters(self) -> ua.StatusCode:
        """Ask for boards and times to be counted from nothing."""
        return await self._ask(Operation.RESET_COUNTERS, 0, "ResetCounters")

    async def _ask(self, operation: Operation, number: int, what: str) -> ua.StatusCode:
        code, words = ANSWERS[await self._send(operation, self._cell, number)]
        await self._answer.put(f"{what} {words}")
        return status(code)

    def _add_request(self, name: str, request_name: str, ask: Ask) -> dict[ua.NodeId, Target]:
        number = self._held(name, 0, Int32, f"number to ask for by {request_name}")
        request = self._held(request_name, False, Boolean, f"asks for {name} when it rises")

        async def write_request(variant: ua.Variant) -> ua.StatusCode:
            before = request.value
            written = await request.write(variant)
            if not written.is_good() or before or not request.value:
                return written
            accepted = False
            try:
                answer = await ask(number.value)
                accepted = answer.is_good()
            finally:  # the client may have gone while the scan was asked
                if not accepted:
                    await request.put(False)
            return answer

        return {
            number.node: Target(Rank.OPERATOR, number.write),
            request.node: Target(Rank.OPERATOR, write_request),
        }

    def _held(
        self, name: str, value: Any, kind: ua.VariantType, doc: str, *, writable: bool = True
    ) -> Held:
        identifier = f"{name_of(self._folder)}.{name}"
        node = self._nodes.variable(
            self._folder, identifier, name, ua.Variant(value, kind), doc=doc, writable=writable
        )
        return Held(self._nodes.server.aspace, node, kind)


def _number(name: str) -> ua.Argument:
    return ua.Argument(ua.String(name), standard(Int32.value), ua.Int32(ua.ValueRank.Scalar))


def _without_argument(ask: Callable[[], Awaitable[ua.StatusCode]]) -> Method:
    async def call(*arguments: ua.Variant) -> ua.StatusCode:
        return status(Codes.BadTooManyArguments) if arguments else await ask()

    return call


def _with_number(ask: Ask) -> Method:
    async def call(*arguments: ua.Variant) -> ua.StatusCode | ua.CallMethodResult:
        if not arguments:
            return status(Codes.BadArgumentsMissing)
        if len(arguments) > 1:
            return status(Codes.BadTooManyArguments)
        if not is_of(arguments[0], Int32):
            mismatch = [status(Codes.BadTypeMismatch)]
            return ua.CallMethodResult(status(Codes.BadInvalidArgument), mismatch)
        return await ask(arguments[0].Value)

    return call
