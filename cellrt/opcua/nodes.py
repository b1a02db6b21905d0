"""Nodes of the address space, added one at a time by stable string identifiers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asyncua import ua
from asyncua.server.internal_server import InternalServer
from asyncua.ua.object_ids import ObjectIds

from cellrt.opcua.status import Codes, status
from cellrt.opcua.users import Rank

READ = 1 << ua.AccessLevel.CurrentRead
READ_WRITE = READ | 1 << ua.AccessLevel.CurrentWrite
HISTORY = 1 << ua.AccessLevel.HistoryRead

Method = Callable[..., Awaitable[ua.StatusCode | ua.CallMethodResult]]
"""Called with the arguments as variants."""


def standard(identifier: int) -> ua.NodeId:
    """A node of the standard's own namespace."""
    return ua.NodeId(ua.Int32(identifier))


def name_of(node: ua.NodeId) -> str:
    """A node's identifier."""
    return str(node.Identifier)


class Nodes:
    """Adds nodes below others, all in one namespace. Raises UaStatusCodeError for one that exists.

    This goes straight to the server's node management; asyncua's helpers take twice as long. It
    compares a folder's children with each other, so time grows with their square: keep folders to
    a hundred or so.
    """

    def __init__(self, server: InternalServer, namespace: int) -> None:
        self.server = server
        self.namespace = namespace
        self.methods: dict[ua.NodeId, Rank] = {}

    def folder(self, parent: ua.NodeId, identifier: str, name: str, doc: str = "") -> ua.NodeId:
        """A folder below a folder."""
        item = self._item(parent, identifier, name, ua.ObjectAttributes(), ua.NodeClass.Object, doc)
        return self._add(item, ObjectIds.Organizes, standard(ObjectIds.FolderType))

    def object(
        self,
        parent: ua.NodeId,
        identifier: str,
        name: str,
        doc: str = "",
        *,
        kind: ua.NodeId,
        names_in: int | None = None,
    ) -> ua.NodeId:
        """An object that is a part of its parent; `kind` is its type. It may have methods."""
        item = self._item(
            parent, identifier, name, ua.ObjectAttributes(), ua.NodeClass.Object, doc, names_in
        )
        return self._add(item, ObjectIds.HasComponent, kind)

    def object_type(self, parent: ua.NodeId, node: ua.NodeId, name: str) -> ua.NodeId:
        """A type below another, both of any namespace."""
        item = self._item(parent, "", name, ua.ObjectTypeAttributes(), ua.NodeClass.ObjectType, "")
        item.RequestedNewNodeId = node
        item.BrowseName = ua.QualifiedName(name, node.NamespaceIndex)
        return self._add(item, ObjectIds.HasSubtype)

    def state(self, kind: ua.NodeId, node: ua.NodeId, name: str, number: int) -> ua.NodeId:
        """A state of a state machine's type."""
        item = self._item(kind, "", name, ua.ObjectAttributes(), ua.NodeClass.Object, "")
        item.RequestedNewNodeId = node
        item.BrowseName = ua.QualifiedName(name, node.NamespaceIndex)
        self._add(item, ObjectIds.HasComponent, standard(ObjectIds.StateType))
        value = ua.Variant(number, ua.VariantType.UInt32)
        identifier = f"/PackML/{name}.StateNumber"
        self.variable(node, identifier, "StateNumber", value, property_of=0)
        return node

    def variable(
        self,
        parent: ua.NodeId,
        identifier: str,
        name: str,
        value: ua.Variant,
        *,
        doc: str = "",
        writable: bool = False,
        kind: int = ObjectIds.BaseDataVariableType,
        history: bool = False,
        names_in: int | None = None,
        property_of: int | None = None,
    ) -> ua.NodeId:
        """A variable of the value's type; `kind` is its type definition. `names_in` is the namespace of
        its name, if not the nodes' own; `property_of` the same of one that is a property.
        """
        attributes = _variable(value, standard(value.VariantType.value), writable)
        if history:
            attributes.Historizing = True
            attributes.AccessLevel = attributes.UserAccessLevel = attributes.AccessLevel | HISTORY
        names_in = names_in if property_of is None else property_of
        item = self._item(
            parent, identifier, name, attributes, ua.NodeClass.Variable, doc, names_in
        )
        if property_of is not None:
            return self._add(item, ObjectIds.HasProperty, standard(ObjectIds.PropertyType))
        return self._add(item, ObjectIds.HasComponent, standard(kind))

    def standard_property(self, parent: ua.NodeId, name: str, value: Any) -> ua.NodeId:
        """One of the standard's own properties, whose value is a structure or a list of them."""
        data_type = (value[0] if isinstance(value, list) else value).data_type
        attributes = _variable(ua.Variant(value, ua.VariantType.ExtensionObject), data_type, False)
        identifier = f"{name_of(parent)}.{name}"
        item = self._item(parent, identifier, name, attributes, ua.NodeClass.Variable, "")
        item.BrowseName = ua.QualifiedName(name, 0)
        return self._add(item, ObjectIds.HasProperty, standard(ObjectIds.PropertyType))

    def method(
        self,
        parent: ua.NodeId,
        identifier: str,
        name: str,
        call: Method,
        inputs: Sequence[ua.Argument] = (),
        *,
        rank: Rank,
        also_of: Sequence[ua.NodeId] = (),
        names_in: int | None = None,
    ) -> ua.NodeId:
        """A method of an object, and of those in `also_of`; `rank` is that of who may call it."""
        attributes: Any = ua.MethodAttributes()
        attributes.Executable = attributes.UserExecutable = True
        item = self._item(parent, identifier, name, attributes, ua.NodeClass.Method, "", names_in)
        node = self._add(item, ObjectIds.HasComponent)
        for other in also_of:
            self._refer(other, node)
        if inputs:
            self.standard_property(node, "InputArguments", list(inputs))

        async def called(owner: ua.NodeId, *arguments: ua.Variant) -> Any:
            if (
                owner != parent and owner not in also_of
            ):  # a client that mixes up two objects must not start the wrong one
                return status(Codes.BadMethodInvalid)
            return await call(*arguments)

        self.server.aspace.add_method_callback(node, called)
        self.methods[node] = rank
        return node

    def _item(
        self,
        parent: ua.NodeId,
        identifier: str,
        name: str,
        attributes: Any,
        node_class: ua.NodeClass,
        doc: str,
        names_in: int | None = None,
    ) -> ua.AddNodesItem:
        attributes.DisplayName = ua.LocalizedText(name)
        attributes.Description = ua.LocalizedText(doc)
        item = ua.AddNodesItem()
        item.ParentNodeId = parent
        item.RequestedNewNodeId = ua.NodeId(ua.String(identifier), ua.Int16(self.namespace))
        item.BrowseName = ua.QualifiedName(name, self.namespace if names_in is None else names_in)
        item.NodeClass = node_class
        item.NodeAttributes = attributes
        return item

    def _refer(self, owner: ua.NodeId, method: ua.NodeId) -> None:
        """Show a method as a part of another object too."""
        item = ua.AddReferencesItem()
        item.SourceNodeId, item.TargetNodeId = owner, method
        item.ReferenceTypeId, item.IsForward = standard(ObjectIds.HasComponent), True
        item.TargetNodeClass = ua.NodeClass.Method
        self.server.node_mgt_service.add_references([item])[0].check()

    def _add(
        self, item: ua.AddNodesItem, reference: int, kind: ua.NodeId | None = None
    ) -> ua.NodeId:
        item.ReferenceTypeId = standard(reference)
        if kind is not None:
            item.TypeDefinition = kind
        self.server.node_mgt_service.add_nodes([item])[0].StatusCode.check()
        node: ua.NodeId = item.RequestedNewNodeId
        return node


def _variable(value: ua.Variant, data_type: ua.NodeId, writable: bool) -> Any:
    attributes: Any = ua.VariableAttributes()
    attributes.Value = value
    attributes.DataType = data_type
    dimensions: Any = value.Dimensions or ([0] if value.is_array else [])
    attributes.ValueRank = ua.ValueRank(len(dimensions)) if dimensions else ua.ValueRank.Scalar
    attributes.ArrayDimensions = dimensions or None
    attributes.AccessLevel = attributes.UserAccessLevel = READ_WRITE if writable else READ
    return attributes
