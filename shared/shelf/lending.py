"""One attempt of a route: with contributed keys as long as one serves, and with the platform's own.

A contributed key is opened when the request is about to be sent, under the host that it will be sent to. The platform's
own key comes last, so that what the router hears of a provider is never the fault of a key that somebody lent. What it
denies a key, in turn, counts against the key only when it served the same call with another: a refusal costs its caller
nothing, and may be of the request.
"""

import asyncio
from collections.abc import Awaitable, Callable, Set
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from shared.base.ids import UserId
from shared.catalog.models import Route
from shared.metering.service import MeteredCall
from shared.providers.errors import Fault, UpstreamBusy, UpstreamUnavailable
from shared.providers.models import Provider
from shared.resources.models import KeyId
from shared.resources.rules import host_of
from shared.routing.models import Preference
from shared.shelf import rules
from shared.shelf.loan import Loan
from shared.shelf.service import Shelf
from shared.vault.errors import VaultSealed, VaultUnavailable
from shared.vault.models import Binding

if TYPE_CHECKING:
    from shared.vault.service import Vault

T = TypeVar("T")
Ask = Callable[[Provider, str, float], Awaitable[T]]
"""Asks a provider, with the key that it bears, under its own name for the model, within so many seconds."""
Denied = tuple[Loan, UpstreamBusy | UpstreamUnavailable]
"""A key with which the provider did not serve what was asked, and what it said."""
KEYS_TRIED_MAX = 3
"""Contributed keys that one attempt asks with. When so many are refused, more hardly fare better."""


class Lender:
    """Lends contributed keys to calls. One per process; belongs to one event loop."""

    def __init__(self, shelf: Shelf, vault: "Callable[[], Vault]") -> None:
        """The vault is loaded when the first key is opened: most processes never meet one."""
        self._shelf = shelf
        self._vault = vault

    def lending(self, model_id: str, call: MeteredCall, *, payers: Set[UserId], preference: Preference) -> "Lending":
        """For one call. What there is to read is read beside it."""
        self._shelf.tend()
        return Lending(self._shelf, self._open, model_id, call, payers, preference)

    async def _open(self, loan: Loan, provider: Provider) -> Provider:
        """The provider with the loan's key. Raise VaultSealed or VaultUnavailable.

        The binding is that of the address the key is about to be sent to, not what the key's document says it is: a key
        whose document was changed opens nowhere.
        """
        sealed = loan.key.sealed
        if sealed is None:
            raise VaultSealed("it was taken back")
        binding = Binding(owner=loan.key.owner, provider=provider.name, host=host_of(provider.base_url))
        return replace(provider, key=await self._vault().open(sealed, binding), lent_only=False)


class Lending:
    """The contributed keys of one call. A key that failed is left for the rest of it, on every route."""

    def __init__(
        self,
        shelf: Shelf,
        opened: Callable[[Loan, Provider], Awaitable[Provider]],
        model_id: str,
        call: MeteredCall,
        payers: Set[UserId],
        preference: Preference,
    ) -> None:
        self._shelf = shelf
        self._opened = opened
        self._model_id = model_id
        self._call = call
        self._payers = payers
        self._preference = preference
        self._left_out: set[KeyId] = set()

    async def ask(self, route: Route, provider: Provider, ask: Ask[T], timeout_s: float) -> T:
        """The answer under one of the keys. Raise what the provider did; UpstreamUnavailable when no key was left."""
        if provider.lent_only:
            await self._shelf.known()
        own_first = not provider.lent_only and rules.own_key_first(route, self._preference)
        if own_first or not self._shelf.has_keys(provider.name, self._model_id):
            return await ask(provider, route.model, timeout_s)
        denied: list[Denied] = []
        try:
            answer = await self._ask_in_turn(route, provider, ask, timeout_s, denied)
        except BaseException:
            # Nobody was served the same: as likely as a key it is the request that the provider denies.
            for loan, _ in denied:
                self._shelf.doubted(loan)
            raise
        for loan, error in denied:
            self._shelf.failed(loan, error, by=self._payers)
        return answer

    async def _ask_in_turn(
        self, route: Route, provider: Provider, ask: Ask[T], timeout_s: float, denied: list[Denied]
    ) -> T:
        ends_at_s = asyncio.get_running_loop().time() + timeout_s
        for _ in range(KEYS_TRIED_MAX):
            loan = await self._shelf.borrow(
                provider.name, self._model_id, self._worst_micros, payers=self._payers, left_out=self._left_out
            )
            if loan is None:
                break
            self._left_out.add(loan.key.id)
            try:
                return await self._ask_with(loan, route, provider, ask, _left_s(ends_at_s), denied)
            except (UpstreamBusy, UpstreamUnavailable) as error:
                if error.fault not in rules.OF_THE_KEY:
                    raise
            except (VaultSealed, VaultUnavailable):
                continue
        if provider.lent_only:
            await self._shelf.told()
        return await ask(provider, route.model, _left_s(ends_at_s))

    async def _ask_with(
        self, loan: Loan, route: Route, provider: Provider, ask: Ask[T], timeout_s: float, denied: list[Denied]
    ) -> T:
        """The answer under this key. From here on the call answers for the loan: however it ends, it settles it.

        What the provider denied is added to `denied`, to be judged by how the call fares with others.
        """
        self._call.lent = loan
        try:
            answer = await ask(await self._opened(loan, provider), route.model, timeout_s)
        except asyncio.CancelledError:
            # The client left, and what was read until then may be charged: the key served it.
            raise
        except (UpstreamBusy, UpstreamUnavailable) as error:
            self._call.lent = None
            if error.fault is Fault.DENIED:
                loan.settled(0)
                denied.append((loan, error))
            else:
                self._shelf.failed(loan, error, by=self._payers)
            raise
        except VaultSealed:
            self._call.lent = None
            self._shelf.sealed(loan)
            raise
        except BaseException:
            self._call.lent = None
            self._shelf.unheard(loan)
            raise
        self._shelf.answered(loan)
        return answer

    @property
    def _worst_micros(self) -> int:
        return self._call.quote.amount_micros


def _left_s(ends_at_s: float) -> float:
    """What is left of the attempt; at least a moment, so that it ends as a timeout and not as a defect."""
    return max(0.001, ends_at_s - asyncio.get_running_loop().time())
