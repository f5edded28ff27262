"""Signing in over the API, as tests do it."""

from typing import Any

import httpx

from arqueduct.identity import NewIdentity

__all__ = ["BETTER", "bearer", "login", "me_of", "refresh"]

BETTER = "water finds its own way"
"""A password that is good enough."""


async def login(client: httpx.AsyncClient, me: NewIdentity, **changed: Any) -> Any:
    answer = await client.post("/api/v1/auth/login", json={"email": me.email, "password": me.password, **changed})
    assert answer.status_code == 200, answer.text
    return answer.json()


def bearer(tokens: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def refresh(client: httpx.AsyncClient, token: str) -> httpx.Response:
    return await client.post("/api/v1/auth/refresh", json={"refresh_token": token})


async def me_of(client: httpx.AsyncClient, tokens: Any) -> httpx.Response:
    return await client.get("/api/v1/auth/me", headers=bearer(tokens))
