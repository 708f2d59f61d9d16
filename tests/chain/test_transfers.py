"""Plain transfers on a real local chain: what proves a payment, and everything that only looks like one."""

import pytest

from shared.base.clock import system_clock
from shared.chain.errors import (
    ClaimNotSigned,
    TransferAmbiguous,
    TransferPending,
    TransferRefused,
    WrongChain,
)
from shared.chain.models import Digest
from tests.chain.builders import DOLLAR, PRICE, RECEIVER, World, new_digest, node_at

A_DAY_S = 86_400


async def test_a_final_transfer_of_the_exact_amount_signed_for_by_its_sender_is_a_payment(world: World) -> None:
    payer = world.person()
    transaction = payer.pay()
    world.chain.finalize()

    transfer = await world.transfers.verify_transfer(payer.claim(transaction))

    assert (transfer.sender, transfer.amount, transfer.transaction) == (payer.address, PRICE, transaction)
    assert transfer.payment_id == f"eip155:31337/{transaction}/{transfer.log_index}"
    assert world.chain.read(world.token.asset, "balanceOf(address)", RECEIVER) == PRICE


async def test_a_repeat_of_a_claim_names_the_same_payment(world: World) -> None:
    payer = world.person()
    claim = payer.claim(payer.pay())
    world.chain.finalize()

    first = await world.transfers.verify_transfer(claim)
    world.chain.mine(5)

    assert await world.transfers.verify_transfer(claim) == first


async def test_another_order_of_the_same_payer_finds_the_same_payment_and_so_is_refused_by_its_name(
    world: World,
) -> None:
    payer = world.person()
    transaction = payer.pay()
    world.chain.finalize()

    first = await world.transfers.verify_transfer(payer.claim(transaction, order_id="order-1"))
    second = await world.transfers.verify_transfer(payer.claim(transaction, order_id="order-2"))

    assert first.payment_id == second.payment_id


async def test_a_transfer_is_pending_until_its_block_is_final_and_says_how_far_it_is(world: World) -> None:
    payer = world.person()
    claim = payer.claim(payer.pay())
    missing = []

    for _ in range(2):
        with pytest.raises(TransferPending) as pending:
            await world.transfers.verify_transfer(claim)
        missing.append(pending.value.blocks_missing)
        world.chain.mine()

    assert missing == [2, 1]
    assert (await world.transfers.verify_transfer(claim)).amount == PRICE


async def test_an_unknown_transaction_is_pending_and_not_refused(world: World) -> None:
    payer = world.person()

    with pytest.raises(TransferPending) as pending:
        await world.transfers.verify_transfer(payer.claim(new_digest()))

    assert pending.value.blocks_missing is None


async def test_a_transfer_that_a_reorganization_dropped_is_no_payment(world: World) -> None:
    payer = world.person()
    world.chain.mine()
    claim = payer.claim(payer.pay())
    world.chain.ask("anvil_reorg", 1, [])
    world.chain.finalize()

    with pytest.raises(TransferPending) as pending:
        await world.transfers.verify_transfer(claim)

    assert pending.value.blocks_missing is None
    assert world.chain.read(world.token.asset, "balanceOf(address)", RECEIVER) == 0


async def test_a_failed_transaction_is_refused(world: World) -> None:
    poor = world.person(wealth=0)
    transaction = poor.pay()
    world.chain.finalize()
    assert world.chain.ask("eth_getTransactionReceipt", transaction)["status"] == "0x0"

    with pytest.raises(TransferRefused, match="failed"):
        await world.transfers.verify_transfer(poor.claim(transaction))


async def test_another_token_with_the_same_name_is_refused(world: World) -> None:
    payer = world.person()
    other = world.chain.deploy("Dollar")
    world.chain.send(world.chain.accounts[0], other, "mint(address,uint256)", payer.address, PRICE)
    transaction = payer.pay(asset=other)
    world.chain.finalize()

    with pytest.raises(TransferRefused, match="nothing of the token"):
        await world.transfers.verify_transfer(payer.claim(transaction))


async def test_a_transfer_to_somebody_else_is_refused(world: World) -> None:
    payer, friend = world.person(), world.person()
    transaction = payer.pay(to=friend.address)
    world.chain.finalize()

    with pytest.raises(TransferRefused, match="nothing of the token"):
        await world.transfers.verify_transfer(payer.claim(transaction))


@pytest.mark.parametrize("amount", [PRICE - 1, PRICE + 1, 0, PRICE * 10**12])
async def test_any_other_amount_is_refused(world: World, amount: int) -> None:
    payer = world.person(wealth=PRICE * 10**12)
    transaction = payer.pay(amount)
    world.chain.finalize()

    with pytest.raises(TransferRefused, match="another amount"):
        await world.transfers.verify_transfer(payer.claim(transaction))


async def test_an_order_that_costs_nothing_is_paid_by_no_transfer(world: World) -> None:
    payer = world.person()
    transaction = payer.pay(0)
    world.chain.finalize()

    with pytest.raises(TransferRefused):
        await world.transfers.verify_transfer(payer.claim(transaction, amount=0))


async def test_a_log_that_another_contract_forged_is_refused(world: World) -> None:
    thief = world.person(wealth=0)
    forger = world.chain.deploy("Forger")
    transaction = Digest(
        world.chain.send(thief.address, forger, "forge(address,address,uint256)", thief.address, RECEIVER, PRICE)
    )
    world.chain.finalize()
    log = world.chain.ask("eth_getTransactionReceipt", transaction)["logs"][0]
    assert log["topics"][2].endswith(RECEIVER[2:])

    with pytest.raises(TransferRefused, match="nothing of the token"):
        await world.transfers.verify_transfer(thief.claim(transaction))


async def test_a_stranger_cannot_claim_a_hash_that_everybody_sees(world: World) -> None:
    payer, thief = world.person(), world.person()
    transaction = payer.pay()
    world.chain.finalize()

    with pytest.raises(ClaimNotSigned, match="sender"):
        await world.transfers.verify_transfer(thief.claim(transaction, order_id="order-of-the-thief"))


async def test_a_signature_for_one_order_claims_no_other(world: World) -> None:
    payer = world.person()
    transaction = payer.pay()
    world.chain.finalize()
    seen = payer.claim(transaction, order_id="order-1")
    stolen = payer.claim(transaction, order_id="order-of-the-thief")
    replayed = type(stolen)(
        order_id="order-of-the-thief",
        amount=PRICE,
        created_at_s=0,
        transaction=transaction,
        signature=seen.signature,
    )

    with pytest.raises(ClaimNotSigned):
        await world.transfers.verify_transfer(replayed)


async def test_a_transfer_older_than_the_order_is_refused(world: World) -> None:
    payer = world.person()
    transaction = payer.pay()
    world.chain.finalize()
    tomorrow_s = system_clock() // 1000 + A_DAY_S

    with pytest.raises(TransferRefused, match="older"):
        await world.transfers.verify_transfer(payer.claim(transaction, created_at_s=tomorrow_s))


async def test_two_transfers_in_one_transaction_are_two_payments(world: World) -> None:
    payer = world.person()
    batch = world.chain.deploy("Batch")
    world.chain.send(payer.address, world.token.asset, "approve(address,uint256)", batch, 100 * DOLLAR)
    transaction = Digest(
        world.chain.send(
            payer.address,
            batch,
            "pay(address,address,uint256[])",
            world.token.asset,
            RECEIVER,
            [PRICE, 1 * DOLLAR, PRICE],
        )
    )
    world.chain.finalize()

    with pytest.raises(TransferAmbiguous) as ambiguous:
        await world.transfers.verify_transfer(payer.claim(transaction))
    found = [
        await world.transfers.verify_transfer(payer.claim(transaction, log_index=index))
        for index in ambiguous.value.log_indexes
    ]
    alone = await world.transfers.verify_transfer(payer.claim(transaction, amount=1 * DOLLAR))

    assert len({transfer.payment_id for transfer in (*found, alone)}) == 3
    with pytest.raises(TransferRefused):
        await world.transfers.verify_transfer(payer.claim(transaction, log_index=alone.log_index))


async def test_a_node_of_another_chain_is_not_believed(world: World) -> None:
    node, endpoint = node_at(world.chain.url, 8_453)

    with pytest.raises(WrongChain):
        await node.finalized()
    await endpoint.close()
