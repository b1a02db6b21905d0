"""A client that speaks OPC UA by hand, and need not speak it well."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

from asyncua import ua
from asyncua.common.connection import MessageChunk, SecureConnection, TransportLimits
from asyncua.common.utils import Buffer
from asyncua.crypto.security_policies import SecurityPolicyNone
from asyncua.ua.ua_binary import (
    from_binary,
    nodeid_from_binary,
    struct_from_binary,
    struct_to_binary,
    uatcp_to_binary,
)

TIMEOUT_S = 10.0
Kind = ua.MessageType


class Raw:
    """One connection, with no security."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._connection = SecureConnection(SecurityPolicyNone(), TransportLimits())
        self.token = ua.NodeId()
        self._requests = 0

    @classmethod
    async def connect(cls, port: int, **hello: int) -> Raw:
        """Connect and say hello; keywords are the hello's sizes."""
        raw = cls(*await asyncio.open_connection("127.0.0.1", port))
        said = ua.Hello(ReceiveBufferSize=65535, SendBufferSize=65535)
        for name, value in hello.items():
            setattr(said, name, value)
        raw.writer.write(uatcp_to_binary(Kind.Hello, said))
        return raw

    async def open(self) -> None:
        """A channel and an anonymous session."""
        await self.channel()
        await self.session(ua.AnonymousIdentityToken("anonymous"))

    async def channel(self, certificate: bytes | None = None) -> None:
        """An open channel, for which `certificate` is shown all the same."""
        request = ua.OpenSecureChannelRequest()
        request.Parameters.SecurityMode = ua.MessageSecurityMode.None_
        request.Parameters.RequestedLifetime = 60_000
        await self.answer()
        policy = self._connection.security_policy
        (chunk,) = MessageChunk.message_to_chunks(
            policy, struct_to_binary(request), 65535, Kind.SecureOpen
        )
        chunk.SecurityHeader.SenderCertificate = certificate
        self._connection._sequence_number += 1
        chunk.SequenceHeader.SequenceNumber = self._connection._sequence_number
        self.writer.write(chunk.to_binary())
        answer = await self.answer()
        self._connection.security_token = answer.Parameters.SecurityToken

    async def session(self, identity: Any) -> Any:
        """A session for whoever this is; the answer to its activation."""
        create = ua.CreateSessionRequest()
        create.Parameters.RequestedSessionTimeout = 30_000.0
        made = await self.ask(create)
        self.token = made.Parameters.AuthenticationToken
        activate = ua.ActivateSessionRequest()
        activate.Parameters.UserIdentityToken = identity
        return await self.ask(activate)

    def send(self, body: bytes, kind: bytes = Kind.SecureMessage) -> None:
        """A request's bytes, cut into chunks as they must be."""
        self._requests += 1
        self.writer.write(self._connection.message_to_binary(body, kind, self._requests))

    async def ask(self, request: Any, kind: bytes = Kind.SecureMessage) -> Any:
        """The answer to a request."""
        request.RequestHeader.AuthenticationToken = self.token
        self.send(struct_to_binary(request), kind)
        return await self.answer()

    async def chunk(self) -> tuple[bytes, bytes, bytes]:
        """Type of message, type of chunk, and all that follows the header."""
        async with asyncio.timeout(TIMEOUT_S):
            head = await self.reader.readexactly(8)
            (size,) = struct.unpack("<I", head[4:])
            return head[:3], head[3:4], await self.reader.readexactly(size - 8)

    async def answer(self) -> Any:
        """The next message: an acknowledgement, an error, or a service's response."""
        body = b""
        while True:
            kind, part, content = await self.chunk()
            if kind == Kind.Acknowledge:
                return struct_from_binary(ua.Acknowledge, Buffer(content))
            if kind == Kind.Error:
                return struct_from_binary(ua.ErrorMessage, Buffer(content))
            if kind == Kind.SecureOpen:
                rest = Buffer(content[4:])
                struct_from_binary(ua.AsymmetricAlgorithmHeader, rest)
                content = rest.read(len(rest))
            else:
                content = content[8:]
            body += content[8:]
            if part != ua.ChunkType.Intermediate:
                break
        buffer = Buffer(body)
        kind_of = ua.extension_objects_by_typeid.get(nodeid_from_binary(buffer))
        return from_binary(kind_of or ua.ServiceFault, Buffer(body))

    def close(self) -> None:
        self.writer.close()
