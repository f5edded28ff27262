"""Members of the tenant that is attacked from: made for one attack, by invitation, as anybody would be."""

import secrets
from dataclasses import dataclass

import httpx

from arqueduct.ids import new_id
from tests.attack.target import PREFIX, Person, Target

__all__ = ["Limited", "Member", "join", "sign_in"]


class Limited(Exception):
    """The service lets nobody sign in just now: nothing can be tried."""


@dataclass(kw_only=True)
class Member:
    """Somebody who has signed in."""

    user_id: str
    email: str
    password: str
    role: str
    access_token: str = ""
    refresh_token: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def join(target: Target, role: str, *, by: Person | None = None) -> Member:
    """A new member of my tenant, or of that of `by`; `service` has a key instead of a session. Raises `Limited`."""
    async with target.client(by or target.me) as inviter:
        if role == "service":
            return await _service(inviter)
        email, password = f"{role}-{new_id()}@example.org", secrets.token_urlsafe(18)
        invited = await inviter.post(f"{PREFIX}/invitations", json={"email": email, "role": role})
        token = invited.raise_for_status().json()["token"]
    async with target.client() as nobody:
        accepted = _let(await nobody.post(f"{PREFIX}/auth/invitations/accept", json=_pair(token, password)))
        member = Member(user_id=accepted.json()["user_id"], email=email, password=password, role=role)
        await sign_in(nobody, member)
    return member


async def sign_in(nobody: httpx.AsyncClient, member: Member) -> None:
    """Anew. Raises `Limited`."""
    asked = {"email": member.email, "password": member.password}
    tokens = _let(await nobody.post(f"{PREFIX}/auth/login", json=asked)).json()
    member.access_token, member.refresh_token = tokens["access_token"], tokens["refresh_token"]


async def _service(inviter: httpx.AsyncClient) -> Member:
    made = (await inviter.post(f"{PREFIX}/service-accounts", json={"name": "a program"})).raise_for_status().json()
    key = await inviter.post(f"{PREFIX}/keys", json={"name": "a program", "user_id": made["user_id"]})
    secret = key.raise_for_status().json()["api_key"]
    return Member(user_id=made["user_id"], email="", password="", role="service", access_token=secret)


def _pair(token: str, password: str) -> dict[str, str]:
    return {"token": token, "password": password}


def _let(answer: httpx.Response) -> httpx.Response:
    if answer.status_code == 429:
        raise Limited
    return answer.raise_for_status()
