"""What proves a payment on the chain: pure decisions over what a node tells and what a sender signed."""

import re

from shared.chain.errors import (
    AmountDiffers,
    AuthorizationRefused,
    ClaimNotSigned,
    TransferAmbiguous,
    TransferPending,
    TransferRefused,
)
from shared.chain.keccak import keccak_256
from shared.chain.models import (
    AMOUNT_MAX,
    UNITS_PER_CENT,
    Address,
    Authorization,
    Block,
    Claim,
    Digest,
    Log,
    Offer,
    Receipt,
    Token,
    Transfer,
)
from shared.chain.signatures import NotASignature, authorization_digest, signer_of, text_digest

TRANSFER = Digest("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
AUTHORIZATION_USED = Digest("0x98de503528ee59b575ef0c0a2576a82497bfc029a5685b209e9ec333479b10a5")

NONCE_MARK = b"credence"
"""How nonces made for orders begin. A random one does so once in 2**64 times; what does is for its order only."""
_DIGEST = re.compile(r"0x[0-9a-fA-F]{64}")

SETTLING_MARGIN_S = 10
"""An authorization that ends sooner may end before it stands in a block. x402's own facilitator wants 6 seconds."""
LIFETIME_S_MAX = 3_600
"""So long at most an authorization may be good for: its use is looked for in so many seconds' blocks."""
LIFETIME_BLOCKS_MAX = 1_800
"""As many as Base makes in that time."""
CLOCK_SKEW_S = 120
"""A block's time and ours may differ by so much."""


def claim_text(token: Token, *, order_id: str, transaction: Digest) -> str:
    """What the sender signs with `personal_sign`, readable in a wallet. The receiver keeps it from being used
    elsewhere."""
    return (
        "I sent this payment, and it is for this order.\n"
        f"Order: {order_id}\n"
        f"Chain: {token.network}\n"
        f"Receiver: {token.receiver}\n"
        f"Transaction: {transaction}"
    )


def text_to_sign(token: Token, *, order_id: str) -> str:
    """The same before there is a transaction: its hash belongs in the place of `{transaction}`."""
    return claim_text(token, order_id=order_id, transaction=Digest("{transaction}"))


def require_final(receipt: Receipt, canonical: Block | None, finalized: Block) -> Block:
    """The block of a transaction, once the chain cannot drop it. Raise TransferPending.

    `canonical` is what stands at the receipt's height now. Another hash there: the block was dropped, and the
    transaction may yet come in another one.
    """
    if canonical is None or canonical.hash != receipt.block_hash:
        raise TransferPending(receipt.transaction, None)
    if receipt.block > finalized.number:
        raise TransferPending(receipt.transaction, receipt.block - finalized.number)
    return canonical


def find_transfer(
    receipt: Receipt,
    token: Token,
    *,
    amount: int,
    log_index: int | None = None,
    payment_id: str | None = None,
    sender: Address | None = None,
) -> Log:
    """The one transfer of exactly `amount` to us, by the token itself.

    Raise TransferRefused, TransferAmbiguous; ClaimNotSigned when it is not `sender` who sent it; AmountDiffers.
    """
    if not receipt.succeeded:
        raise TransferRefused("The transaction failed on the chain: nothing was sent.", param="transaction")
    received = [log for log in receipt.logs if is_transfer(log, token) and _party(log, 2) == token.receiver]
    if log_index is not None:
        received = [log for log in received if log.index == log_index]
    if payment_id is not None:
        received = [log for log in received if payment_id_of(receipt, log, token) == payment_id]
    if not received:
        raise TransferRefused(
            "The transaction sends us nothing of the token that this order is paid in.", param="transaction"
        )
    sent = [log for log in received if sender is None or _party(log, 1) == sender]
    if not sent:
        raise ClaimNotSigned("The claim is not signed by the sender of the payment.", param="signature")
    exact = [log for log in sent if int(log.data, 16) == amount]
    if not exact:
        raise AmountDiffers(int(sent[0].data, 16))
    if len(exact) > 1:
        raise TransferAmbiguous([log.index for log in exact])
    return exact[0]


def payment_id_of(receipt: Receipt, log: Log, token: Token) -> str:
    """The name of a payment: one for one movement of money, whichever way it is claimed.

    A signed transfer is known by its authorizer and nonce, which stay what they are if the chain is reorganized; USDC
    logs their use right before the transfer (EIP3009.sol of circlefin/stablecoin-evm). Any other transfer is known by
    its transaction and place. So the same movement cannot be claimed once over x402 and once as a plain transfer.
    """
    before = next((other for other in receipt.logs if other.index == log.index - 1), None)
    if before is not None and before.address == token.asset and len(before.topics) == 3:
        kind, authorizer, nonce = before.topics
        if kind == AUTHORIZATION_USED and authorizer == log.topics[1]:
            return authorization_id(token, sender=_party(log, 1), nonce=nonce)
    return f"{token.network}/{receipt.transaction}/{log.index}"


def authorization_id(token: Token, *, sender: Address, nonce: Digest) -> str:
    """The name of a payment by authorization. The asset is part of it: each token counts nonces for itself."""
    return f"{token.network}/{token.asset}/{sender}/{nonce}"


def transfer_of(receipt: Receipt, log: Log, block: Block, token: Token) -> Transfer:
    """The payment, from what proved it."""
    return Transfer(
        payment_id=payment_id_of(receipt, log, token),
        sender=_party(log, 1),
        amount=int(log.data, 16),
        transaction=receipt.transaction,
        log_index=log.index,
        block=block.number,
        paid_at_s=block.at_s,
    )


def claimant_of(claim: Claim, token: Token) -> Address:
    """Who says that the transaction is theirs and for this order. Raise ClaimNotSigned."""
    text = claim_text(token, order_id=claim.order_id, transaction=claim.transaction)
    try:
        return signer_of(text_digest(text), claim.signature)
    except NotASignature:
        raise ClaimNotSigned("This is not a signature of 65 bytes by a key.", param="signature") from None


def require_not_older(claim: Claim, transfer: Transfer) -> None:
    """Raise TransferRefused for what was sent before there was an order to pay."""
    if transfer.paid_at_s < claim.created_at_s - CLOCK_SKEW_S:
        raise TransferRefused("The payment is older than the order.", param="transaction")


def order_nonce(token: Token, order_id: str) -> Digest:
    """The nonce that binds an authorization to an order by its signature. Clients that choose their own are bound by
    reservation."""
    proof = keccak_256(f"{token.network}\n{token.receiver}\n{order_id}".encode())
    return Digest("0x" + (NONCE_MARK + proof)[:32].hex())


def require_pays(authorization: Authorization, offer: Offer, token: Token) -> None:
    """Raise AuthorizationRefused unless the sender signed over exactly this offer's amount of this token to us."""
    if authorization.receiver != token.receiver:
        raise AuthorizationRefused("The authorization pays somebody else.", param="payload.authorization.to")
    if _names_an_order(authorization.nonce) and authorization.nonce != order_nonce(token, offer.order_id):
        raise AuthorizationRefused("The authorization is for another order.", param="payload.authorization.nonce")
    if authorization.amount != offer.amount:
        raise AuthorizationRefused("The authorization is over another amount.", param="payload.authorization.value")
    try:
        signer = signer_of(authorization_digest(token, authorization), authorization.signature)
    except NotASignature:
        raise AuthorizationRefused("This is not a signature by a key.", param="payload.signature") from None
    if signer != authorization.sender:
        # Another token, chain or domain lands here too: they are part of what is signed.
        raise AuthorizationRefused("The authorization is not signed by its sender.", param="payload.signature")


def require_in_time(authorization: Authorization, now_s: int) -> None:
    """Raise AuthorizationRefused for one that cannot be carried out now, or for longer than we look for it."""
    if authorization.valid_after_s >= now_s:
        raise AuthorizationRefused("The authorization is not valid yet.", param="payload.authorization.validAfter")
    if authorization.valid_before_s < now_s + SETTLING_MARGIN_S:
        raise AuthorizationRefused("The authorization has ended.", param="payload.authorization.validBefore")
    if authorization.valid_before_s > now_s + LIFETIME_S_MAX:
        raise AuthorizationRefused("The authorization ends too late.", param="payload.authorization.validBefore")


def require_amount(amount: int) -> None:
    """Raise TransferRefused for an amount that no order of ours costs."""
    if not 0 < amount <= AMOUNT_MAX:
        raise TransferRefused("An order costs between one unit and a thousand million dollars.")


def digest_of(text: str) -> Digest:
    """A hash as somebody wrote it. Raise TransferRefused."""
    if not _DIGEST.fullmatch(text):
        raise TransferRefused("A transaction is named by 0x and 64 hexadecimal digits.", param="transaction")
    return Digest(text.lower())


def units_of(cents: int) -> int:
    """A price in cents of a dollar, in the token's smallest unit."""
    return cents * UNITS_PER_CENT


def _names_an_order(nonce: Digest) -> bool:
    return bytes.fromhex(nonce[2:]).startswith(NONCE_MARK)


def is_transfer(log: Log, token: Token) -> bool:
    """By the token's own contract: any contract can write a log that looks the same."""
    return log.address == token.asset and len(log.topics) == 3 and log.topics[0] == TRANSFER and len(log.data) == 66


def _party(log: Log, at: int) -> Address:
    """An address stands in the last 20 of a topic's 32 bytes."""
    return Address("0x" + log.topics[at][-40:])
