"""The `skygate` command: one group of verbs a file, loaded only when called."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

from skygate import __version__
from skygate.cli.home import settle_home
from skygate.errors import CallerError, SkygateError

_VERBS: dict[str, str] = {
    "publish": "skygate.cli.publish:publish",
    "releases": "skygate.cli.releases:releases",
    "info": "skygate.cli.releases:info",
    "check": "skygate.cli.releases:check",
    "rollback": "skygate.cli.releases:rollback",
    "unpublish": "skygate.cli.releases:unpublish",
    "prune": "skygate.cli.releases:prune",
    "warm": "skygate.cli.warm:warm",
    "serve": "skygate.cli.serve:serve",
    "query": "skygate.cli.query:query",
}
"""Each verb and the function that performs it."""


class _Verbs(click.Group):
    """A group whose commands are imported when they are asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, in the order of the table."""
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the verb's module."""
        if cmd_name not in _VERBS:
            return None
        module, name = _VERBS[cmd_name].split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="skygate")
def verbs() -> None:
    """Turn a survey's catalogues into a release, and open it to astronomers."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a fault is one clear sentence on standard error, never a traceback.

    Exit status: 0 done, 1 our fault or a neighbour's, 2 the caller's mistake, 130 interrupted.
    """
    try:
        settle_home()
        status = verbs.main(args=list(arguments) if arguments is not None else None, standalone_mode=False)
        if isinstance(status, int) and status:  # click hands on the status with which a verb ended
            sys.exit(status)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as fault:
        fault.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)
    except SkygateError as fault:
        click.echo(f"skygate: {fault}", err=True)
        sys.exit(2 if isinstance(fault, CallerError) else 1)
    except OSError as fault:  # a full disk, a directory that may not be written
        place = f"{fault.filename}: " if fault.filename else ""
        click.echo(f"skygate: {place}{fault.strerror or fault}", err=True)
        sys.exit(1)
