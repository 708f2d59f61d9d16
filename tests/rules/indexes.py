"""Would Firestore serve a query under an index file? The emulator serves every query, so only this says no.

The rules are those of Standard edition (documentation: "Index types in Cloud Firestore", and `StructuredQuery.order_by`
for the order a query gets when it names none). A form of query not understood here is refused, never waved through.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from google.cloud.firestore_v1.types import StructuredQuery

INDEX_FILE = Path(__file__).parents[2] / "firestore.indexes.json"
NAME = "__name__"
ASCENDING = "ASCENDING"
DESCENDING = "DESCENDING"

EQUALITIES = {"EQUAL", "IN", "IS_NULL", "IS_NAN"}
RANGES = {"LESS_THAN", "LESS_THAN_OR_EQUAL", "GREATER_THAN", "GREATER_THAN_OR_EQUAL", "NOT_EQUAL"}

Field = tuple[str, str]
"""A field path and its direction. An array that is looked into is written with MEMBER, and counts as equal."""
MEMBER = "[]"


class QueryRefused(Exception):
    """No index serves the query, or it is of a form that is not judged."""


@dataclass(frozen=True)
class Shape:
    """What of a query decides which index it needs."""

    group: str
    scope: str
    equal: frozenset[str]
    order: tuple[Field, ...]
    """Complete: with the fields of ranges, and ending in the document's name."""


@dataclass(frozen=True)
class IndexFile:
    """`firestore.indexes.json`, as firebase-tools deploys it."""

    composites: Sequence[Mapping[str, Any]]
    overrides: Sequence[Mapping[str, Any]]

    def single(self, group: str, path: str) -> list[tuple[str, str]]:
        """Scope and direction of each index of one field: its own setting, else its map's, else `*`, else automatic."""
        settings = {o["fieldPath"]: o["indexes"] for o in self.overrides if o["collectionGroup"] == group}
        parts = path.removesuffix(MEMBER).split(".")
        for name in (*(".".join(parts[:length]) for length in range(len(parts), 0, -1)), "*"):
            if name in settings:
                kind = "arrayConfig" if path.endswith(MEMBER) else "order"
                return [
                    (index.get("queryScope", "COLLECTION"), index.get("order", ASCENDING))
                    for index in settings[name]
                    if kind in index
                ]
        return [("COLLECTION", ASCENDING), ("COLLECTION", DESCENDING)]

    def candidates(self, shape: Shape) -> Iterator[tuple[Field, ...]]:
        """Indexes of the query's collections and scope, each with the document's name that ends it."""
        for index in self.composites:
            # Not over text or vectors.
            known = all("order" in field or field.get("arrayConfig") == "CONTAINS" for field in index["fields"])
            if known and (index["collectionGroup"], index["queryScope"]) == (shape.group, shape.scope):
                yield _named([_indexed(field) for field in index["fields"]])
        for path in {*shape.equal, *(path for path, _ in shape.order)} - {NAME}:
            for scope, direction in self.single(shape.group, path):
                if scope == shape.scope:
                    yield _named([(path, direction)])


def load_index_file(path: Path = INDEX_FILE) -> IndexFile:
    """The repository's index file."""
    content = json.loads(path.read_text())
    return IndexFile(content["indexes"], content["fieldOverrides"])


def require_index(query: StructuredQuery, indexes: IndexFile) -> None:
    """Raise QueryRefused unless the query is served."""
    shape = shape_of(query)
    if not shape.equal and shape.order == ((NAME, ASCENDING),):
        return  # The order documents are stored in.
    # An index serves when its fields are some of the equal ones, in any order and direction, and then exactly the order
    # of the query. Several such indexes are merged to cover all equal fields.
    covered: set[str] = set()
    found = False
    for fields in indexes.candidates(shape):
        split = len(fields) - len(shape.order)
        prefix = {path for path, _ in fields[: max(split, 0)]}
        if split >= 0 and fields[split:] == shape.order and prefix <= shape.equal:
            found = True
            covered |= prefix
    if not found or covered != shape.equal:
        order = ", ".join(f"{path} {direction}" for path, direction in shape.order)
        raise QueryRefused(
            f"no {shape.scope} index on `{shape.group}` with {sorted(shape.equal) or 'nothing'} equal, by {order}"
        )


def shape_of(query: StructuredQuery) -> Shape:
    """Raise QueryRefused for a form of query that is not judged."""
    if len(query.from_) != 1 or not query.from_[0].collection_id or query.find_nearest:
        raise QueryRefused("not judged: a query over several collections, or by vectors")
    equal: set[str] = set()
    lists: set[str] = set()
    ranges: set[str] = set()
    for path, operator in _conditions(query.where):
        if operator in EQUALITIES:
            equal.add(path)
            lists |= {path} if operator == "IN" else set()
        elif operator == "ARRAY_CONTAINS":
            equal.add(path + MEMBER)
        elif operator in RANGES:
            ranges.add(path)
        else:
            raise QueryRefused(f"not judged: {operator} on `{path}`")
    named = [
        (order.field.field_path, order.direction.name.replace("DIRECTION_UNSPECIFIED", ASCENDING))
        for order in query.order_by
    ]
    if NAME in equal or equal & ranges or lists & {path for path, _ in named}:
        raise QueryRefused("not judged: equality on the name, or on a field that is also a range or an order")
    last = named[-1][1] if named else ASCENDING
    # An order on a field of which all results have the same value orders nothing.
    order = [field for field in named if field[0] not in equal]
    order += [(path, last) for path in sorted(ranges) if path not in dict(order)]
    if NAME not in dict(order):
        order.append((NAME, last))
    # Nothing is left to order after the name, which is unique.
    order = order[: [path for path, _ in order].index(NAME) + 1]
    scope = "COLLECTION_GROUP" if query.from_[0].all_descendants else "COLLECTION"
    return Shape(query.from_[0].collection_id, scope, frozenset(equal), tuple(order))


def _conditions(where: StructuredQuery.Filter) -> Iterator[tuple[str, str]]:
    if where.field_filter:
        yield where.field_filter.field.field_path, where.field_filter.op.name
    elif where.unary_filter:
        yield where.unary_filter.field.field_path, where.unary_filter.op.name
    elif where.composite_filter:
        if where.composite_filter.op != StructuredQuery.CompositeFilter.Operator.AND:
            raise QueryRefused("not judged: a disjunction")
        for part in where.composite_filter.filters:
            yield from _conditions(part)


def _indexed(field: Mapping[str, str]) -> Field:
    if "arrayConfig" in field:
        return field["fieldPath"] + MEMBER, ASCENDING
    return field["fieldPath"], field["order"]


def _named(fields: list[Field]) -> tuple[Field, ...]:
    return tuple(fields if fields[-1][0] == NAME else [*fields, (NAME, fields[-1][1])])
