"""Queries written in words."""

import re

from google.cloud.firestore_v1.types import StructuredQuery

OPERATORS = {"==": "EQUAL", ">": "GREATER_THAN", "<=": "LESS_THAN_OR_EQUAL", "in": "IN", "contains": "ARRAY_CONTAINS"}


def query_in_words(words: str) -> StructuredQuery:
    """`[anywhere] collection conditions [by fields]`; a minus is descending."""
    found, _, ordered = words.partition(" by ")
    anywhere, group, conditions = re.fullmatch(r"(anywhere )?(\w+)(.*)", found).groups()  # type: ignore[union-attr]
    filters = [
        {"field_filter": {"field": {"field_path": path}, "op": OPERATORS[operator], "value": {"integer_value": 1}}}
        for path, operator in re.findall(r"([\w.]+) ?(==|>|<=|\bin\b|\bcontains\b)", conditions)
    ]
    order = [
        {
            "field": {"field_path": path.removesuffix("-")},
            "direction": "DESCENDING" if path.endswith("-") else "ASCENDING",
        }
        for path in ordered.split()
    ]
    where = {"composite_filter": {"op": "OR" if " or " in conditions else "AND", "filters": filters}}
    selector = {"collection_id": group, "all_descendants": bool(anywhere)}
    return StructuredQuery({"from_": [selector], "where": where if filters else None, "order_by": order})
