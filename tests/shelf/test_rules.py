"""Which key is next, how much of a quota is taken at once, and what that comes to over many calls."""

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.base.economy import HOLD_LIFETIME_MS
from shared.base.ids import UserId
from shared.catalog.models import Route
from shared.providers.errors import Fault
from shared.resources.models import KEY_FACT, ContributedKey, KeyId, KeyStatus
from shared.routing import breaker
from shared.routing.models import NO_PREFERENCE, Preference, Sort
from shared.shelf import rules
from shared.shelf.loan import Loan
from shared.shelf.models import LEASE_FACT, Lease, LeaseId, OpenLease, Shelved, Stand, Version
from tests.ledger.builders import NOW
from tests.shelf.builders import HOST, key_of

QUOTA = 1_000_000


def stand_of(key: ContributedKey, *, owner_keys: int = 1, seed: int = 0, index: int = 0) -> Stand:
    shelved = Shelved(key, Version(1))
    weight = rules.weight_of(shelved, rules.PPM, owner_keys)
    return Stand(shelved, rules.first_turn(weight, seed, index), weight)


def lease_of(amount_micros: int = 1_000, **fields: int) -> Lease:
    lease = rules.lease_of(
        Shelved(key_of(quota_micros=amount_micros), Version(1)), LeaseId("lse_1"), amount_micros, at_ms=NOW
    )
    assert lease is not None
    return replace(lease, **fields)


def choices(stands: list[Stand], calls: int, *, needed_micros: int = 1, owner: str | None = None) -> list[str]:
    """The keys that serve so many calls, one after another."""
    served = []
    for _ in range(calls):
        stand = rules.chosen(
            stands,
            needed_micros,
            now_ms=0,
            wall_ms=NOW,
            payers={UserId(owner)} if owner else frozenset[UserId](),
            left_out=frozenset(),
        )
        assert stand is not None
        stand.turn += rules.turn_of(stand.weight)
        served.append(stand.id)
    return served


@given(st.lists(st.integers(50_000, 1_000_000), min_size=1, max_size=6), st.integers(0, 2**32))
def test_each_key_serves_in_proportion_to_its_weight(trusts: list[int], seed: int) -> None:
    """Smoothly: at no moment is any key more than two calls from its share."""
    stands = [
        stand_of(key_of(f"key{index}", owner=f"owner{index}", trust_ppm=trust), seed=seed, index=index)
        for index, trust in enumerate(trusts)
    ]
    whole = sum(stand.weight for stand in stands)
    served: Counter[str] = Counter()

    for number, key_id in enumerate(choices(stands, 200), start=1):
        served[key_id] += 1
        for stand in stands:
            assert abs(served[stand.id] - number * stand.weight / whole) < len(stands) + 1


def test_the_same_seed_chooses_alike_and_another_one_does_not() -> None:
    def served(seed: int) -> list[str]:
        keys = [key_of(f"key{index}", owner=f"owner{index}") for index in range(8)]
        return choices([stand_of(key, seed=seed, index=index) for index, key in enumerate(keys)], 40)

    assert served(1) == served(1)
    assert served(1) != served(2)


def test_an_owner_gains_nothing_by_cutting_a_quota_into_many_keys() -> None:
    many = [key_of(f"many{index}", owner="ann") for index in range(9)]
    stands = [stand_of(key, owner_keys=9, index=index) for index, key in enumerate(many)]
    stands.append(stand_of(key_of("one", owner="ben"), index=9))

    served = Counter(key_id[:3] for key_id in choices(stands, 200))

    assert abs(served["man"] - served["one"]) <= len(many)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"trust_ppm": 900_000}, {"trust_ppm": 300_000}),
        ({"leased_micros": 0}, {"leased_micros": 900_000}),
        ({"leased_micros": 900_000, "returned_micros": 800_000}, {"leased_micros": 900_000}),
    ],
)
def test_more_trust_and_more_of_a_quota_left_serve_more(better: dict[str, int], worse: dict[str, int]) -> None:
    stands = [stand_of(key_of("b", owner="b", **better)), stand_of(key_of("w", owner="w", **worse))]

    served = Counter(choices(stands, 100))

    assert served["b"] > 2 * served["w"] > 0


def test_a_key_that_fails_often_serves_less() -> None:
    assert rules.weight_of(Shelved(key_of(), Version(1)), 250_000, 1) == 250_000


def test_neither_the_owners_own_nor_a_resting_nor_an_empty_key_is_chosen() -> None:
    own = stand_of(key_of("own", owner="ada"))
    resting = stand_of(key_of("resting"))
    resting.condition = breaker.after_fault(resting.condition, 0, Fault.KEY, probe=False, retry_after_ms=None)
    empty = stand_of(key_of("empty", leased_micros=QUOTA))

    stand = rules.chosen([own, resting, empty], 1, now_ms=1, wall_ms=NOW, payers={UserId("ada")}, left_out=frozenset())

    assert stand is None


def test_keys_with_a_lease_take_turns_before_another_is_leased() -> None:
    """Once there are enough of them: each new lease is a write that a call waits for."""
    stands = [stand_of(key_of(f"key{index:02}", owner=f"owner{index}"), index=index) for index in range(20)]
    for stand in stands[: rules.KEYS_AT_WORK_MAX]:
        stand.leases.append(OpenLease(lease_of(), Version(1)))

    assert set(choices(stands, 100)) == {stand.id for stand in stands[: rules.KEYS_AT_WORK_MAX]}
    stands[0].leases.clear()
    assert set(choices(stands, 100)) & {stand.id for stand in stands[rules.KEYS_AT_WORK_MAX :]}


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, 10**6))
def test_a_lease_never_takes_more_than_is_left(quota: int, leased: int, returned: int, needed: int) -> None:
    """And covers at least one call, or is none."""
    shelved = Shelved(key_of(quota_micros=quota, leased_micros=leased, returned_micros=returned), Version(1))

    lease = rules.lease_of(shelved, LeaseId("lse_1"), needed, at_ms=NOW)

    if lease is None:
        assert shelved.left_micros < needed
    else:
        assert needed <= lease.amount_micros <= shelved.left_micros
        assert lease.amount_micros <= max(needed, shelved.left_micros // rules.LEASE_PART)
        assert lease.amount_micros % needed == 0


def test_a_quota_that_is_nearly_gone_is_leased_call_by_call() -> None:
    shelved = Shelved(key_of(quota_micros=63_000), Version(1))

    lease = rules.lease_of(shelved, LeaseId("lse_1"), 1_000, at_ms=NOW)

    assert lease is not None
    assert lease.amount_micros == 1_000


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 500)), max_size=50))
def test_the_calls_under_a_lease_never_come_to_more_than_it(calls: list[tuple[int, int]]) -> None:
    """However they overlap: the worst case of each is reserved until it is known what it came to."""
    held = OpenLease(lease_of(1_000), Version(1))
    stand = stand_of(key_of())
    stand.leases.append(held)
    loans: list[tuple[Loan, int]] = []
    for worst, charged in calls:
        if rules.lease_for(stand, worst, NOW):
            loans.append((Loan(stand, held, worst), min(worst, charged)))
        if len(loans) > 2:
            loan, charged_micros = loans.pop(0)
            loan.settled(charged_micros)
            loan.settled(worst)
        assert 0 <= held.used_micros + held.reserved_micros <= held.lease.amount_micros
    for loan, charged_micros in loans:
        loan.settled(charged_micros)
    assert held.reserved_micros == 0


def test_no_call_begins_under_a_lease_that_is_too_old() -> None:
    held = OpenLease(lease_of(), Version(1))
    stand = stand_of(key_of())
    stand.leases.append(held)

    assert rules.lease_for(stand, 1, held.lease.spend_until_ms - 1) is held
    assert rules.lease_for(stand, 1, held.lease.spend_until_ms) is None
    assert rules.is_done_with(held, 1, held.lease.spend_until_ms)
    assert not rules.is_done_with(held, 1, held.lease.spend_until_ms - 1)


def test_a_lease_outlives_every_call_that_was_begun_under_it() -> None:
    """Else the sweep would count before the last of them was charged."""
    lease = lease_of()

    assert lease.spend_until_ms + HOLD_LIFETIME_MS < lease.expires_at_ms


@pytest.mark.parametrize(
    ("changed", "usable"),
    [
        ({}, True),
        ({"status": KeyStatus.PAUSED}, False),
        ({"status": KeyStatus.COOLING}, False),
        ({"status": KeyStatus.VALIDATING}, False),
        ({"sealed": None}, False),
        ({"host": "elsewhere.example"}, False),
        ({"cool_until_ms": NOW}, True),
        ({"cool_until_ms": NOW + 1}, False),
    ],
)
def test_only_an_active_key_of_the_providers_own_host_that_does_not_cool_is_usable(
    changed: dict[str, object], usable: bool
) -> None:
    assert rules.is_usable(replace(key_of(), **changed), HOST, NOW) is usable


def test_the_cheapest_is_the_platforms_own_key_where_the_provider_asks_less_than_a_contributor_gets() -> None:
    dear, cheap = (Route(provider="first", model="m", cost_ppm=ppm) for ppm in (10_000_000, 100_000))
    cheapest = Preference(sort=Sort.CHEAPEST)

    assert not rules.own_key_first(cheap, NO_PREFERENCE)
    assert rules.own_key_first(cheap, cheapest)
    assert not rules.own_key_first(dear, cheapest)


def test_a_receipt_names_a_key_and_its_lease_by_public_ids_only() -> None:
    loan = Loan(stand_of(key_of()), OpenLease(lease_of(), Version(1)), 1)

    assert dict(loan.facts) == {KEY_FACT: KeyId("key1"), LEASE_FACT: "lse_1"}


def test_turns_differ_at_the_start_so_that_processes_do_not_begin_alike() -> None:
    turns = [rules.first_turn(1_000_000, seed, index) for seed, index in itertools.product(range(4), range(4))]

    assert len(set(turns)) == 16
