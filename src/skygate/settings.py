"""Every setting, grouped, a sentence each: read by assembly and cli only.

A setting comes from the command line, else the environment (`SKYGATE__GROUP__FIELD`), else
`skygate.toml` in the working directory (or the file named by `SKYGATE_CONFIG`), else its default.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from skygate.errors import BadParameter, Where


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Group):
    """How the service listens."""

    host: Annotated[str, Field(description="Address to listen on; loopback unless you say otherwise.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 8000
    workers: Annotated[int, Field(ge=1, description="Number of server processes.")] = 1
    base_url: Annotated[
        str | None,
        Field(
            description="The URL under which users reach the service, when a proxy stands before it; "
            "without it the request's own address is used, and forwarded headers only from trusted_proxies."
        ),
    ] = None
    trusted_proxies: Annotated[
        str,
        Field(description="Comma-separated addresses whose X-Forwarded-* headers are believed."),
    ] = "127.0.0.1"
    stop_seconds: Annotated[
        int, Field(ge=0, description="How long running requests may finish after a stop signal.")
    ] = 20


class Queries(_Group):
    """What one query may use."""

    sync_seconds: Annotated[float, Field(gt=0, description="Longest run of a synchronous query.")] = 60.0
    default_maxrec: Annotated[
        int, Field(ge=0, description="Rows of an answer when MAXREC is not given; beyond it: overflow.")
    ] = 1_000_000
    hard_maxrec: Annotated[int, Field(ge=1, description="Largest MAXREC; higher ones are clipped to it.")] = (
        10_000_000
    )
    running: Annotated[
        int, Field(ge=0, description="Queries running at once in all processes; 0 means as many as cores.")
    ] = 0
    waiting: Annotated[
        int, Field(ge=0, description="Queries that may wait for a place, in each process.")
    ] = 16
    wait_seconds: Annotated[
        float, Field(ge=0, description="How long a query may wait for a place before 503 is answered.")
    ] = 10.0
    memory_gib: Annotated[
        float,
        Field(ge=0, description="Memory of the engine in GiB, in each process; 0: a third of the machine."),
    ] = 0.0
    spool_memory_mib: Annotated[
        int, Field(ge=1, description="Rows of one answer kept in memory before they go to a temporary file.")
    ] = 32
    spool_disk_gib: Annotated[
        float, Field(gt=0, description="Largest temporary file of one answer; beyond it the query fails.")
    ] = 20.0
    max_query_kib: Annotated[int, Field(ge=1, description="Longest ADQL text.")] = 256


class Uploads(_Group):
    """What callers may send."""

    max_mib: Annotated[int, Field(ge=1, description="Largest request body.")] = 256
    max_rows: Annotated[int, Field(ge=1, description="Most positions in one crossmatch.")] = 5_000_000


class Caches(_Group):
    """What is made beside releases to answer faster; it can be deleted at any time."""

    build: Annotated[
        bool,
        Field(description="Whether a running server builds missing caches, in a process of low priority."),
    ] = True


class Log(_Group):
    """What is said on standard error."""

    format: Annotated[
        Literal["auto", "json", "text"],
        Field(description="json: one object a line; text for people; auto: text on a terminal, else json."),
    ] = "auto"
    level: Annotated[
        Literal["debug", "info", "warning", "error"],
        Field(description="Least important level that is shown."),
    ] = "info"


def default_root() -> Path:
    """`$SKYGATE_ROOT`, else `./skygate-data`."""
    return Path(os.environ.get("SKYGATE_ROOT") or "skygate-data")


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        env_prefix="SKYGATE__", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    root: Annotated[
        Path, Field(description="The directory that holds releases ($SKYGATE_ROOT, else ./skygate-data).")
    ] = Field(default_factory=default_root)
    server: Server = Server()
    queries: Queries = Queries()
    uploads: Uploads = Uploads()
    caches: Caches = Caches()
    log: Log = Log()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, then environment, then skygate.toml."""
        return init_settings, env_settings, _of_file(settings_cls)


def _of_file(settings_cls: type[BaseSettings]) -> PydanticBaseSettingsSource:
    """The settings file, where there is one; raises `BadParameter` where it was named or cannot be read."""
    named = os.environ.get("SKYGATE_CONFIG")
    file = Path(named or "skygate.toml")
    if named and not file.is_file():
        raise BadParameter(f"there is no file {named}", where=Where(name="SKYGATE_CONFIG"))
    try:
        return TomlConfigSettingsSource(settings_cls, toml_file=file if file.is_file() else None)
    except (ValueError, OSError) as fault:  # no TOML, no UTF-8, no right to read it
        raise BadParameter(f"{file} cannot be read: {fault}", where=Where(name="SKYGATE_CONFIG")) from None
