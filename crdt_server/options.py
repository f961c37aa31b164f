"""Settings as flags of commands: made from `Settings`, so there is one list of them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin

import click
from pydantic import ValidationError

from crdt_server.settings import Settings


def setting_options(*names: str) -> Callable[[Any], Any]:
    """Click options for settings; their defaults stay unset, so that environment and file are read."""

    def decorate(command: Any) -> Any:
        for name in reversed(names):
            field = Settings.model_fields[name]
            flag = "--" + name.replace("_", "-")
            default = field.get_default(call_default_factory=True)
            text = f"{field.description}.  [env: CRDT_SERVER_{name.upper()}; default: {default}]"
            if field.annotation is bool:
                option = click.option(flag, is_flag=True, default=None, help=text)
            elif get_origin(field.annotation) is Literal:
                option = click.option(flag, type=click.Choice(list(get_args(field.annotation))), help=text)
            else:
                option = click.option(flag, help=text, metavar=getattr(field.annotation, "__name__", "text").upper())
            command = option(command)
        return click.option("--config", type=click.Path(exists=True, dir_okay=False), help="TOML file with settings")(
            command
        )

    return decorate


def load_settings(config: str | None, flags: dict[str, Any]) -> Settings:
    """Settings from flags, environment and a file. Raises click.UsageError."""
    try:
        return Settings.load(config, **{name: value for name, value in flags.items() if value is not None})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{config} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise click.UsageError(f"{_flag_of(*first['loc'])}: {first['msg'].removeprefix('Value error, ')}") from error


def _flag_of(name: str | int, *parts: str | int) -> str:
    """The flag of a setting; of what is none, such as a misspelled key of the file, its name."""
    known = name in Settings.model_fields
    return "--" + str(name).replace("_", "-") if known else ".".join(map(str, (name, *parts)))
