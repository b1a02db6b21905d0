"""Who gets in to the OPC UA server, what each may do there, and what the audit log says of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import Client, ua
from scada_line import Desk, press_line, server_of, serving
from scada_people import PASSWORDS, TIMEOUT_S, Laptop, staff
from scada_raw import Raw

from cellrt.audit import Deed
from cellrt.opcua.access import MISSES_S, Access, Denied
from cellrt.opcua.users import Rank
from cellrt.scan.commands import Operation

pytestmark = pytest.mark.asyncio(loop_scope="module")

Boolean, Int32, Int64 = ua.VariantType.Boolean, ua.VariantType.Int32, ua.VariantType.Int64
DENIED = "BadUserAccessDenied"


class House:
    """A server with its staff, a trusted laptop, and what the audit log was told."""

    def __init__(self, desk: Desk, access: Access, laptop: Laptop, deeds: list[Deed]) -> None:
        self.desk, self.access, self.laptop, self.deeds = desk, access, laptop, deeds

    async def client(self, user: str = "", password: str = "") -> Client:
        return await self.laptop.client(self.desk.server.port, user, password)

    def at(self, client: Client) -> Desk:
        """The same line as another client has it."""
        return Desk(self.desk.server, self.desk.scan, client)

    def last(self, event: str) -> Deed:
        return [deed for deed in self.deeds if deed.event == event][-1]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    folder = tmp_path_factory.mktemp("opcua")
    deeds: list[Deed] = []
    access = staff(Access(folder / "line", note=deeds.append))
    laptop = Laptop.make(folder / "laptop")
    access.certificates.trust(str(laptop.folder / "client.der"))
    async with serving(press_line(), access=access) as desk:
        yield House(desk, access, laptop, deeds)


@pytest_asyncio.fixture(loop_scope="module")
async def house(standing: House) -> AsyncIterator[House]:
    standing.desk.scan.asked.clear()
    standing.deeds.clear()
    yield standing


# Coming in


async def test_server_offers_an_open_channel_to_the_nameless_and_encrypted_ones_to_users(
    house: House,
) -> None:
    offered = await house.desk.client.get_endpoints()
    kinds = {
        (e.SecurityMode, tuple(sorted(t.TokenType.name for t in e.UserIdentityTokens)))
        for e in offered
    }
    modes = ua.MessageSecurityMode
    assert kinds == {
        (modes.None_, ("Anonymous",)),
        (modes.SignAndEncrypt, ("Anonymous", "UserName")),
    }
    assert len(offered) == 4


@pytest.mark.parametrize("name", list(PASSWORDS))
async def test_user_with_password_and_trusted_certificate_comes_in(house: House, name: str) -> None:
    async with await house.client(name) as client:
        assert await house.at(client).value("press.attempts") == 3
        (host, port) = client.uaclient.protocol.transport.get_extra_info("sockname")
    rank = PASSWORDS[name][0].word
    assert house.last("Login") == Deed("Login", True, f"{host}:{port}", name, rank)
    assert house.last("Logout").user == name


@pytest.mark.parametrize(
    ("user", "password"),
    [("emma", "turn a scre"), ("eva", "turn a screw"), ("admin", "open sesame")],
)
async def test_wrong_password_or_name_refused_and_told(
    house: House, user: str, password: str
) -> None:
    with pytest.raises(ua.uaerrors.BadUserAccessDenied):
        await (await house.client(user, password)).connect()
    deed = house.last("Login")
    assert (deed.accepted, deed.user, deed.rank) == (False, user, "")
    assert deed.reason == "no such user, or a wrong password"
    assert password not in str(house.deeds)


async def test_untrusted_certificate_refused_told_and_put_aside_trusted_it_comes_in(
    house: House, tmp_path: Path
) -> None:
    stranger = Laptop.make(tmp_path, "stranger")
    client = await stranger.client(house.desk.server.port, "emma")
    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        await client.connect()
    (known,) = house.access.certificates.listed(house.access.certificates.rejected)
    assert known.subject == "CN=stranger"
    assert f"{known.thumbprint} is not trusted" in house.last("Login").reason
    house.access.certificates.trust(known.thumbprint[:8])
    async with await stranger.client(house.desk.server.port, "emma"):
        pass
    house.access.certificates.distrust(known.thumbprint[:8])
    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        await (await stranger.client(house.desk.server.port, "emma")).connect()


async def test_untrusted_channel_shows_somebody_elses_certificate_refused(
    house: House, tmp_path: Path
) -> None:
    """A certificate is public: what counts is the one whose key opened the channel."""
    stranger = Laptop.make(tmp_path, "stranger")
    client = await stranger.client(house.desk.server.port, "emma")
    await client.connect_sessionless()
    shown = ua.CreateSessionParameters(
        ClientCertificate=house.laptop.der,
        ClientNonce=bytes(32),
        EndpointUrl=client.server_url.geturl(),
    )
    made = await client.uaclient.create_session(shown)
    signature = client.security_policy.asymmetric_cryptography.signature(
        made.ServerCertificate + made.ServerNonce
    )
    token = ua.UserNameIdentityToken("username", "emma", PASSWORDS["emma"][1].encode(), "")
    request = ua.ActivateSessionParameters(UserIdentityToken=token)
    request.ClientSignature.Signature = signature
    with pytest.raises(ua.uaerrors.BadCertificateUntrusted):
        await client.uaclient.activate_session(request)
    client.disconnect_socket()
    assert "is not trusted" in house.last("Login").reason


async def test_nameless_client_shows_its_certificate_over_an_open_channel_it_may_look(
    house: House, tmp_path: Path
) -> None:
    """As many clients do: it proves nothing there, and takes nothing away."""
    client = Client(f"opc.tcp://127.0.0.1:{house.desk.server.port}", timeout=TIMEOUT_S)
    client.security_policy.host_certificate = Laptop.make(tmp_path, "stranger").der
    async with client:
        assert await house.at(client).value("press.attempts") == 3


async def test_certificate_that_has_run_out_refused(house: House, tmp_path: Path) -> None:
    old = Laptop.make(tmp_path, "old", since_days=20)
    house.access.certificates.trust(str(tmp_path / "client.der"))
    with pytest.raises(ua.uaerrors.UaStatusCodeError):
        await (await old.client(house.desk.server.port, "emma")).connect()
    assert "not valid now" in house.last("Login").reason


@pytest.mark.parametrize("shown", [False, True])
async def test_password_over_an_open_channel_refused_unheard(house: House, shown: bool) -> None:
    """Even with a trusted certificate in its hand, which it has from anywhere."""
    raw = await Raw.connect(house.desk.server.port)
    await raw.channel(house.laptop.der if shown else None)
    token = ua.UserNameIdentityToken("username", "emma", PASSWORDS["emma"][1].encode(), "")
    answer = await raw.session(token)
    raw.close()
    assert answer.ResponseHeader.ServiceResult.name == "BadSecurityPolicyRejected"
    assert house.last("Login").reason == "gives a password over an open channel"


async def test_many_wrong_passwords_none_is_looked_at_for_a_while(tmp_path: Path) -> None:
    now_s = 100.0
    access = staff(Access(tmp_path, clock=lambda: now_s))
    for _ in range(5):
        with pytest.raises(Denied, match="UA Service Error"):
            access.admit("emma", "guess", b"laptop")
    with pytest.raises(Denied) as denied:
        access.admit("emma", PASSWORDS["emma"][1], b"laptop")
    assert denied.value.reason == "too many wrong passwords; wait a minute"
    assert access.admit("emma", PASSWORDS["emma"][1], b"another").name == "emma"
    now_s += MISSES_S
    assert access.admit("emma", PASSWORDS["emma"][1], b"laptop").name == "emma"


async def test_session_of_another_certificate_cannot_be_taken_over(house: House) -> None:
    async with await house.client("emma") as client:
        thief = Client(f"opc.tcp://127.0.0.1:{house.desk.server.port}", timeout=TIMEOUT_S)
        await thief.connect_sessionless()
        thief.uaclient.protocol.authentication_token = client.uaclient.protocol.authentication_token
        with pytest.raises(ua.uaerrors.BadSecurityChecksFailed):
            await thief.activate_session()
        thief.disconnect_socket()
        assert await house.at(client).write("press.attempts", 4, Int64) == "Good"


async def test_nobody_may_come_nameless_open_channels_and_anonymous_are_refused(
    house: House, tmp_path: Path
) -> None:
    access = staff(Access(tmp_path / "line", anonymous=None))
    access.certificates.trust(str(house.laptop.folder / "client.der"))
    server, _ = server_of(press_line(), access)
    await server.start()
    try:
        with pytest.raises(ua.UaError):
            await Client(f"opc.tcp://127.0.0.1:{server.port}", timeout=TIMEOUT_S).connect()
        with pytest.raises(ua.UaError):
            await (await house.laptop.client(server.port)).connect()
        async with await house.laptop.client(server.port, "vera") as client:
            modes = {e.SecurityMode for e in await client.get_endpoints()}
        assert modes == {ua.MessageSecurityMode.SignAndEncrypt}
    finally:
        await server.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "plc"])
async def test_nameless_clients_from_elsewhere_are_refused_at_the_start(
    tmp_path: Path, host: str
) -> None:
    with pytest.raises(ValueError, match=r"can be reached from elsewhere"):
        Access(tmp_path, host=host)
    Access(tmp_path, anonymous=None, host=host)


# What each may do


@pytest.mark.parametrize("name", [*PASSWORDS, ""])
async def test_write_and_call_by_rank_and_every_one_is_told(house: House, name: str) -> None:
    rank = PASSWORDS[name][0] if name else Rank.VIEWER
    async with await house.client(name) as client:
        desk = house.at(client)
        operator = "Good" if rank >= Rank.OPERATOR else DENIED
        engineer = "Good" if rank >= Rank.ENGINEER else DENIED
        number = ua.Variant(2, Int32)
        answers = [
            await desk.call("press", "Start"),
            await desk.call("press", "SetUnitMode", number),
            await desk.write("press.PackML.Command.CntrlCmd", 4, Int32),
            await desk.write("press.PackML.Command.CmdChangeRequest", True, Boolean),
            await desk.write("press.attempts", 5, Int64),
        ]
        assert answers == [*[operator] * 4, engineer]
        await desk.write("press.PackML.Command.CmdChangeRequest", False, Boolean)
    asked = [operation for operation, *_ in house.desk.scan.asked]
    wanted = [Operation.PACKML, Operation.MODE, Operation.PACKML, Operation.PARAMETER]
    assert asked == wanted[: 0 if rank is Rank.VIEWER else 3 + (rank is Rank.ENGINEER)]
    told = [d for d in house.deeds if d.event in ("Write", "Call")][:5]
    assert [d.accepted for d in told] == [answer == "Good" for answer in answers]
    assert {(d.user, d.rank) for d in told} == {(name or "anonymous", rank.word)}
    assert told[4].subject == "press.attempts"
    assert told[4].value == "5"
    if rank < Rank.ENGINEER:
        assert told[4].reason == "needs the rank of engineer"


async def test_access_level_and_executable_are_as_each_user_has_them(house: House) -> None:
    for name, (rank, _) in PASSWORDS.items():
        async with await house.client(name) as client:
            desk = house.at(client)
            writable = ua.AccessLevel.CurrentWrite
            levels = await desk.node("press.attempts").get_user_access_level()
            assert (writable in levels) == (rank >= Rank.ENGINEER)
            levels = await desk.node("press.PackML.Command.CntrlCmd").get_user_access_level()
            assert (writable in levels) == (rank >= Rank.OPERATOR)
            start = desk.node("press.PackML.Start")
            executable = await start.read_attribute(ua.AttributeIds.UserExecutable)
            assert executable.Value.Value == (rank >= Rank.OPERATOR)


async def test_rank_taken_away_while_connected_holds_at_once(house: House) -> None:
    rank, password = PASSWORDS["emma"]
    async with await house.client("emma") as client:
        desk = house.at(client)
        assert await desk.write("press.attempts", 5, Int64) == "Good"
        house.access.users.add("emma", Rank.OPERATOR, password)
        assert await desk.write("press.attempts", 6, Int64) == DENIED
        house.access.users.remove("emma")
        with pytest.raises(ua.uaerrors.BadUserAccessDenied):
            await desk.value("press.attempts")
        house.access.users.add("emma", rank, password)


async def test_method_of_the_standard_cannot_be_called(house: House) -> None:
    server = house.desk.client.nodes.server
    request = ua.CallMethodRequest(server.nodeid, ua.NodeId(ua.ObjectIds.Server_GetMonitoredItems))
    (result,) = await house.desk.client.uaclient.session.call([request])
    assert result.StatusCode.name == "BadMethodInvalid"
    assert not house.last("Call").accepted


# What is kept


async def test_key_and_passwords_are_for_their_owner_alone(house: House) -> None:
    folder = house.access.folder
    for name in ("server_key.pem", "users.json"):
        assert os.stat(folder / name).st_mode & 0o077 == 0
    text = (folder / "users.json").read_text()
    assert not any(password in text for _, password in PASSWORDS.values())


async def test_own_certificate_is_kept_and_renewed_when_it_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificates = Access(tmp_path).certificates
    first, key = certificates.own("urn:cellrt:line", "127.0.0.1")
    assert key.public_key() == first.public_key()
    assert certificates.own("urn:cellrt:line", "127.0.0.1")[0] == first
    assert certificates.own("urn:cellrt:other", "127.0.0.1")[0] != first
    monkeypatch.setattr("cellrt.opcua.certificates.VALID_DAYS", 20)
    (tmp_path / "server_key.pem").write_text("damaged")
    short = certificates.own("urn:cellrt:line", "127.0.0.1")[0]
    assert certificates.own("urn:cellrt:line", "127.0.0.1")[0] != short
