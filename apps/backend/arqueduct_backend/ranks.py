"""Who may give what to whom. One rule: nobody hands out, or gets hold of, what he may not do himself."""

from collections.abc import Iterable
from datetime import datetime

from arqueduct.errors import Forbidden
from arqueduct.identity import Identity
from arqueduct.permissions import Permission, granted

__all__ = ["check_covers", "last_moment", "rate_within", "scopes_within"]


def check_covers(caller: Identity, role: str) -> None:
    """For all that gives the caller, or somebody of his choice, what this role may. Raises `Forbidden`."""
    _check(granted(role) - caller.permissions, f"A member with the role `{role}`")


def scopes_within(caller: Identity, role: str, asked: Iterable[Permission], *, is_own: bool) -> list[str]:
    """The scopes of a key that the caller makes for a member with this role; none are no limit.

    What it may is written down unless it is what the caller may as a member: a key that is limited makes none that is
    not, and one that is made for somebody else does not grow with that one's role. Raises `Forbidden`.
    """
    if not is_own:
        check_covers(caller, role)
    wanted = frozenset(asked)
    _check(wanted - caller.permissions, "A key with these scopes")
    if wanted:
        return sorted(wanted)
    return [] if is_own and not caller.scopes else sorted(granted(role) & caller.permissions)


def last_moment(own: datetime | None, asked: datetime | None) -> datetime | None:
    """When a key ends that was made with one that ends at `own`: no later. Raises `Forbidden`."""
    if own is None or asked is None:
        return own or asked
    if asked > own:
        raise Forbidden(
            f"The key that this is made with ends at {own:%Y-%m-%dT%H:%M:%SZ}; no key made with it may last longer."
        )
    return asked


def rate_within(own: int | None, asked: int | None, usual: int) -> int | None:
    """The rate of a key that somebody makes for himself, with a key whose rate is `own`: a lower one is handed on, a
    higher one is not, or he could have it as many times as he makes keys. None: `usual`, what every user may."""
    return asked or (own if own is not None and own < usual else None)


def _check(missing: frozenset[Permission], what: str) -> None:
    if missing:
        raise Forbidden(f"{what} may do what you may not: {', '.join(f'`{one}`' for one in sorted(missing))}.")
