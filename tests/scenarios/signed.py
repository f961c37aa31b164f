"""A server that admits by tokens, and people with signed tokens on stock clients that keep every frame."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from documents import kind_of
from tests.scenarios.people import SECONDS, Client, Node, Who
from tests.support.server import ServerProcess
from tests.support.tokens import SECRET, token

_numbers = itertools.count()


class Person(NamedTuple):
    """Somebody and the claims of their token. Without a role the members of the wedding decide."""

    user: str
    role: str = ""
    vendor: str = ""
    guest: str = ""
    side: str = ""

    def token(self, wedding: str) -> str:
        whose = {name: value for name, value in self._asdict().items() if value and name != "user"}
        claims: dict[str, object] = {"role": None, "wedding": wedding if self.role else None, **whose}
        return token(sub=self.user, **claims)


class Guarded:
    """One wedding of a server without ``--dev``."""

    def __init__(self, server: ServerProcess, node: Node, wedding: str) -> None:
        self.server, self.node, self.wedding = server, node, wedding

    async def enter(self, person: Person, document: str) -> SignedClient:
        """A client that is synced, or was refused: see `SignedClient.closes`."""
        kind = kind_of(document)
        roots = {} if kind is None else {root: declared.shape.value for root, declared in kind.roots.items()}
        client = SignedClient(self.node, f"{person.user}/{document}/{next(_numbers)}", person, document)
        await self.node.call(
            "join",
            client=client.name,
            url=f"{self.server.ws_url}/{self.wedding}",
            room=document,
            params={"token": person.token(self.wedding)},
            clientID=None,
            roots=roots,
            record=True,
        )
        return client

    def http(self, person: Person) -> httpx.AsyncClient:
        """Requests of a person; paths are below the wedding."""
        return httpx.AsyncClient(
            base_url=f"{self.server.url}/api/weddings/{self.wedding}",
            headers={"Authorization": f"Bearer {person.token(self.wedding)}"},
            timeout=SECONDS,
            trust_env=False,
        )

    async def reverted(self, reader: Person, actor: Person) -> list[dict[str, Any]]:
        """The details of the audit log's entries about writes of somebody that were undone."""
        async with self.http(reader) as http:
            entries = (await http.get("/audit")).raise_for_status().json()["entries"]
        return [each["detail"] for each in entries if (each["actor"], each["action"]) == (actor.user, "write.reverted")]


class SignedClient(Client):
    """A client that keeps its frames."""

    def __init__(self, node: Node, name: str, person: Person, document: str) -> None:
        super().__init__(node, name, Who(person.user, person.role), document)

    async def closes(self) -> list[int]:
        """The codes with which the server has closed its sockets."""
        codes: list[int] = await self.run("return client.closes")
        return codes

    async def notices(self) -> list[str]:
        """The texts of the notices that came."""
        texts: list[str] = await self.run("return client.notices")
        return texts

    async def found(self, strings: Collection[bytes]) -> set[bytes]:
        """The strings that any frame from the server held."""
        hexadecimal = [each.hex() for each in strings]
        return {bytes.fromhex(each) for each in await self.node.call("found", client=self.name, strings=hexadecimal)}


def guarded_server(directory: Path) -> ServerProcess:
    """A server with a key for tokens, without limits on how often one address comes; not started yet."""
    secret = directory / "secret"
    secret.write_bytes(SECRET)
    flags = ["--jwt-secret-file", str(secret), "--role-limits", "none", "--document-hosts", "1"]
    unlimited = ("HANDSHAKES_PER_SECOND", "MAX_READS_PER_PERSON", "MAX_READS_PER_ADDRESS", "MAX_STRIKES")
    unlimited += ("REQUESTS_PER_SECOND", "REQUESTS_PER_ADDRESS")
    return ServerProcess(directory, flags=flags, env={f"CRDT_SERVER_{name}": "0" for name in unlimited}, dev=False)
