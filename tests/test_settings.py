"""Settings: where they come from, and that every one is a flag."""

from pathlib import Path

import click
import pytest
from pydantic import ValidationError

from crdt_server.cli import cli
from crdt_server.options import load_settings
from crdt_server.settings import Settings


@pytest.fixture
def toml(tmp_path: Path) -> str:
    path = tmp_path / "crdt-server.toml"
    path.write_text('port = 1111\nhost = "0.0.0.0"\nmax_strikes = 3\n')
    return str(path)


def test_flags_stand_above_the_environment_above_the_file_above_defaults(
    toml: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRDT_SERVER_PORT", "2222")
    monkeypatch.setenv("CRDT_SERVER_HOST", "127.0.0.2")
    settings = Settings.load(toml, host="127.0.0.3")
    assert (settings.host, settings.port, settings.max_strikes) == ("127.0.0.3", 2222, 3)
    assert settings.ping_seconds == Settings.model_fields["ping_seconds"].default


def test_every_setting_is_a_flag_of_serve() -> None:
    flags = {parameter.name for parameter in cli.commands["serve"].params}
    assert flags == {*Settings.model_fields, "config"}


def test_every_setting_has_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = Settings.load()
    for name, value in defaults.model_dump().items():
        changed = {bool: "true", int: "7", float: "7.5"}.get(type(value), "debug" if name == "log_level" else None)
        texts = {"websocket_lane": "asgi", "database_synchronous": "EXTRA", "trusted_proxies": "10.0.0.0/8"}
        text = texts.get(name, changed or "text")
        monkeypatch.setenv(f"CRDT_SERVER_{name.upper()}", text)
    changed_settings = Settings.load().model_dump()
    assert [name for name, value in defaults.model_dump().items() if changed_settings[name] == value] == []


@pytest.mark.parametrize(
    "wrong",
    [
        *({"port": -1}, {"port": 65536}, {"ping_seconds": 0}, {"document_hosts": 0}, {"max_frame_bytes": 0}),
        *({"trusted_proxies": "10.0.0.0/33"}, {"trusted_proxies": "proxy.test"}),
        *({"websocket_lane": "slow"}, {"database_synchronous": "OFF"}, {"nothing": 1}, {"max_connections": -1}),
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Settings.load(**wrong)


def test_an_unknown_key_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "crdt-server.toml"
    path.write_text("prot = 1\n")
    with pytest.raises(ValidationError):
        Settings.load(str(path))


def test_what_is_wrong_is_named_as_its_flag_and_an_unknown_key_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(click.UsageError, match=r"^--trusted-proxies: 'proxy\.test' does not"):
        load_settings(None, {"trusted_proxies": "proxy.test"})
    path = tmp_path / "crdt-server.toml"
    path.write_text("my_port = 1\n")
    with pytest.raises(click.UsageError, match=r"^my_port: "):
        load_settings(str(path), {})
