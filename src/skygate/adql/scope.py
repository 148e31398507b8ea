"""What names mean at one place of a query: relations, their columns, and the scopes around them.

Must not know: expressions, engines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from sqlglot import exp

from skygate.adql.names import did_you_mean, nearest
from skygate.adql.tokens import place
from skygate.adql.words import RESERVED
from skygate.domain.catalog import CELL_COLUMN, Catalog, Column, Table
from skygate.errors import BadQuery

_LONGEST_MESSAGE = 1_000
_REGULAR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")


def spelled(name: str) -> str:
    """A name as ADQL must write it: in double quotes where it is no regular identifier."""
    if _REGULAR.fullmatch(name) and name.upper() not in RESERVED:
        return name
    return '"' + name.replace('"', '""') + '"'


def same(identifier: exp.Identifier, name: str) -> bool:
    """Whether an identifier means this name: delimited ones with their case, others without."""
    if identifier.args.get("quoted"):
        return identifier.this == name
    return str(identifier.this).lower() == name.lower()


@dataclass(frozen=True, slots=True)
class Out:
    """A column that a relation offers: its ADQL name, its name in the rendered text, and what it is."""

    name: str
    sql: str
    column: Column
    table: Table | None = None
    """The catalogue's table, where the column comes straight from one."""


class Relation:
    """A table, sub-query or CTE in FROM, under its alias of the rendered text."""

    def __init__(self, name: exp.Identifier | Table, alias: str, columns: tuple[Out, ...]) -> None:
        self.name = name
        """The caller's alias, or the catalogue's table where none was given."""
        self.alias = alias
        self.columns = columns
        self._by_lower: dict[str, list[Out]] | None = None
        self.hidden: set[str] = set()
        """Names that a join merged into the left side's."""

    def find(self, wanted: exp.Identifier) -> list[Out]:
        """Columns that the identifier can mean; an exact spelling beats others."""
        if self._by_lower is None:
            self._by_lower = {}
            for out in self.columns:
                self._by_lower.setdefault(out.name.lower(), []).append(out)
        found = self._by_lower.get(str(wanted.this).lower(), [])
        if wanted.args.get("quoted"):
            return [o for o in found if o.name == wanted.this]
        if len(found) > 1:
            exact = [o for o in found if o.name == wanted.this]
            return exact if len(exact) == 1 else found
        return found

    def answers(self, qualifier: list[exp.Identifier]) -> bool:
        """Whether a qualifier (table, schema, catalogue …) names this relation."""
        if isinstance(self.name, Table):
            parts = (self.name.name, self.name.schema)
            return len(qualifier) <= 2 and all(same(q, p) for q, p in zip(qualifier, parts, strict=False))
        name = self.name
        if len(qualifier) != 1:
            return False
        if name.args.get("quoted"):
            wanted = qualifier[0]
            return wanted.this == name.this if wanted.args.get("quoted") else same(wanted, name.this)
        return same(exp.Identifier(this=name.this, quoted=False), str(qualifier[0].this))

    @property
    def shown(self) -> str:
        """Its name in messages."""
        return self.name.name if isinstance(self.name, Table) else str(self.name.this)


@dataclass(slots=True)
class Merged:
    """A column of USING or NATURAL: one name for the columns of both sides."""

    name: str
    sides: list[tuple[Relation, Out]]
    """Whose values make it, the first one that is not null."""
    column: Column


@dataclass(slots=True)
class Scope:
    """The relations of one SELECT, inside the scope of the query around it."""

    parent: Scope | None = None
    relations: list[Relation] = field(default_factory=list)
    merged: dict[str, Merged] = field(default_factory=dict)
    clause: str = "FROM"
    """The clause being read, for messages and for what may stand in it."""
    aggregated: bool = False
    """Whether an aggregate was found, so that the rows form groups."""
    inside: str | None = None
    """The aggregate or window function whose arguments are being read."""

    def visible(self) -> Iterator[str]:
        """Names of all columns, for suggestions."""
        for relation in self.relations:
            for out in relation.columns:
                yield out.name


class Names:
    """The catalogue's names, and names that are free in the rendered text."""

    def __init__(self, text: str, catalog: Catalog) -> None:
        self.text = text
        self.catalog = catalog
        self._aliases: set[str] = set()
        self._tables: dict[str, list[Table]] | None = None

    def fail(
        self,
        message: str,
        node: exp.Expr,
        *,
        hint: str | None = None,
        suggestions: tuple[str, ...] = (),
    ) -> NoReturn:
        """Refuse the query at a node."""
        span = node.meta.get("at")
        where = place(self.text, *span) if span else None
        said = message if len(message) <= _LONGEST_MESSAGE else message[:_LONGEST_MESSAGE] + "…"
        raise BadQuery(said, hint=hint, where=where, suggestions=suggestions)

    def free_alias(self, wanted: str) -> str:
        """An alias that no other relation of the whole query has, whatever the case."""
        wanted = wanted[:100]
        alias, n = wanted, 1
        while alias.lower() in self._aliases:
            n += 1
            alias = f"{wanted}_{n}"
        self._aliases.add(alias.lower())
        return alias

    def table(self, node: exp.Table) -> Table:
        """The table that a FROM names; raises `BadQuery` with the nearest names."""
        if self._tables is None:
            self._tables = {}
            for table in self.catalog.tables():
                self._tables.setdefault(table.name.lower(), []).append(table)
        parts = [p for p in (node.this, node.args.get("db"), node.args.get("catalog")) if p is not None]
        found = [t for t in self._tables.get(str(parts[0].this).lower(), []) if same(parts[0], t.name)]
        if len(parts) > 1:
            found = [t for t in found if same(parts[1], t.schema)]
        if len(parts) > 2:
            self.fail(f"no catalogue {parts[2].this}", parts[2], hint="tables are named schema.table")
        if len(found) == 1:
            return found[0]
        shown = ".".join(str(p.this) for p in reversed(parts))
        if len(found) > 1:
            names = tuple(sorted(f"{spelled(t.schema)}.{spelled(t.name)}" for t in found))
            self.fail(
                f"`{shown}` is the name of several tables",
                node,
                hint="write " + " or ".join(names),
                suggestions=names,
            )
        return self._no_table(shown, node, parts)

    def _no_table(self, shown: str, node: exp.Table, parts: list[exp.Identifier]) -> NoReturn:
        known: list[str] = []
        for table in self.catalog.tables():
            full = f"{spelled(table.schema)}.{spelled(table.name)}"
            known.append(full if len(parts) > 1 else spelled(table.name))
        near = nearest(shown, known)
        if not near and len(parts) == 1:
            near = nearest(shown, (f"{spelled(t.schema)}.{spelled(t.name)}" for t in self.catalog.tables()))
        hint = None
        if any(p.args.get("quoted") for p in parts) and any(n.lower() == shown.lower() for n in known):
            hint = "names in double quotes are case-sensitive"
        self.fail(f"no table `{shown}`{did_you_mean(near)}", node, hint=hint, suggestions=near)

    def column(self, node: exp.Column, scope: Scope) -> tuple[Relation, Out] | Merged:
        """What a column's name means, looking outwards scope by scope; raises `BadQuery`."""
        wanted = node.this
        if str(wanted.this).lower() == CELL_COLUMN:
            self.fail(f"no column `{wanted.this}`", wanted)
        qualifier = [p for p in (node.args.get("table"), node.args.get("db"), node.args.get("catalog")) if p]
        level: Scope | None = scope
        while level is not None:
            if qualifier:
                found = self._qualified(node, qualifier, level)
            else:
                found = self._bare(node, level)
            if found is not None:
                return found
            level = level.parent
        return self._no_column(node, scope)

    def _qualified(
        self, node: exp.Column, qualifier: list[exp.Identifier], scope: Scope
    ) -> tuple[Relation, Out] | None:
        named = [r for r in scope.relations if r.answers(qualifier)]
        if not named:
            return None
        if len(named) > 1:
            self.fail(
                f"`{qualifier[0].this}` is the name of several tables here",
                node,
                hint="give them names with AS",
            )
        found = named[0].find(node.this)
        if len(found) > 1:
            self.fail(f"`{node.this.this}` is the name of several columns of {named[0].shown}", node)
        if not found:
            near = nearest(str(node.this.this), (spelled(o.name) for o in named[0].columns))
            hint = None
            if node.this.args.get("quoted") and near and near[0].lower() == str(node.this.this).lower():
                hint = "names in double quotes are case-sensitive"
            self.fail(
                f"no column `{node.this.this}` in {named[0].shown}{did_you_mean(near)}",
                node.this,
                hint=hint,
                suggestions=near,
            )
        return named[0], found[0]

    def _bare(self, node: exp.Column, scope: Scope) -> tuple[Relation, Out] | Merged | None:
        wanted = node.this
        merged = scope.merged.get(str(wanted.this).lower())
        if merged is not None and same(wanted, merged.name):
            return merged
        found: list[tuple[Relation, Out]] = []
        for relation in scope.relations:
            found.extend((relation, out) for out in relation.find(wanted))
        if len(found) > 1:
            names = tuple(f"{spelled(r.shown)}.{spelled(o.name)}" for r, o in found)
            self.fail(
                f"`{wanted.this}` is the name of several columns here",
                node,
                hint="write " + " or ".join(dict.fromkeys(names)),
                suggestions=names,
            )
        return found[0] if found else None

    def _no_column(self, node: exp.Column, scope: Scope) -> NoReturn:
        wanted = str(node.this.this)
        if node.args.get("table") is not None:
            known = [spelled(r.shown) for r in _outwards(scope)]
            shown = ".".join(str(p.this) for p in reversed(_qualifier(node)))
            near = nearest(shown, known)
            self.fail(
                f"no table `{shown}` in FROM{did_you_mean(near)}",
                node,
                hint=None if near or not known else "here are " + ", ".join(sorted(set(known))[:8]),
                suggestions=near,
            )
        relations = _outwards(scope)
        near = nearest(wanted, (spelled(o.name) for r in relations for o in r.columns))
        where = f" in {relations[0].shown}" if len(relations) == 1 else ""
        hint = None
        if node.this.args.get("quoted") and near and near[0].lower() == wanted.lower():
            hint = "names in double quotes are case-sensitive"
        self.fail(f"no column `{wanted}`{where}{did_you_mean(near)}", node, hint=hint, suggestions=near)


def _qualifier(node: exp.Column) -> list[exp.Identifier]:
    return [p for p in (node.args.get("table"), node.args.get("db"), node.args.get("catalog")) if p]


def _outwards(scope: Scope) -> list[Relation]:
    found: list[Relation] = []
    level: Scope | None = scope
    while level is not None:
        found.extend(level.relations)
        level = level.parent
    return found
