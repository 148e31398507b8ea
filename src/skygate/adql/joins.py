"""Joins: which columns the sides share, and what a name means after the join.

Must not know: engines. NATURAL and USING become ON, so that no engine decides which columns are common.
"""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from skygate.adql.scope import Merged, Names, Out, Relation, Scope
from skygate.adql.types import common, shown
from skygate.adql.values import Values, bind


class Joins:
    """Builds the scope of FROM, join by join."""

    def __init__(self, names: Names, values: Values) -> None:
        self.names = names
        self.values = values

    def begin(self, scope: Scope) -> Scope:
        """The scope of one operand, before it is joined."""
        return scope

    def join(self, join: exp.Join, left: Scope, right: Scope, parent: Scope | None) -> Scope:
        """The scope of two joined operands; ON is checked in it, NATURAL and USING are written out."""
        both = Scope(
            parent, [*left.relations, *right.relations], {**left.merged, **right.merged}, clause="ON"
        )
        using = join.args.get("using")
        if join.args.get("method") == "NATURAL":
            self._merge(join, self._shared(join, left, right), left, right, both)
        elif using:
            self._merge(join, list(using), left, right, both)
        elif join.args.get("on") is not None:
            self.values.condition(join.args["on"], both)
        return both

    def finish(self, groups: list[Scope], scope: Scope) -> None:
        """Put what commas separate into one scope."""
        for group in groups:
            scope.relations.extend(group.relations)
            for name, merged in group.merged.items():
                if name in scope.merged:
                    del scope.merged[name]
                else:
                    scope.merged[name] = merged

    def _shared(self, join: exp.Join, left: Scope, right: Scope) -> list[exp.Identifier]:
        theirs = {out.name for relation in right.relations for out in relation.columns}
        shared: list[exp.Identifier] = []
        seen: set[str] = set()
        for relation in left.relations:
            for out in relation.columns:
                if out.name in theirs and out.name not in seen:
                    seen.add(out.name)
                    name = exp.Identifier(this=out.name, quoted=True)
                    name.meta["at"] = join.meta["at"]
                    shared.append(name)
        if not shared:
            self.names.fail("a NATURAL JOIN needs columns of the same name, and there are none", join)
        return shared

    def _merge(
        self, join: exp.Join, names: list[exp.Identifier], left: Scope, right: Scope, both: Scope
    ) -> None:
        side = join.args.get("side")
        tests: list[exp.Expr] = []
        for name in names:
            ours, theirs = self._side(name, left), self._side(name, right)
            column = common(ours.column, theirs.column)
            if column is None:
                self.names.fail(
                    f"`{name.this}` is {shown(ours.column)} on one side of the join and "
                    f"{shown(theirs.column)} on the other",
                    name,
                )
            tests.append(exp.EQ(this=_value(ours), expression=_value(theirs)))
            sides = {
                "RIGHT": theirs.sides,
                "FULL": [*ours.sides, *theirs.sides],
            }.get(str(side), ours.sides)
            for relation, out in (*ours.sides, *theirs.sides):
                relation.hidden.add(out.name)
            both.merged[ours.name.lower()] = Merged(ours.name, sides, replace(column, name=ours.name))
        join.set("on", exp.and_(*tests, copy=False) if len(tests) > 1 else tests[0])
        join.set("using", None)
        join.set("method", None)

    def _side(self, name: exp.Identifier, scope: Scope) -> Merged:
        node = exp.Column(this=exp.Identifier(this=name.this, quoted=name.args.get("quoted")))
        node.this.meta["at"] = node.meta["at"] = name.meta["at"]
        found = self.names.column(node, Scope(None, scope.relations, scope.merged))
        if isinstance(found, Merged):
            return found
        return Merged(found[1].name, [found], found[1].column)

    def star(self, item: exp.Star, scope: Scope) -> list[exp.Expr]:
        """The columns that `*` means: merged ones first, then those of each table in order."""
        columns: list[exp.Expr] = []
        for merged in scope.merged.values():
            name = exp.Identifier(this=merged.name, quoted=True)
            node = exp.Column(this=name)
            node.meta["at"] = name.meta["at"] = item.meta["at"]
            columns.append(node)
        for relation in scope.relations:
            columns.extend(
                self.star_column(item, relation, out)
                for out in relation.columns
                if out.name not in relation.hidden
            )
        return columns

    def star_column(self, item: exp.Expr, relation: Relation, out: Out) -> exp.Column:
        """One column of a star, already bound."""
        node = bind(exp.Column(), relation, out)
        node.meta["at"] = item.meta["at"]
        node.meta["bound"] = True
        return node


def _value(merged: Merged) -> exp.Expr:
    """What a merged column's value is made of."""
    columns: list[exp.Expr] = [bind(exp.Column(), relation, out) for relation, out in merged.sides]
    if len(columns) == 1:
        return columns[0]
    return exp.Coalesce(this=columns[0], expressions=columns[1:])
