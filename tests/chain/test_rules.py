"""What a receipt proves, decided without a chain."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.chain import rules
from shared.chain.errors import TransferPending, TransferRefused
from shared.chain.models import Address, Block, Digest, Log, Receipt
from tests.chain.tokens import usdc_on_base

TOKEN = usdc_on_base(Address("0x" + "c0de" * 10))
PAYER, OTHER = Address("0x" + "a1" * 20), Address("0x" + "b2" * 20)
ORDER_IDS = st.text(max_size=40, alphabet=st.characters(exclude_categories=["Cs"]))
HASH, NONCE, BLOCK_HASH = Digest("0x" + "ab" * 32), Digest("0x" + "cd" * 32), Digest("0x" + "ef" * 32)


def topic(address: Address) -> Digest:
    return Digest("0x" + "00" * 12 + address[2:])


def transfer(index: int, *, amount: int = 7, sender: Address = PAYER, by: Address = TOKEN.asset) -> Log:
    topics = (rules.TRANSFER, topic(sender), topic(TOKEN.receiver))
    return Log(index=index, address=by, topics=topics, data=f"0x{amount:064x}")


def used(index: int, *, authorizer: Address = PAYER, by: Address = TOKEN.asset) -> Log:
    return Log(index=index, address=by, topics=(rules.AUTHORIZATION_USED, topic(authorizer), NONCE), data="0x")


def receipt(*logs: Log, block: int = 10) -> Receipt:
    return Receipt(transaction=HASH, succeeded=True, block=block, block_hash=BLOCK_HASH, logs=logs)


def test_the_names_of_the_events_are_those_of_every_explorer() -> None:
    assert rules.TRANSFER == "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    assert rules.AUTHORIZATION_USED == "0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5"


@given(height=st.integers(0, 2**40), finalized=st.integers(0, 2**40))
def test_a_block_is_final_exactly_when_finality_has_reached_it(height: int, finalized: int) -> None:
    seen = receipt(block=height)
    canonical, last = Block(height, BLOCK_HASH, 1), Block(finalized, HASH, 2)

    if height <= finalized:
        assert rules.require_final(seen, canonical, last) == canonical
    else:
        with pytest.raises(TransferPending) as pending:
            rules.require_final(seen, canonical, last)
        assert pending.value.blocks_missing == height - finalized


@pytest.mark.parametrize("canonical", [None, Block(10, HASH, 1)])
def test_a_dropped_block_is_never_final(canonical: Block | None) -> None:
    with pytest.raises(TransferPending):
        rules.require_final(receipt(), canonical, Block(1_000, HASH, 2))


def test_a_signed_transfer_is_named_by_its_authorization_and_any_other_by_its_place() -> None:
    signed = receipt(used(4), transfer(5))
    plain = receipt(transfer(5))

    assert rules.payment_id_of(signed, signed.logs[1], TOKEN) == rules.authorization_id(
        TOKEN, sender=PAYER, nonce=NONCE
    )
    assert rules.payment_id_of(plain, plain.logs[0], TOKEN) == f"eip155:8453/{HASH}/5"


@pytest.mark.parametrize(
    "before", [used(4, by=OTHER), used(4, authorizer=OTHER), used(3), transfer(4)], ids=["by", "who", "gap", "kind"]
)
def test_another_log_before_a_transfer_does_not_name_it(before: Log) -> None:
    seen = receipt(before, transfer(5))

    assert rules.payment_id_of(seen, seen.logs[1], TOKEN) == f"eip155:8453/{HASH}/5"


@given(amount=st.integers(0, 2**256 - 1), wanted=st.integers(1, 2**256 - 1))
def test_only_the_exact_amount_is_found(amount: int, wanted: int) -> None:
    seen = receipt(transfer(1, amount=amount))

    if amount == wanted:
        assert rules.find_transfer(seen, TOKEN, amount=wanted) == seen.logs[0]
    else:
        with pytest.raises(TransferRefused):
            rules.find_transfer(seen, TOKEN, amount=wanted)


@given(ORDER_IDS, ORDER_IDS)
def test_nonces_of_orders_differ_as_orders_do(one: str, other: str) -> None:
    assert (rules.order_nonce(TOKEN, one) == rules.order_nonce(TOKEN, other)) == (one == other)


@pytest.mark.parametrize("text", ["", "0x", "ab" * 32, "0x" + "ab" * 31, "0x" + "zz" * 32, "0x" + "ab" * 32 + "\n"])
def test_what_is_no_hash_is_refused_before_a_node_is_asked(text: str) -> None:
    with pytest.raises(TransferRefused):
        rules.digest_of(text)


def test_a_hash_is_known_by_its_digits_and_not_by_its_capitals() -> None:
    assert rules.digest_of("0x" + "AB" * 32) == HASH


def test_a_cent_is_ten_thousand_units() -> None:
    assert rules.units_of(499) == 4_990_000
