"""What callers may do how often. Routes declare a budget of their own; everything else draws on the user's.

Who is asked before Postgres is: whose key was valid a moment ago is known here by its hash, and charged at once. The
key is proved all the same, so a revoked one opens nothing. A key nobody knows is charged to the address it came from.
"""

import hashlib
import math
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.types import Scope

from arqueduct import metrics
from arqueduct.errors import NotAuthenticated, RateLimited
from arqueduct.identity import Identity, key_hash
from arqueduct.settings import Settings
from arqueduct_backend.client_address import network_of
from arqueduct_backend.problems import NOTED
from arqueduct_backend.rate_limits import MOST_KEYS, Rate, RateLimits, Verdict

__all__ = ["Budget", "Budgets", "Draws", "budget", "headers_of", "sign_in_budget"]

VERDICT = "arqueduct.budget"
"""The tightest budget of the request, in its ASGI scope."""
MINUTE = 60
HOUR = 3600
FIVE_MINUTES = 300
"""Of guessing at one account: ten tries each are 2,880 a day, and an owner locked out by others waits no longer."""


class Budget(StrEnum):
    """The first three are for routes to declare."""

    UPLOADS = "uploads"
    """Instead of the general one."""
    SEARCHES = "searches"
    """Instead of the general one."""
    EXPENSIVE = "expensive"
    """Besides the general one."""
    REQUESTS = "requests"
    """Everything else that a user asks, by whichever key."""
    KEY = "key"
    """Of a key that has a limit of its own."""
    STRANGERS = "strangers"
    """Of an address, for what nobody is known to have sent."""
    ADDRESS = "sign_ins_of_address"
    ACCOUNT = "sign_ins_of_account"


class Draws:
    """Says that a route has a budget of its own. `Budgets` reads it before it is known who calls."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget

    async def __call__(self) -> None:
        """What there is to do is done by then."""


def budget(which: Budget) -> Any:
    """For `dependencies=[needs(…), budget(…)]` of a route."""
    return Depends(Draws(which))


async def sign_in_budget(connection: HTTPConnection, account: str | None = None) -> None:
    """Call it before a password or a token is looked at: at most so many a minute from one address, and so many in
    five minutes for one account (an email address, whatever its case). Raises `RateLimited`.
    """
    budgets: Budgets = connection.app.state.services.budgets
    await budgets.sign_in(connection, account)


def headers_of(scope: Scope, now: float) -> Mapping[str, str]:
    """What an answer tells about the tightest budget it was charged to; times are seconds from now."""
    verdict: Verdict | None = scope.get(VERDICT)
    if verdict is None:
        return {}
    reset = max(0, math.ceil(verdict.until - now))
    told = {
        "ratelimit-limit": str(verdict.rate.amount),
        "ratelimit-remaining": str(verdict.remaining),
        "ratelimit-reset": str(reset),
    }
    return told if verdict.is_allowed else told | {"retry-after": str(max(1, reset))}


@dataclass(frozen=True)
class _Known:
    """Whose a key was when it was last proved."""

    member: str
    """Of one tenant: what a key of that tenant spends, its user does not lack in another."""
    key_id: UUID | None
    requests_per_minute: int | None

    @classmethod
    def of(cls, identity: Identity) -> "_Known":
        member = f"{identity.tenant_id}:{identity.user_id}"
        return cls(member, identity.key_id, identity.requests_per_minute)


@dataclass(frozen=True)
class _Charge:
    budget: Budget
    who: str
    rate: Rate


class Budgets:
    """One a process."""

    def __init__(self, limits: RateLimits, settings: Settings) -> None:
        self._limits = limits
        self._rates = {
            Budget.REQUESTS: Rate(settings.requests_per_minute, MINUTE),
            Budget.UPLOADS: Rate(settings.uploads_per_minute, MINUTE),
            Budget.SEARCHES: Rate(settings.searches_per_minute, MINUTE),
            Budget.EXPENSIVE: Rate(settings.expensive_per_hour, HOUR),
            Budget.STRANGERS: Rate(settings.strangers_per_minute, MINUTE),
            Budget.ADDRESS: Rate(settings.sign_ins_per_address, MINUTE),
            Budget.ACCOUNT: Rate(settings.sign_ins_per_account, FIVE_MINUTES),
        }
        self._known: OrderedDict[bytes, _Known] = OrderedDict()

    @asynccontextmanager
    async def proving(self, connection: HTTPConnection, key: str) -> AsyncIterator[list[Identity]]:
        """Round the proof of a key: charges whoever it is, before if that is known, else afterwards.

        The block appends the identity it found. Raises `RateLimited`.
        """
        name = key_hash(key)
        known = self._known.get(name)
        if known is None:
            await self.stranger(connection)
        else:
            await self._spend(connection.scope, self._charges(connection.scope, known))
        found: list[Identity] = []
        try:
            yield found
        except NotAuthenticated:
            self._known.pop(name, None)
            raise
        for identity in found:
            proved = _Known.of(identity)
            self._remember(name, proved)
            if known is None:
                connection.scope.pop(VERDICT, None)  # it was no stranger
                await self._spend(connection.scope, self._charges(connection.scope, proved))

    async def user(self, connection: HTTPConnection, identity: Identity) -> None:
        """For who was proved by something else than a key. Raises `RateLimited`."""
        known = _Known.of(identity)
        await self._spend(connection.scope, self._charges(connection.scope, known))

    async def stranger(self, connection: HTTPConnection) -> None:
        """Raises `RateLimited`."""
        await self._spend(connection.scope, [self._of_address(connection, Budget.STRANGERS)])

    async def sign_in(self, connection: HTTPConnection, account: str | None) -> None:
        """Raises `RateLimited`."""
        charges = [self._of_address(connection, Budget.ADDRESS)]
        if account is not None:
            # As Postgres compares addresses: letters of ASCII only, and no others that look like them.
            name = hashlib.sha256(account.encode(errors="replace").lower()).hexdigest()
            charges.append(_Charge(Budget.ACCOUNT, name, self._rates[Budget.ACCOUNT]))
        await self._spend(connection.scope, charges)

    def _of_address(self, connection: HTTPConnection, budget: Budget) -> _Charge:
        host = connection.client.host if connection.client else ""
        return _Charge(budget, network_of(host), self._rates[budget])

    def _charges(self, scope: Scope, known: _Known) -> list[_Charge]:
        """The scarcest last: what another budget refuses must not be taken from it.

        A key's own limit takes the place of the lower ones of its user, and stands beside the higher ones. So a key
        that may do less is one more limit, never one less, however many such keys somebody makes.
        """
        own = known.requests_per_minute
        declared = _declared(scope)
        general = Budget.REQUESTS if declared in (None, Budget.EXPENSIVE) else declared
        charges = []
        if own is not None:
            charges.append(_Charge(Budget.KEY, str(known.key_id), Rate(own, MINUTE)))
        if own is None or self._rates[general].amount >= own:
            charges.append(_Charge(general, known.member, self._rates[general]))
        if declared is Budget.EXPENSIVE:
            charges.append(_Charge(declared, known.member, self._rates[declared]))
        return charges

    async def _spend(self, scope: Scope, charges: list[_Charge]) -> None:
        """Raises `RateLimited`."""
        for charge in charges:
            verdict = await self._limits.hit(charge.budget, charge.who, charge.rate)
            tightest: Verdict | None = scope.get(VERDICT)
            if not verdict.is_allowed:
                metrics.rate_limited.labels(charge.budget).inc()
                scope[VERDICT] = verdict
                scope[NOTED] = True  # a line in the audit log would cost more than the request
                rate = charge.rate
                raise RateLimited(f"At most {rate.amount:,} in {rate.seconds} seconds; the budget is {charge.budget}.")
            if tightest is None or verdict.remaining < tightest.remaining:
                scope[VERDICT] = verdict

    def _remember(self, name: bytes, known: _Known) -> None:
        self._known[name] = known
        self._known.move_to_end(name)
        if len(self._known) > MOST_KEYS:
            self._known.popitem(last=False)


def _declared(scope: Scope) -> Budget | None:
    asked = [asked.dependency for asked in getattr(scope.get("route"), "dependencies", ())]
    return next((found.budget for found in asked if isinstance(found, Draws)), None)
