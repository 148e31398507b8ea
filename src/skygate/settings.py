"""Every setting, grouped, a sentence each: read by assembly and cli only.

A setting comes from the command line, else the environment (`SKYGATE__GROUP__FIELD`), else
`skygate.toml` in the working directory (or the file named by `SKYGATE_CONFIG`), else its default.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from skygate.errors import BadParameter, Where


def _web_address(text: str | None) -> str | None:
    """An absolute http or https URL without query and fragment; raises ValueError."""
    if text is None:
        return None
    parts = urlsplit(text)  # raises ValueError, too
    plain = text.isprintable() and not set(text) & set(' ?#"<>\\@')
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain or parts.port == 0:
        raise ValueError(
            f"{text[:100]!r} is no http:// or https:// URL without query and fragment, "
            "such as https://data.example.org/sky"
        )
    return text


def _proxies(text: str) -> str:
    """Addresses and networks, or `*`; raises ValueError."""
    for entry in (e.strip() for e in text.split(",")):
        if entry in ("", "*"):
            continue
        try:
            ip_network(entry, strict=False)
        except ValueError:
            raise ValueError(
                f"{entry[:60]!r} is no address and no network (such as 192.0.2.7 or 10.0.0.0/8), and not *"
            ) from None
    return text


class _Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Server(_Group):
    """How the service listens."""

    host: Annotated[str, Field(description="Address to listen on; loopback unless you say otherwise.")] = (
        "127.0.0.1"
    )
    port: Annotated[int, Field(ge=0, le=65535, description="Port to listen on; 0 picks a free one.")] = 8000
    workers: Annotated[int, Field(ge=1, le=512, description="Number of server processes.")] = 1
    base_url: Annotated[
        str | None,
        AfterValidator(_web_address),
        Field(
            description="The URL under which users reach the service, when a proxy stands before it; "
            "without it the request's own address is used, and forwarded headers only from trusted_proxies."
        ),
    ] = None
    trusted_proxies: Annotated[
        str,
        AfterValidator(_proxies),
        Field(
            description="Comma-separated addresses or networks whose X-Forwarded-* headers are believed; "
            "* for any."
        ),
    ] = "127.0.0.1"
    stop_seconds: Annotated[
        int, Field(ge=0, le=3600, description="How long running requests may finish after a stop signal.")
    ] = 15
    connections: Annotated[
        int,
        Field(
            ge=0,
            le=1_000_000,
            description="Connections held open at once in each process; beyond it the one that has asked "
            "nothing for longest is closed. 0, and at most: half of the files that the process may open.",
        ),
    ] = 0
    head_seconds: Annotated[
        float, Field(gt=0, le=3600, description="How long the head of a request may take to arrive.")
    ] = 20.0
    body_seconds: Annotated[
        float,
        Field(gt=0, le=86_400, description="How long the body of a request may pause while it arrives."),
    ] = 60.0
    stalled_seconds: Annotated[
        float,
        Field(
            gt=0,
            le=86_400,
            description="How long a client may take nothing of its answer before it is cut off.",
        ),
    ] = 300.0


class Queries(_Group):
    """What one query may use."""

    sync_seconds: Annotated[
        float, Field(gt=0, le=604_800, description="Longest run of a synchronous query.")
    ] = 60.0
    default_maxrec: Annotated[
        int,
        Field(ge=0, le=2**40, description="Rows of an answer when MAXREC is not given; beyond it: overflow."),
    ] = 1_000_000
    hard_maxrec: Annotated[
        int, Field(ge=1, le=2**40, description="Largest MAXREC; higher ones are clipped to it.")
    ] = 10_000_000
    running: Annotated[
        int,
        Field(
            ge=0, le=1024, description="Queries running at once in all processes; 0 means as many as cores."
        ),
    ] = 0
    waiting: Annotated[
        int, Field(ge=0, le=100_000, description="Queries that may wait for a place, in each process.")
    ] = 16
    wait_seconds: Annotated[
        float,
        Field(ge=0, le=3600, description="How long a query may wait for a place before 503 is answered."),
    ] = 10.0
    memory_gib: Annotated[
        float,
        Field(
            ge=0,
            le=65_536,
            description="Memory of the engine in GiB, in each process; 0: a third of the machine.",
        ),
    ] = 0.0
    spool_memory_mib: Annotated[
        int,
        Field(
            ge=1,
            le=1_048_576,
            description="Rows of one answer kept in memory before they go to a temporary file.",
        ),
    ] = 32
    spool_disk_gib: Annotated[
        float,
        Field(
            gt=0, le=1_048_576, description="Largest temporary file of one answer; beyond it the query fails."
        ),
    ] = 20.0
    spools_memory_mib: Annotated[
        int,
        Field(
            ge=1,
            le=1_048_576,
            description="Memory of all answers that wait for readers; beyond it: temporary files.",
        ),
    ] = 512
    spools_disk_gib: Annotated[
        float,
        Field(
            ge=0,
            le=1_048_576,
            description="Temporary files of all answers that wait for readers; beyond it queries are told "
            "503. 0: two fifths of what is free at the start.",
        ),
    ] = 0.0
    max_query_kib: Annotated[int, Field(ge=1, le=4096, description="Longest ADQL text.")] = 256

    @model_validator(mode="after")
    def _in_order(self) -> Queries:
        """Raise ValueError where the usual number of rows is set to more than anybody may ask for."""
        if "default_maxrec" in self.model_fields_set and self.default_maxrec > self.hard_maxrec:
            raise ValueError(
                f"default_maxrec, {self.default_maxrec}, is more than hard_maxrec, {self.hard_maxrec}"
            )
        return self


class Uploads(_Group):
    """What callers may send."""

    max_mib: Annotated[int, Field(ge=1, le=65_536, description="Largest request body.")] = 256
    all_mib: Annotated[
        int,
        Field(ge=1, le=1_048_576, description="All request bodies together, in each process; beyond it 503."),
    ] = 1024
    max_rows: Annotated[int, Field(ge=1, le=100_000_000, description="Most positions in one crossmatch.")] = (
        5_000_000
    )

    @model_validator(mode="after")
    def _one_fits(self) -> Uploads:
        if self.max_mib > self.all_mib:
            raise ValueError(f"max_mib, {self.max_mib}, is more than all_mib, {self.all_mib}")
        return self


class Caches(_Group):
    """What is made beside releases to answer faster; it can be deleted at any time."""

    build: Annotated[
        bool,
        Field(description="Whether a running server builds missing caches, in a process of low priority."),
    ] = True
    native: Annotated[
        bool,
        Field(
            description="Whether caches hold a DuckDB file of each table too, about as large as the release."
        ),
    ] = True
    pyramids: Annotated[
        bool,
        Field(
            description="Whether caches hold counts and sums in HEALPix cells too, a few bytes for each row."
        ),
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


def read_settings(*, root: Path | None = None) -> Settings:
    """The settings of this process (over `root`); raises `BadParameter` naming what is wrong, and where."""
    for variable in sorted(os.environ):
        path = variable.removeprefix("SKYGATE__").lower().split("__")
        if variable.startswith("SKYGATE__") and ".".join(path) not in set(_known()):
            raise _unknown(".".join(path), variable)
    try:
        return Settings() if root is None else Settings(root=root)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        variable = "SKYGATE__" + place.upper().replace(".", "__")
        where = variable if variable in os.environ else os.environ.get("SKYGATE_CONFIG") or "skygate.toml"
        if first["type"] == "extra_forbidden":
            raise _unknown(place, where) from None
        said = first["msg"].removeprefix("Value error, ")
        raise BadParameter(
            f"the setting {place} is wrong: {said}",
            hint="docs/reference/settings.md describes every setting",
            where=Where(name=where),
        ) from None


def _known() -> Iterator[str]:
    """Every setting, and every group, by its full name."""
    for name, field in Settings.model_fields.items():
        yield name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in field.annotation.model_fields)


def _unknown(name: str, where: str) -> BadParameter:
    near = get_close_matches(name, list(_known()), 1, 0.5)
    hint = f"did you mean {near[0]}?" if near else "docs/reference/settings.md describes every setting"
    return BadParameter(f"there is no setting {name[:80]}", hint=hint, where=Where(name=where))


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
