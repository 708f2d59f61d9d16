"""Builds what reads a chain and sells credits for a dollar on it."""

from functools import cached_property
from typing import TYPE_CHECKING

from shared.parts.ledger import LedgerParts

if TYPE_CHECKING:
    from shared.base.secret import Secret
    from shared.chain.gateway import Endpoint
    from shared.chain.models import Token
    from shared.chain.node import Node
    from shared.payments.crypto.rail import CryptoRail, X402Rail


class ChainParts(LedgerParts):
    """The node, the token, and the two rails over them. All raise RailNotOffered where settings name no chain."""

    @cached_property
    def chain_token(self) -> "Token":
        """What is taken, and where it is sent."""
        from shared.chain.models import Address, Token
        from shared.payments.errors import RailNotOffered

        settings = self.settings
        if settings.crypto_receiver is None:
            raise RailNotOffered
        return Token(
            chain_id=int(settings.crypto_chain_id),
            asset=Address(settings.crypto_asset.lower()),
            receiver=Address(settings.crypto_receiver.lower()),
            name=settings.crypto_token_name,
            version=settings.crypto_token_version,
        )

    @cached_property
    def chain_node(self) -> "Node":
        from shared.chain.node import NODE_TIMEOUT_S, Node

        endpoint = self._chain_endpoint(self.settings.crypto_rpc_url, NODE_TIMEOUT_S)
        return Node(endpoint, chain_id=self.chain_token.chain_id)

    @cached_property
    def crypto_rail(self) -> "CryptoRail":
        """Plain transfers."""
        from shared.payments.crypto.rail import CryptoRail

        return CryptoRail(self.chain_node, self.chain_token, self.clock)

    @cached_property
    def x402_rail(self) -> "X402Rail":
        """Transfers that a facilitator carries out."""
        from shared.chain.facilitator import FACILITATOR_TIMEOUT_S, HttpFacilitator
        from shared.chain.store import FirestoreReservations
        from shared.payments.crypto.rail import X402Rail

        endpoint = self._chain_endpoint(self.settings.crypto_facilitator_url, FACILITATOR_TIMEOUT_S)
        facilitator, reservations = HttpFacilitator(endpoint), FirestoreReservations(self.firestore)
        return X402Rail(self.chain_node, self.chain_token, facilitator, reservations, self.clock)

    def _chain_endpoint(self, url: "Secret | None", timeout_s: float) -> "Endpoint":
        from shared.base.settings import Environment
        from shared.chain.gateway import Endpoint, open_local_session
        from shared.payments.errors import RailNotOffered

        if url is None:
            raise RailNotOffered
        is_local = self.settings.environment is Environment.LOCAL
        return Endpoint(url, timeout_s=timeout_s, open_session=open_local_session if is_local else None)
