"""`skygate serve`: open the releases of a directory to people and programs."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Mapping
from errno import EADDRNOTAVAIL
from typing import Any

import click

from skygate import __version__
from skygate.cli import process
from skygate.errors import BadParameter, NotFound, Where

FACTORY = "skygate.cli.process:served"
CONNECTION = "skygate.cli.connections:Connection"
_BACKLOG = 2048
"""Connections that wait to be taken; all of them may be taken at once, so open files bound them too."""


@click.command()
@click.option("--root", type=click.Path(file_okay=False), help="Directory that holds the releases.")
@click.option("--host", help="Address to listen on [127.0.0.1].")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to listen on; 0 picks a free one [8000].")
@click.option("--workers", type=click.IntRange(1, 512), help="Number of server processes [1].")
@click.option("--base-url", help="URL under which users reach the service, when a proxy stands before it.")
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="Least important level shown.",
)
@click.option("--log-format", type=click.Choice(["auto", "json", "text"]), help="How log lines are written.")
def serve(**options: Any) -> None:
    """Serve the releases of a directory by HTTP until stopped (Ctrl-C, SIGTERM).

    Every option is also a setting: SKYGATE__SERVER__PORT=8080, or skygate.toml.
    """
    from skygate.doorway import logs
    from skygate.settings import read_settings

    os.environ.update(_as_environment(options))
    settings = read_settings()
    logs.set_up(settings.log.format, settings.log.level)
    _require_releases(settings)
    backlog = min(_BACKLOG, max(8, process.raise_file_limit() // 16))
    listener = listen(settings.server.host, settings.server.port, backlog=backlog)
    url = _url_of(listener, settings.server.host)
    click.echo(f"Skygate {__version__} serves {settings.root} at {url}/", err=True)
    if settings.server.base_url:
        click.echo(f"users reach it at {settings.server.base_url.rstrip('/')}/", err=True)
    _run(settings, listener, backlog)


def _as_environment(options: Mapping[str, Any]) -> dict[str, str]:
    """The options that were given, as the environment that every server process inherits."""
    groups = {"root": "", "log_level": "LOG__", "log_format": "LOG__"}
    return {
        f"SKYGATE__{groups.get(name, 'SERVER__')}{name.removeprefix('log_').upper()}": str(value)
        for name, value in options.items()
        if value is not None
    }


def _require_releases(settings: Any) -> None:
    """Raise `NotFound` when there is nothing to serve."""
    from skygate.stores.releases import FolderReleases

    if not settings.root.is_dir() or not FolderReleases(settings.root).names():
        raise NotFound(
            f"there is no release in {settings.root}",
            hint="publish one first: skygate publish RELEASE.toml --root DIRECTORY",
        )


def listen(host: str, port: int, *, backlog: int = _BACKLOG) -> socket.socket:
    """A bound socket; raises `BadParameter` when the address or port cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(backlog)
    except (OSError, UnicodeError) as fault:
        if (
            not isinstance(fault, OSError)
            or isinstance(fault, socket.gaierror)
            or fault.errno == EADDRNOTAVAIL
        ):
            raise BadParameter(
                f"cannot listen on {host}: {getattr(fault, 'strerror', None) or fault}",
                hint="give an address of this machine with --host, 0.0.0.0 for all of them",
                where=Where(name="host"),
            ) from None
        raise BadParameter(
            f"cannot listen on {host}, port {port}: {getattr(fault, 'strerror', None) or fault}",
            hint="choose another with --port (0 picks a free one), or stop what listens there",
            where=Where(name="port"),
        ) from None
    listener.set_inheritable(True)
    return listener


def _url_of(listener: socket.socket, host: str) -> str:
    """The URL of a listening socket."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listener.getsockname()[1]}"


def _run(settings: Any, listener: socket.socket, backlog: int) -> None:
    """Serve until a signal; running requests may finish within `stop_seconds`."""
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    config = uvicorn.Config(
        FACTORY,
        http=CONNECTION,
        loop="uvloop",
        factory=True,
        backlog=backlog,
        workers=settings.server.workers,
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        lifespan="on",
        ws="none",
        timeout_graceful_shutdown=settings.server.stop_seconds,
        timeout_keep_alive=30,
        timeout_worker_healthcheck=30,  # a busy machine is no reason to kill a process that loads libraries
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, process.leave)  # the server library raises the signal again once it has stopped
    if settings.server.workers > 1:
        Multiprocess(config, sockets=[listener]).run()
    else:
        uvicorn.Server(config).run(sockets=[listener])
