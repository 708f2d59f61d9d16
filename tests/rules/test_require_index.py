"""The judgement itself: which query an index serves, and which it does not."""

import pytest

from tests.rules.indexes import IndexFile, QueryRefused, require_index
from tests.rules.worded import query_in_words

INDEXES = IndexFile(
    composites=[
        {
            "collectionGroup": "heads",
            "queryScope": "COLLECTION",
            "fields": [{"fieldPath": "lane", "order": "ASCENDING"}, {"fieldPath": "at", "order": "ASCENDING"}],
        },
        {
            "collectionGroup": "heads",
            "queryScope": "COLLECTION",
            "fields": [{"fieldPath": "kind", "order": "ASCENDING"}, {"fieldPath": "at", "order": "ASCENDING"}],
        },
        {
            "collectionGroup": "heads",
            "queryScope": "COLLECTION_GROUP",
            "fields": [{"fieldPath": "kind", "order": "ASCENDING"}, {"fieldPath": "at", "order": "DESCENDING"}],
        },
        {
            "collectionGroup": "heads",
            "queryScope": "COLLECTION",
            "fields": [{"fieldPath": "tags", "arrayConfig": "CONTAINS"}, {"fieldPath": "at", "order": "ASCENDING"}],
        },
    ],
    overrides=[
        {"collectionGroup": "heads", "fieldPath": "*", "indexes": []},
        {"collectionGroup": "heads", "fieldPath": "seq", "indexes": [{"order": "ASCENDING"}]},
        {"collectionGroup": "heads", "fieldPath": "facts.model", "indexes": [{"order": "ASCENDING"}]},
        {
            "collectionGroup": "heads",
            "fieldPath": "owner",
            "indexes": [{"order": "ASCENDING", "queryScope": "COLLECTION_GROUP"}],
        },
        {"collectionGroup": "plain", "fieldPath": "facts", "indexes": []},
    ],
)
SERVED = [
    "heads",
    "heads by __name__",
    "anywhere heads",
    "heads by seq",
    "heads seq>",
    "heads seq> by seq",
    "heads by seq __name__",
    "heads seq==",
    "plain a== by a-",
    "heads by lane at",
    "heads lane> by lane at",
    "heads facts.model==",
    "anywhere heads owner==",
    "heads lane== by at",
    "heads lane== by at __name__",
    "heads lane== at> at<=",
    "heads lane in by at",
    "heads lane== kind== by at",
    "anywhere heads kind== by at-",
    "plain by anything",
    "plain by anything-",
    "plain a== b==",
    "plain tags contains",
    "heads tags contains by at",
    "heads tags contains at>",
]
REFUSED = [
    "heads by __name__-",
    "heads by seq-",
    "heads by seq __name__-",
    "heads by lane",
    "heads lane==",
    "heads at>",
    "heads by at",
    "heads lane== by at-",
    "heads lane== by at __name__-",
    "heads lane== by seq",
    "heads lane== seq==",
    "heads lane> by at",
    "heads by at lane",
    "heads lane in by lane",
    "heads lane== kind== seq== by at",
    "heads tags== by at",
    "heads tags contains",
    "heads tags contains by seq",
    "heads tags contains lane==",
    "heads facts==",
    "heads owner==",
    "heads __name__==",
    "anywhere heads seq==",
    "anywhere heads kind== by at",
    "anywhere plain a==",
    "plain a== by b",
    "plain by a b",
    "plain facts.model==",
    "plain a== or b==",
]


@pytest.mark.parametrize("words", SERVED)
def test_a_query_with_its_index_is_served(words: str) -> None:
    require_index(query_in_words(words), INDEXES)


@pytest.mark.parametrize("words", REFUSED)
def test_a_query_without_its_index_is_refused(words: str) -> None:
    with pytest.raises(QueryRefused):
        require_index(query_in_words(words), INDEXES)
