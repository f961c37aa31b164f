"""The command line as a person meets it: help, exit codes, one line per error."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from crdt_server.access.keys import KeySet, secret_key
from crdt_server.access.tokens import Claims, TokenRules, TokenVerifier
from crdt_server.cli import cli, main
from crdt_server.files.opening import open_files
from crdt_server.services.attachments import AttachmentService, FileLimits
from crdt_server.settings import Settings
from storage import Append, DocumentKey, QuarantinedUpdate, StoredUpdate, open_storage
from tests.support.tokens import SECRET
from tests.support.wire import KILLER, KILLER_GROUND, Replica

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    returncode: int
    stdout: str
    stderr: str


class Run(Protocol):
    """A command in this process: quick."""

    def __call__(self, *arguments: str, **env: str) -> Done: ...


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str, **env: str) -> Done:
        monkeypatch.setattr(sys, "argv", ["crdt-server", *arguments])
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
        out, err = capsys.readouterr()
        return Done(code, out, err)

    return call


def start(*arguments: str) -> Done:
    """`python -m crdt_server` in a process of its own, for what sets up logging."""
    done = subprocess.run(
        [sys.executable, "-m", "crdt_server", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def fails_in_one_line(done: Done, code: int = 2) -> str:
    """Check the rule for errors; the line."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert "Traceback" not in lines[0]
    return lines[0]


def fill(path: Path, documents: dict[str, list[bytes]]) -> str:
    """A store with these updates in rows; its address."""

    async def write() -> None:
        storage = await open_storage(f"sqlite:///{path}", migrate=True)
        for name, updates in documents.items():
            key = DocumentKey("w", name)
            await storage.append([Append(key, n + 1, update) for n, update in enumerate(updates)])
        await storage.close()

    asyncio.run(write())
    return f"sqlite:///{path}"


def edits(count: int) -> list[bytes]:
    writer = Replica(1)
    return [writer.type("x") for _ in range(count)]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "wedding.db"


def test_the_help_names_every_command(run: Run) -> None:
    done = run("--help")
    assert done.returncode == 0
    assert all(name in done.stdout for name in ("serve", "migrate", "verify", "compact", "sample", "member"))


@pytest.mark.parametrize("command", sorted(cli.commands))
def test_the_help_of_a_command_says_what_every_flag_does(run: Run, command: str) -> None:
    done = run(command, "--help")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    for parameter in cli.commands[command].params:
        if parameter.param_type_name == "option":
            assert parameter.opts[0] in told
            is_setting = parameter.name in Settings.model_fields
            assert f"CRDT_SERVER_{str(parameter.name).upper()}" in told or not is_setting
    if command == "serve":
        assert all(str(field.description) in told for field in Settings.model_fields.values())


def test_the_version(run: Run) -> None:
    done = run("--version")
    assert done.returncode == 0
    assert "0.1" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        *(["nonsense"], ["serve", "--nonsense"], ["serve", "--dev", "--port", "abc"], ["verify", "w", "x", "y"]),
        *(["serve", "--dev", "--config", "/nowhere.toml"], ["serve", "--dev", "--websocket-lane", "slow"]),
        *(["serve", "--dev", "--max-connections", "-1"], ["serve", "--dev", "--jwt-max-age", "0"]),
        *(["serve", "--dev", "--probes-port", "65536"], ["token", "--wedding", "w"]),
        *(["migrate", "--database-url", "mysql://x/y"], ["verify", "--database-url", "sqlite:///nowhere/x.db"]),
        *(["compact", "--database-url", "sqlite:///nowhere/x.db"], ["migrate", "--database-url", "sqlite://"]),
        *(["sample"], ["sample", "a/b"], ["sample", "w", "--guests", "199"], ["sample", "w", "--seed", "x"]),
    ],
    ids=" ".join,
)
def test_wrong_use_is_one_line_and_exit_2(run: Run, arguments: list[str]) -> None:
    fails_in_one_line(run(*arguments))


@pytest.mark.parametrize("address", ["nonsense", "sqlite:////nowhere/x.db"])
def test_a_database_that_cannot_be_opened_is_one_line(address: str) -> None:
    fails_in_one_line(start("serve", "--dev", "--port", "0", "--database-url", address))


def test_without_dev_it_does_not_start_and_says_what_to_set(path: Path) -> None:
    line = fails_in_one_line(start("serve", "--database-url", f"sqlite:///{path}"))
    assert all(flag in line for flag in ("--jwt-secret-file", "--jwt-public-key", "--jwks-file", "--jwks-url", "--dev"))
    assert not path.exists()


@pytest.mark.parametrize("flag", ["--jwt-secret-file", "--jwt-public-key"])
def test_a_key_that_cannot_be_used_is_one_line(path: Path, flag: str) -> None:
    short = path.with_name("short")
    short.write_text("too short")
    assert flag in fails_in_one_line(start("serve", flag, str(short), "--database-url", f"sqlite:///{path}"))
    assert not path.exists()


class TestToken:
    """`crdt-server token`."""

    @pytest.fixture
    def secret(self, tmp_path: Path) -> str:
        file = tmp_path / "secret"
        file.write_bytes(SECRET + b"\n")
        return str(file)

    def test_it_prints_a_token(self, run: Run, secret: str) -> None:
        claims = ("--vendor", "v_1", "--guest", "g_1", "--side", "b", "--name", "Zoë")
        flags = ("--jwt-secret-file", secret, "--jwt-issuer", "issuer", "--jwt-audience", "audience", "--ttl", "60")
        done = run("token", "--wedding", "w", "--user", "ada", "--role", "family", *claims, *flags)
        assert (done.returncode, done.stderr) == (0, "")
        verifier = TokenVerifier(KeySet([secret_key(SECRET)]), TokenRules("issuer", "audience"), time.time)
        found = verifier.verify(done.stdout.rstrip("\n"), "w")
        assert isinstance(found, Claims)
        assert found[:1] + found[2:] == ("ada", "w", "family", "v_1", "g_1", "b", "Zoë", "", "")
        assert 50 < found.expires_at - time.time() <= 60

    @pytest.mark.parametrize(
        "flags",
        [
            *(["--role", "king"], ["--role", "couple", "--side", "c"], ["--role", "couple", "--ttl", "0"], []),
            *(["--role", "couple", "--ttl", "86500"], ["--role", "couple", "--user", "server"]),
            *(["--role", "couple", "--name", "a\nb"], ["--role", "couple", "--jwt-secret-file", "/nowhere"]),
        ],
        ids=" ".join,
    )
    def test_what_no_server_would_take_is_not_signed(self, run: Run, secret: str, flags: list[str]) -> None:
        done = run("token", "--wedding", "w", "--user", "ada", "--jwt-secret-file", secret, *flags)
        fails_in_one_line(done)
        assert done.stdout == ""

    def test_without_a_secret_it_says_what_to_set(self, run: Run) -> None:
        line = fails_in_one_line(run("token", "--wedding", "w", "--user", "ada", "--role", "couple"))
        assert "--jwt-secret-file" in line


def test_a_wrong_variable_is_one_line(run: Run) -> None:
    assert "port" in fails_in_one_line(run("serve", "--dev", CRDT_SERVER_PORT="x"))


@pytest.mark.parametrize("content", ["port = [", "prot = 1", "port = 'x'", "\\xff"])
def test_a_wrong_file_is_one_line(run: Run, tmp_path: Path, content: str) -> None:
    config = tmp_path / "settings.toml"
    config.write_text(content)
    fails_in_one_line(run("serve", "--dev", "--config", str(config)))


def test_an_address_that_is_taken_is_one_line(path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        # A machine that is busy makes the loop late while it starts, which is a warning.
        flags = ("--port", port, "--log-level", "error", "--database-url", f"sqlite:///{path}")
        line = fails_in_one_line(start("serve", "--dev", *flags))
    assert "in use" in line


def test_migrate_may_be_repeated(run: Run, path: Path) -> None:
    for _ in range(2):
        assert run("migrate", "--database-url", f"sqlite:///{path}").returncode == 0
    assert run("verify", "--database-url", f"sqlite:///{path}").returncode == 0


def test_verify_is_content_with_a_good_store(run: Run, path: Path) -> None:
    url = fill(path, {"notes.a": edits(30), "notes.b": edits(1), "notes.c": []})
    done = run("verify", CRDT_SERVER_DATABASE_URL=url)
    assert done.returncode == 0, done.stdout
    assert "2 documents, 0 problems" in done.stdout


def test_verify_names_what_is_wrong(run: Run, path: Path) -> None:
    first, _, third = edits(3)
    url = fill(
        path,
        {
            "notes.good": edits(3),
            "notes.gap": [first, third],
            "notes.killer": [*KILLER_GROUND, KILLER],
            "notes.damaged": edits(3),
            "notes.garbage": [b"no update"],
        },
    )
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            'UPDATE updates SET "update" = ? WHERE first_seq = 2 AND document_id = '
            "(SELECT id FROM documents WHERE name = 'notes.damaged')",
            (b"bits",),
        )
    done = run("verify", "w", "--database-url", url)
    assert done.returncode == 1
    for name in ("gap", "killer", "damaged", "garbage"):
        assert f"w/notes.{name}" in done.stdout
    assert "w/notes.good" not in done.stdout
    assert "5 documents, 3 problems" in done.stdout
    assert run("verify", "another", "--database-url", url).returncode == 0


def test_verify_lists_the_quarantine(run: Run, path: Path) -> None:
    url = fill(path, {})

    async def keep() -> None:
        storage = await open_storage(url)
        await storage.quarantine(
            QuarantinedUpdate(DocumentKey("w", "notes.a"), KILLER, "exit 70", "mallory", datetime.now(UTC))
        )
        await storage.close()

    asyncio.run(keep())
    done = run("verify", "--database-url", url)
    assert done.returncode == 0
    assert "w/notes.a: quarantined update 1 of 11 bytes" in done.stdout
    assert "mallory" in done.stdout


def test_compact_merges_and_says_so(run: Run, path: Path) -> None:
    url = fill(path, {"notes.a": edits(300), "notes.b": edits(1)})
    done = run("compact", "--database-url", url)
    assert done.returncode == 0, done.stderr
    assert "w/notes.a: 299 rows fewer" in done.stdout

    async def text() -> str:
        storage = await open_storage(url)
        stored = await storage.load(DocumentKey("w", "notes.a"))
        await storage.close()
        reader = Replica(9)
        for row in stored.updates:
            reader.receive(row.update)
        assert stored.head_seq == 300
        return str(reader)

    assert asyncio.run(text()) == "x" * 300
    assert run("verify", "--database-url", url).returncode == 0


def test_compact_leaves_what_is_corrupt_and_says_so(run: Run, path: Path) -> None:
    url = fill(path, {"notes.a": edits(30), "notes.b": edits(30)})
    with closing(sqlite3.connect(path)) as database, database:
        database.execute('UPDATE updates SET "update" = ? WHERE first_seq = 2 AND document_id = 1', (b"bits",))
    done = run("compact", "--database-url", url)
    assert done.returncode == 1
    assert "w/notes.a: left as it is" in done.stdout
    assert "w/notes.b: 29 rows fewer" in done.stdout


def test_sample_puts_one_wedding_in_and_never_over_another(run: Run, path: Path) -> None:
    url = f"sqlite:///{path}"
    assert run("sample", "w_1", "--guests", "200", "--seed", "7", "--database-url", url).returncode == 0
    verified = run("verify", "--database-url", url)
    audited, last = verified.stdout.splitlines()  # the log has its 24 members and two threads
    assert (verified.returncode, last) == (0, "8 documents, 0 problems")
    assert "audit log of 26 entries" in audited
    before = stored(url, "w_1")
    assert "w_1/" in fails_in_one_line(run("sample", "w_1", "--database-url", url), 1)
    assert stored(url, "w_1") == before
    assert run("sample", "w_2", "--guests", "200", "--seed", "7", "--database-url", url).returncode == 0
    assert stored(url, "w_2") == before


def stored(url: str, wedding: str) -> dict[str, list[StoredUpdate]]:
    """All that a store has of a wedding, by document."""

    async def read() -> dict[str, list[StoredUpdate]]:
        storage = await open_storage(url)
        rows = {key.document: (await storage.load(key)).updates async for key in storage.keys(wedding)}
        await storage.close()
        return rows

    return asyncio.run(read())


def test_members_of_a_wedding(run: Run, path: Path) -> None:
    def member(*arguments: str) -> Done:
        return run("member", *arguments, "--database-url", f"sqlite:///{path}")

    assert member("add", "w", "u_aroha", "couple", "--name", "Aroha").returncode == 0
    assert member("add", "w", "u_flo", "vendor", "--vendor", "v_flo").returncode == 0
    assert member("list", "w").stdout == "u_aroha\tcouple\tAroha\nu_flo\tvendor\tv_flo\n"
    assert member("role", "w", "u_flo", "guest", "--guest", "g_1").returncode == 0
    assert member("list", "w").stdout == "u_aroha\tcouple\tAroha\nu_flo\tguest\tg_1\n"
    assert member("remove", "w", "u_flo").returncode == 0
    invited = member("invite", "w", "family", "--side", "a")
    assert (invited.returncode, len(invited.stdout.strip())) == (0, 19)
    assert "no such member" in fails_in_one_line(member("remove", "w", "u_flo"), 1)
    assert "needs a guest" in fails_in_one_line(member("add", "w", "u_1", "guest"), 1)
    assert "nobody else may do everything" in fails_in_one_line(member("remove", "w", "u_aroha"), 1)
    assert "no name of a wedding" in fails_in_one_line(member("list", "w/1"))
    assert "is not one of" in fails_in_one_line(member("add", "w", "u_1", "florist"))


def test_verify_names_the_entry_of_the_audit_log_that_was_altered(run: Run, path: Path) -> None:
    address = f"sqlite:///{path}"
    for number in range(3):
        assert run("member", "add", "w", f"u_{number}", "planner", "--database-url", address).returncode == 0
    done = run("verify", "--database-url", address)
    assert (done.returncode, "w: audit log of 3 entries, the newest " in done.stdout) == (0, True), done.stdout
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE audit SET actor = 'u_nobody' WHERE seq = 2")
    done = run("verify", "w", "--database-url", address)
    assert (done.returncode, "w: entry 2 of the audit log was altered" in done.stdout) == (1, True), done.stdout


def test_verify_names_attachments_without_their_files(run: Run, path: Path) -> None:
    address, folder = f"sqlite:///{path}", path.parent / "elsewhere"

    async def keep() -> None:
        storage = await open_storage(address, migrate=True)
        limits = FileLimits(1 << 20, 0)
        service = AttachmentService(storage, open_files(str(folder), ""), lambda: datetime.now(UTC), limits)
        for content in (b"a", b"b"):
            received = service.receive()
            await received.add(content)
            await service.keep("w", "thread.t", "ada", "a.txt", received)
        await storage.close()

    asyncio.run(keep())
    flags = ("verify", "--database-url", address, "--files", str(folder))
    assert run(*flags).returncode == 0
    lost = min((folder / "weddings" / "w").iterdir())
    lost.unlink()
    done = run(*flags)
    assert (done.returncode, done.stdout.count("has no file")) == (1, 1), done.stdout
    assert f"has no file {lost.name}" in done.stdout
    assert run(*flags[:-1], "gs://bucket").returncode == 2
