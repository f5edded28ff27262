"""All attacks, in the order of their report, each with its own tally."""

import time
from collections.abc import Awaitable, Callable, Collection
from typing import TypeAlias

from tests.attack.files import header_injection, path_traversal, scripts
from tests.attack.injection import sql_injection
from tests.attack.limits import rate_limits, socket_floods
from tests.attack.origins import origins
from tests.attack.races import races
from tests.attack.roles import rising
from tests.attack.tally import Tally
from tests.attack.target import Target
from tests.attack.tenants import cross_tenant, mass_assignment
from tests.attack.timing import enumeration
from tests.attack.tokens import forged_tokens, token_reuse
from tests.attack.webhooks import ssrf
from tests.attack.wire import oversize_and_slow, smuggling

__all__ = ["ATTACKS", "run"]

Attack: TypeAlias = Callable[[Target, Tally], Awaitable[None]]

ATTACKS: dict[str, Attack] = {
    "SQL injection": sql_injection,
    "path traversal": path_traversal,
    "forged tokens": forged_tokens,
    "token reuse": token_reuse,
    "ids of other tenants": cross_tenant,
    "origins": origins,
    "rate limits": rate_limits,
    "scripts in names": scripts,
    "header injection": header_injection,
    "request smuggling": smuggling,
    "oversize and slow": oversize_and_slow,
    "socket floods": socket_floods,
    "SSRF by webhooks": ssrf,
    "mass assignment": mass_assignment,
    "rising above one's role": rising,
    "races": races,
    "enumeration by timing": enumeration,
}


async def run(target: Target, names: Collection[str] = ()) -> list[Tally]:
    """One after the other, so that none makes another look slow. An attack that breaks is told as what gave way."""
    tallies = []
    for name, attack in ATTACKS.items():
        if names and name not in names:
            continue
        tally = Tally(name=name)
        began = time.monotonic()
        try:
            await attack(target, tally)
        except Exception as error:
            tally.check(False, f"the attack itself ended with {type(error).__name__}: {error}")
        tally.seconds = time.monotonic() - began
        tallies.append(tally)
    return tallies
