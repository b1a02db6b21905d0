"""The nodes that every OPC UA server has, made once for all the servers of a process.

The standard's 6,000 nodes take asyncua half a second for each server. Their values and references
are never changed, only exchanged for others, so servers may share them and differ in where they
keep them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import cast

from asyncua import ua
from asyncua.server.address_space import (
    AddressSpace,
    AttributeValue,
    NodeData,
    NodeManagementService,
)
from asyncua.server.internal_server import InternalServer
from asyncua.server.standard_address_space.standard_address_space import fill_address_space


class Inside(InternalServer):
    """A server's inside, whose standard nodes are copies."""

    async def load_standard_address_space(self, shelf_file: Path | None = None) -> None:
        """Copy them."""
        for node_id, node in _standard_nodes().items():
            self.aspace[node_id] = _copied(node)


@functools.cache
def _standard_nodes() -> dict[ua.NodeId, NodeData]:
    space, fill = AddressSpace(), cast(Callable[[NodeManagementService], None], fill_address_space)
    fill(NodeManagementService(space))
    node_ids: Iterable[ua.NodeId] = space.keys()
    return {node_id: space[node_id] for node_id in node_ids}


def _copied(node: NodeData) -> NodeData:
    copy = NodeData(node.nodeid)
    copy.attributes = {
        name: AttributeValue(attribute.value)
        for name, attribute in node.attributes.items()
        if attribute.value is not None
    }
    copy.references = list(node.references)
    return copy
