"""Doing twice at once what is good once, and acting while, or after, the right to it is taken away."""

import asyncio
import json
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from arqueduct.ids import new_id
from tests.attack.people import Limited, Member, join, sign_in
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["races"]

AT_ONCE = 8
MOST_MADE = 200
"""By somebody who is removed meanwhile; then he was not removed in time for anything to race."""
OPENS_WITHIN = 10.0
ME = f"{PREFIX}/auth/me"


async def races(target: Target, tally: Tally) -> None:
    if not target.has("/auth/login"):
        tally.not_tried("the service has no login")
        return
    rounds = 1 if target.is_short else 8
    try:
        for _ in range(rounds):
            await _refresh(target, tally)
            await _acceptance(target, tally)
            await _reset(target, tally)
            await _removal(target, tally)
        await _stale_resets(target, tally)
        await _tickets(target, tally)
    except Limited:
        tally.not_tried("the login is limited just now")


async def _at_once(target: Target, request: Callable[[httpx.AsyncClient, int], Awaitable[Any]]) -> list[Any]:
    """The same by many connections, which are open already."""
    async with target.client() as client:
        await asyncio.gather(*(client.get("/livez") for _ in range(AT_ONCE)))
        return await asyncio.gather(*(request(client, number) for number in range(AT_ONCE)))


async def _refresh(target: Target, tally: Tally) -> None:
    member = await join(target, "viewer")
    asked = {"refresh_token": member.refresh_token}
    answers = await _at_once(target, lambda client, _: client.post(f"{PREFIX}/auth/refresh", json=asked))
    won = [answer.json() for answer in answers if answer.status_code == 200]
    tally.check(len(won) == 1, f"{len(won)} of {AT_ONCE} renewals with one token were carried out")
    async with target.client() as client:
        for token in (member.access_token, *(tokens["access_token"] for tokens in won)):
            answer = await client.get(ME, headers={"Authorization": f"Bearer {token}"})
            tally.check(answer.status_code == 401, "a session goes on whose refresh token came eight times")


async def _acceptance(target: Target, tally: Tally) -> None:
    email, passwords = f"race-{new_id()}@example.org", [secrets.token_urlsafe(18) for _ in range(AT_ONCE)]
    token = await _invited(target, email, "viewer")
    answers = await _at_once(
        target,
        lambda client, number: client.post(
            f"{PREFIX}/auth/invitations/accept", json={"token": token, "password": passwords[number]}
        ),
    )
    codes = [answer.status_code for answer in answers]
    tally.check(codes.count(201) == 1, f"an invitation accepted {AT_ONCE} times at once: {codes}")
    opened = await _opened_by(target, email, passwords)
    tally.check(opened == 1, f"{opened} of {AT_ONCE} passwords of an invitation accepted at once are good")
    async with target.client(target.me) as client:
        members = (await client.get(f"{PREFIX}/members", params={"limit": 100})).json()["items"]
    found = sum(member["email"] == email for member in members)
    tally.check(found == 1, f"an invitation accepted at once made {found} members")


async def _reset(target: Target, tally: Tally) -> None:
    member, passwords = await join(target, "viewer"), [secrets.token_urlsafe(18) for _ in range(AT_ONCE)]
    token = await _reset_of(target, target.me.headers, member)
    answers = await _at_once(target, lambda client, number: _redeem(client, token, passwords[number]))
    codes = [answer.status_code for answer in answers]
    tally.check(codes.count(204) == 1, f"a reset used {AT_ONCE} times at once: {codes}")
    opened = await _opened_by(target, member.email, [*passwords, member.password])
    tally.check(opened == 1, f"{opened} passwords are good after a reset that was used {AT_ONCE} times at once")


async def _removal(target: Target, tally: Tally) -> None:
    """An admin who makes keys and invitations as fast as he can while he is removed comes back as a viewer."""
    admin = await join(target, "admin")
    keys: list[str] = []
    tokens: list[str] = []
    has_begun = asyncio.Event()

    async def act(client: httpx.AsyncClient, path: str, body: Callable[[], Any], made: list[str], secret: str) -> None:
        while len(made) < MOST_MADE:
            answer = await client.post(f"{PREFIX}{path}", json=body(), headers=admin.headers)
            if answer.status_code != 201:
                return
            made.append(answer.json()[secret])
            if keys and tokens:
                has_begun.set()

    def invitation() -> dict[str, str]:
        return {"email": f"{new_id()}@example.org", "role": "admin"}

    async with target.client() as client, target.client(target.me) as owner:
        acts = [act(client, "/keys", lambda: {"name": "later"}, keys, "api_key") for _ in range(4)]
        acts += [act(client, "/invitations", invitation, tokens, "token") for _ in range(4)]
        acting = [asyncio.create_task(one) for one in acts]
        await has_begun.wait()
        removed = await owner.delete(f"{PREFIX}/members/{admin.user_id}")
        await asyncio.gather(*acting)
        removed.raise_for_status()
        back = await _invited(target, admin.email, "viewer")
        asked = {"token": back, "password": admin.password}
        (await client.post(f"{PREFIX}/auth/invitations/accept", json=asked)).raise_for_status()
        alive = [(await client.get(ME, headers={"X-API-Key": key})).status_code for key in keys]
        tally.check(set(alive) == {401}, f"{alive.count(200)} keys of a removed admin work when he comes back")
        codes = []
        for token in tokens:
            asked = {"token": token, "password": secrets.token_urlsafe(18)}
            codes.append((await client.post(f"{PREFIX}/auth/invitations/accept", json=asked)).status_code)
        tally.check(set(codes) == {404}, f"{codes.count(201)} invitations of a removed admin were accepted afterwards")


async def _stale_resets(target: Target, tally: Tally) -> None:
    """A token to choose a password, kept until it is worth more than it was."""
    async with target.client(target.me) as owner, target.client() as nobody:
        admin = await join(target, "admin")
        for what in ("was promoted", "joined another tenant", "lost who offered it"):
            member = await join(target, "viewer")
            token = await _reset_of(target, admin.headers, member)
            if what == "was promoted":
                changed = await owner.patch(f"{PREFIX}/members/{member.user_id}", json={"role": "owner"})
                changed.raise_for_status()
            elif what == "joined another tenant":
                invited = await _invited(target, member.email, "owner", of=target.they.headers)
                asked = {"token": invited, "password": member.password}
                (await nobody.post(f"{PREFIX}/auth/invitations/accept", json=asked)).raise_for_status()
            else:
                (await owner.delete(f"{PREFIX}/members/{admin.user_id}")).raise_for_status()
            answer = await _redeem(nobody, token, secrets.token_urlsafe(18))
            tally.check(answer.status_code == 401, f"a reset of somebody who {what} works: {answer.status_code}")
        member = await join(target, "viewer")
        answer = await _redeem(nobody, await _reset_of(target, target.me.headers, member), secrets.token_urlsafe(18))
        tally.check(answer.status_code == 204, f"a reset does not work at all: {answer.text}")


async def _tickets(target: Target, tally: Tally) -> None:
    """Got with a proof that is worth nothing when the socket is opened."""
    async with target.client(target.me) as owner, target.client() as nobody:
        made = (await owner.post(f"{PREFIX}/keys", json={"name": "for a ticket"})).raise_for_status().json()
        key = {"X-API-Key": made["api_key"]}
        tally.check(await _opens(target, await _ticket(nobody, key)), "a ticket opens no socket at all")
        ticket = await _ticket(nobody, key)
        (await owner.delete(f"{PREFIX}/keys/{made['key']['id']}")).raise_for_status()
        tally.check(not await _opens(target, ticket), "a ticket of a revoked key opens a socket")
        member = await join(target, "editor")
        ticket = await _ticket(nobody, member.headers)
        (await nobody.post(f"{PREFIX}/auth/logout", headers=member.headers)).raise_for_status()
        tally.check(not await _opens(target, ticket), "a ticket of a session that was ended opens a socket")
        await sign_in(nobody, member)
        ticket = await _ticket(nobody, member.headers)
        (await owner.delete(f"{PREFIX}/members/{member.user_id}")).raise_for_status()
        tally.check(not await _opens(target, ticket), "a ticket of a removed member opens a socket")


async def _opens(target: Target, ticket: str) -> bool:
    """Whether anything is shown there."""
    url = f"ws://{target.host}:{target.port}{PREFIX}/ws?ticket={ticket}"
    try:
        async with asyncio.timeout(OPENS_WITHIN), connect(url) as client:
            while json.loads(await client.recv())["type"] != "snapshot":
                pass
    except (ConnectionClosed, InvalidHandshake):
        return False
    return True


async def _ticket(client: httpx.AsyncClient, headers: dict[str, str]) -> str:
    made = await client.post(f"{PREFIX}/ws/tickets", headers=headers)
    return str(made.raise_for_status().json()["ticket"])


async def _invited(target: Target, email: str, role: str, *, of: dict[str, str] | None = None) -> str:
    async with target.client() as client:
        asked = {"email": email, "role": role}
        made = await client.post(f"{PREFIX}/invitations", json=asked, headers=of or target.me.headers)
    return str(made.raise_for_status().json()["token"])


async def _reset_of(target: Target, headers: dict[str, str], member: Member) -> str:
    async with target.client() as client:
        made = await client.post(f"{PREFIX}/members/{member.user_id}/password-reset", headers=headers)
    return str(made.raise_for_status().json()["token"])


async def _redeem(client: httpx.AsyncClient, token: str, password: str) -> httpx.Response:
    return await client.post(f"{PREFIX}/auth/password/reset", json={"token": token, "new_password": password})


async def _opened_by(target: Target, email: str, passwords: Sequence[str]) -> int:
    """How many of them are good. Raises `Limited`."""
    async with target.client() as client:
        asked = [{"email": email, "password": password} for password in passwords]
        codes = [(await client.post(f"{PREFIX}/auth/login", json=one)).status_code for one in asked]
    if 429 in codes:
        raise Limited
    return codes.count(200)
