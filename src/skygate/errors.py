"""Everything that can go wrong, arranged by who must act: the caller, the house, or a neighbour.

Must not know: HTTP, IVOA protocols, any library. A door turns `code` into its own accent.

    SkygateError
    ├── CallerError            the request cannot be served as it stands; its author can mend it
    │   ├── BadParameter       a parameter is missing, malformed or out of range
    │   ├── BadQuery           ADQL that cannot be understood, resolved or run (knows line and column)
    │   ├── BadRegion          a shape on the sky that is not one
    │   ├── BadRelease         release.toml or the files that it names cannot become a release
    │   ├── NotFound           no such release, table, column, version, page
    │   ├── NotAllowed         the principal may not do this
    │   ├── TooCostly          it would exceed, or has exceeded, a limit that the message names
    │   │   └── TooLarge       more was sent than is taken
    │   └── Cancelled          the caller (or an operator) stopped it
    ├── HouseError             our own fault: logged with an id, and the id shown
    │   └── BrokenRelease      data on disk do not match their manifest
    └── NeighbourError         something beside us is away or busy: try again after `retry_after_s`
        ├── Busy               every place for running and waiting queries is taken
        ├── EngineAway         an engine or store does not answer
        └── NoRoom             the disk for temporary files is full
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Where:
    """The place of a fault: a parameter or file, and for text the 1-based line and column.

    `token` is the offending piece of text; `start` and `end` are 0-based character offsets into
    the text (end exclusive), when known.
    """

    name: str | None = None
    line: int | None = None
    column: int | None = None
    token: str | None = None
    start: int | None = None
    end: int | None = None

    def __str__(self) -> str:
        parts = [self.name] if self.name else []
        if self.line is not None:
            parts.append(f"line {self.line}, column {self.column}")
        return ", ".join(parts)


class SkygateError(Exception):
    """The root. `message` says what is wrong, `hint` what to do, `where` the place."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None, where: Where | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        """One line for people: place, message, hint."""
        place = f"{self.where}: " if self.where and str(self.where) else ""
        return f"{place}{self.message}" + (f" ({self.hint})" if self.hint else "")


class CallerError(SkygateError):
    """The request cannot be served as it stands."""

    code = "caller_error"


class BadParameter(CallerError):
    """A parameter is missing, malformed or out of range; `where.name` is the parameter."""

    code = "bad_parameter"


class BadQuery(CallerError):
    """ADQL that cannot be understood, resolved or run. `suggestions` are the nearest names."""

    code = "bad_query"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        where: Where | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.suggestions = suggestions


class BadRegion(CallerError):
    """A shape on the sky that is not one (latitude beyond the poles, fewer than three corners …)."""

    code = "bad_region"


class BadRelease(CallerError):
    """release.toml, or a file that it names, cannot become a release."""

    code = "bad_release"


class NotFound(CallerError):
    """No such thing, or the caller may not know of it."""

    code = "not_found"


class NotAllowed(CallerError):
    """The principal may not do this."""

    code = "not_allowed"


class TooCostly(CallerError):
    """A limit would be, or has been, exceeded; the message names the limit."""

    code = "too_costly"


class TooLarge(TooCostly):
    """More was sent than is taken; the message names the limit."""

    code = "too_large"


class Cancelled(CallerError):
    """The caller (or an operator) stopped it."""

    code = "cancelled"


class HouseError(SkygateError):
    """Our own fault."""

    code = "house_error"


class BrokenRelease(HouseError):
    """Data on disk do not match their manifest, or cannot be read."""

    code = "broken_release"


class NeighbourError(SkygateError):
    """Something beside us is away or busy."""

    code = "neighbour_error"

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        where: Where | None = None,
        retry_after_s: int = 5,
    ) -> None:
        super().__init__(message, hint=hint, where=where)
        self.retry_after_s = retry_after_s


class Busy(NeighbourError):
    """Every place for running and waiting queries is taken."""

    code = "busy"


class EngineAway(NeighbourError):
    """An engine or store does not answer."""

    code = "engine_away"


class NoRoom(NeighbourError):
    """The disk on which answers wait to be sent is full, or takes no more."""

    code = "no_room"


def by_code() -> dict[str, type[SkygateError]]:
    """Every class of the tree by its code (a client rebuilds the class from the code)."""
    found: dict[str, type[SkygateError]] = {}
    todo: list[type[SkygateError]] = [SkygateError]
    while todo:
        cls = todo.pop()
        found[cls.code] = cls
        todo.extend(cls.__subclasses__())
    return found
