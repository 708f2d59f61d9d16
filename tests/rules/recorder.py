"""What our code asks of Firestore: the queries any client sends, and where in our source each was written.

Use the fixture `recorded_queries`, or `record_queries()` outside of this package.
"""

import ast
import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from unittest.mock import patch

from google.cloud.firestore_v1.async_client import AsyncClient
from google.cloud.firestore_v1.base_aggregation import BaseAggregationQuery
from google.cloud.firestore_v1.base_collection import BaseCollectionReference
from google.cloud.firestore_v1.base_query import BaseQuery
from google.cloud.firestore_v1.client import Client
from google.cloud.firestore_v1.services.firestore import FirestoreAsyncClient, FirestoreClient
from google.cloud.firestore_v1.types import RunAggregationQueryRequest, RunQueryRequest, StructuredQuery

REPOSITORY = Path(__file__).resolve().parents[2]
SOURCES = ("functions", "shared", "credence")
BUILDERS = {"where", "order_by", "collection_group", "sum"}
"""The calls that make a query need an index."""
UNJUDGED = {"find_nearest", "avg", "pipeline", "on_snapshot", "get_partitions"}
"""Calls whose indexes `tests/rules/indexes.py` does not judge, or whose requests are not recorded here."""


@dataclass(frozen=True, order=True)
class CallSite:
    """One call in our source. Its end names it, because the calls of a chain start at the same place."""

    path: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}"


@dataclass
class Recording:
    """What was seen."""

    queries: list[StructuredQuery] = field(default_factory=list)
    call_sites: set[CallSite] = field(default_factory=set)


@contextlib.contextmanager
def record_queries() -> Iterator[Recording]:
    """Record what every client of the process sends meanwhile. The calls go on to the server."""
    recording = Recording()
    with contextlib.ExitStack() as patches:
        for api in (FirestoreClient, FirestoreAsyncClient):
            _before(patches, api, "run_query", lambda request: recording.queries.append(_plain(request)))
            _before(patches, api, "run_aggregation_query", lambda request: recording.queries.append(_counted(request)))
        for owner, name in (
            (BaseQuery, "where"),
            (BaseQuery, "order_by"),
            (BaseCollectionReference, "where"),
            (BaseCollectionReference, "order_by"),
            (Client, "collection_group"),
            (AsyncClient, "collection_group"),
            (BaseAggregationQuery, "sum"),
            (BaseCollectionReference, "sum"),
            (BaseQuery, "sum"),
        ):
            _before(patches, owner, name, lambda _: recording.call_sites.add(_call_site(sys._getframe(2))))
        yield recording


def source_call_sites(names: set[str], roots: Sequence[Path] | None = None) -> set[CallSite]:
    """Every call `something.name(...)` in our deployed code.

    It sees calls, not what they are called on, so an unrelated method of the same name counts. It does not see a method
    passed on uncalled, `getattr`, or a query built by the keyword arguments of the SDK's classes.
    """
    sites = set()
    for root in roots or [REPOSITORY / name for name in SOURCES]:
        for path in root.rglob("*.py"):
            source = path.read_text()
            # Few files have any, and to read one as a tree takes long.
            for node in ast.walk(ast.parse(source)) if any(name in source for name in names) else ():
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                    sites.add(CallSite(_short(path), node.end_lineno or 0, node.end_col_offset or 0))
    return sites


def _before(patches: contextlib.ExitStack, owner: type, name: str, observe: Callable[[Any], object]) -> None:
    """Call `observe` with the first argument, then the method itself. Its frame's caller is the method's caller."""
    method = getattr(owner, name)

    def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        observe(args[0] if args else kwargs.get("request"))
        return method(self, *args, **kwargs)

    patches.enter_context(patch.object(owner, name, observed))


def _call_site(frame: FrameType) -> CallSite:
    _, line, _, column = list(frame.f_code.co_positions())[frame.f_lasti // 2]
    return CallSite(_short(Path(frame.f_code.co_filename)), line or 0, column or 0)


def _plain(request: Any) -> StructuredQuery:
    return RunQueryRequest(request).structured_query


def _counted(request: Any) -> StructuredQuery:
    # Counting needs what finding needs. A sum reads the index of its field, as an order by it would.
    aggregated = RunAggregationQueryRequest(request).structured_aggregation_query
    query = StructuredQuery(aggregated.structured_query)
    for aggregation in aggregated.aggregations:
        if field_path := aggregation.sum.field.field_path:
            query.order_by.append(StructuredQuery.Order({"field": {"field_path": field_path}}))
    return query


def _short(path: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(REPOSITORY)) if path.is_relative_to(REPOSITORY) else str(path)
