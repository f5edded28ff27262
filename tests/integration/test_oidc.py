"""Signing in with an OpenID provider: a real one, and everything that must not get anybody in."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from pydantic import SecretStr

from arqueduct.errors import SetupError, SignInRefused
from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings, load
from tests.integration.backend import client_of, problem, services_of, serving
from tests.integration.openid_provider import Client, OpenIDProvider, running_provider

PAGE = "https://app.example.org/signed-in"
ADA = {"sub": "ada-1", "email": "ada@example.org", "email_verified": True, "name": "Ada"}


@pytest.fixture(scope="module")
def running() -> Iterator[OpenIDProvider]:
    with running_provider() as started:
        yield started


@pytest.fixture
def provider(running: OpenIDProvider) -> OpenIDProvider:
    """As new, with us as its client, and Ada at the browser."""
    fresh = {
        "clients": {"us": Client("us", "a secret", PAGE), "them": Client("them", None, "https://them.example")},
        "person": dict(ADA),
        "claims": {},
        "published": {},
        "asked": [],
        "is_talkative": True,
    }
    vars(running).update(fresh)
    running.use_new_key("RS256")
    return running


@pytest.fixture
def oidc_settings(settings: Settings, provider: OpenIDProvider) -> Settings:
    return settings.model_copy(
        update={
            "oidc_issuer": provider.url,
            "oidc_client_id": "us",
            "oidc_client_secret": SecretStr("a secret"),
            "oidc_redirect_url": PAGE,
        }
    )


@pytest.fixture
async def oidc_app(oidc_settings: Settings) -> AsyncIterator[FastAPI]:
    async with serving(oidc_settings) as started:
        yield started


@pytest.fixture
async def page(oidc_app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """The page that lets people sign in."""
    async with client_of(oidc_app) as client:
        yield client


@pytest.fixture
async def owner(settings: Settings) -> AsyncIterator[Any]:
    assert settings.database_url is not None
    connection = await asyncpg.connect(settings.database_url.get_secret_value())
    yield connection
    await connection.close()


async def invite(owner: Any, me: NewIdentity, email: str = "Ada@example.org", role: str = "editor") -> None:
    await owner.execute(
        "INSERT INTO invitations (id, tenant_id, email, role, token_hash, expires_at) VALUES (gen_random_uuid(), $1, "
        "$2, $3, uuid_send(gen_random_uuid()), now() + interval '1 day')",
        me.tenant_id,
        email,
        role,
    )


BINDINGS: dict[str, str] = {}
"""What pages keep while the browser is away, by `state`."""


async def start(page: httpx.AsyncClient) -> str:
    answer = await page.get("/api/v1/auth/oidc/start")
    assert answer.status_code == 200, answer.text
    url = str(answer.json()["url"])
    BINDINGS[parse_qs(urlsplit(url).query)["state"][0]] = answer.json()["binding"]
    return url


async def browse(url: str) -> dict[str, str]:
    """What the provider sends the browser back with."""
    async with httpx.AsyncClient() as browser:
        answer = await browser.get(url)
    assert answer.status_code == 302, answer.text
    location = answer.headers["location"]
    assert location.startswith(PAGE)
    return {name: values[0] for name, values in parse_qs(urlsplit(location).query).items()}


async def finish(page: httpx.AsyncClient, brought: dict[str, str], **changed: Any) -> httpx.Response:
    return await page.post(
        "/api/v1/auth/oidc/finish", json={"binding": BINDINGS[brought["state"]], **brought, **changed}
    )


async def sign_in(page: httpx.AsyncClient, **asked: Any) -> httpx.Response:
    return await finish(page, await browse(await start(page)), **asked)


def changed(url: str, **parameters: str) -> str:
    parts = urlsplit(url)
    asked = {name: values[0] for name, values in parse_qs(parts.query).items()} | parameters
    return parts._replace(query=urlencode(asked)).geturl()


async def test_who_was_invited_gets_an_account_and_comes_back_to_it(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    first = (await sign_in(page)).json()
    assert first["user"] | {"id": ""} == {"id": "", "email": "Ada@example.org", "name": "Ada"}
    assert first["tenant"] == {"id": str(me.tenant_id), "name": "test", "role": "editor"}
    again = (await sign_in(page)).json()
    assert again["user"]["id"] == first["user"]["id"]
    about = await page.get("/api/v1/auth/me", headers={"Authorization": f"Bearer {again['access_token']}"})
    assert about.json()["signed_in_by"]["method"] == "oidc"
    renewed = await page.post("/api/v1/auth/refresh", json={"refresh_token": again["refresh_token"]})
    assert renewed.status_code == 200
    lines = await owner.fetch("SELECT outcome, tenant_id FROM audit_log WHERE action = 'finish_oidc'")
    assert [tuple(line) for line in lines] == [("done", me.tenant_id)] * 2


async def test_the_browser_carries_no_secret_of_the_sign_in(page: httpx.AsyncClient) -> None:
    url = await start(page)
    asked = parse_qs(urlsplit(url).query)
    assert BINDINGS[asked["state"][0]] not in url
    assert asked["code_challenge_method"] == ["S256"]
    assert set(asked) == {
        *("client_id", "code_challenge", "code_challenge_method", "nonce", "redirect_uri", "response_type"),
        *("scope", "state"),
    }


async def test_an_account_keeps_its_owner_when_the_address_changes_at_the_provider(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    first = (await sign_in(page)).json()
    provider.person = ADA | {"email": "lovelace@example.org"}
    assert (await sign_in(page)).json()["user"]["id"] == first["user"]["id"]
    provider.person = ADA | {"sub": "somebody-else"}
    problem(await sign_in(page), 403, "invitation_needed")


async def test_nobody_takes_over_an_account_by_its_address(
    page: httpx.AsyncClient,
    provider: OpenIDProvider,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Any,
) -> None:
    provider.person = ADA | {"email": me.email}
    problem(await sign_in(page), 403, "invitation_needed")
    await invite(owner, await new_identity(), me.email)
    told = problem(await sign_in(page), 403, "forbidden")
    assert "with its password" in told["detail"]
    assert await owner.fetchval("SELECT count(*) FROM external_identities") == 0
    assert await owner.fetchval("SELECT count(*) FROM invitations WHERE accepted_at IS NULL") == 1
    assert await owner.fetchval("SELECT count(*) FROM memberships WHERE user_id = $1", me.user_id) == 1


async def test_an_invitation_of_a_tenant_that_squats_on_an_address_does_not_beat_the_one_that_was_meant(
    page: httpx.AsyncClient, me: NewIdentity, new_identity: Callable[[], Awaitable[NewIdentity]], owner: Any
) -> None:
    squatter = await new_identity()
    await invite(owner, squatter, ADA["email"], "viewer")
    await invite(owner, me, ADA["email"], "editor")
    told = problem(await sign_in(page), 409, "several_invitations")
    assert str(me.tenant_id) in told["detail"]
    assert str(squatter.tenant_id) in told["detail"]
    assert await owner.fetchval("SELECT count(*) FROM invitations WHERE accepted_at IS NOT NULL") == 0
    problem(await sign_in(page, tenant_id=str((await new_identity()).tenant_id)), 403, "invitation_needed")
    signed_in = (await sign_in(page, tenant_id=str(me.tenant_id))).json()
    assert (signed_in["tenant"]["id"], signed_in["tenant"]["role"]) == (str(me.tenant_id), "editor")
    assert signed_in["other_tenants"] == []
    assert (await sign_in(page)).json()["tenant"]["id"] == str(me.tenant_id)


async def test_two_invitations_of_one_tenant_are_one(page: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    await invite(owner, me, role="viewer")
    await invite(owner, me, role="editor")
    assert (await sign_in(page)).json()["tenant"]["role"] == "editor"


async def test_somebody_without_a_password_accepts_the_invitation_of_a_second_tenant(
    page: httpx.AsyncClient,
    provider: OpenIDProvider,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Any,
) -> None:
    await invite(owner, me)
    first = (await sign_in(page)).json()
    second = await new_identity()
    asked = {"tenant_id": str(second.tenant_id)}
    problem(await sign_in(page, **asked), 404, "not_found")
    await invite(owner, second, role="viewer")
    assert (await sign_in(page)).json()["other_tenants"] == []  # nothing is accepted that was not asked for
    for changed_person in ({"email": "lovelace@example.org"}, {"email_verified": False}):
        provider.person = ADA | changed_person
        problem(await sign_in(page, **asked), 404, "not_found")
    provider.person = dict(ADA)
    signed_in = (await sign_in(page, **asked)).json()
    assert signed_in["user"]["id"] == first["user"]["id"]
    assert (signed_in["tenant"]["id"], signed_in["tenant"]["role"]) == (str(second.tenant_id), "viewer")
    assert [place["id"] for place in signed_in["other_tenants"]] == [str(me.tenant_id)]
    (line,) = await owner.fetch("SELECT after FROM audit_log WHERE tenant_id = $1", second.tenant_id)
    assert "invitation_id" in line["after"]


async def test_who_is_known_accepts_at_a_new_address_unless_it_is_somebody_elses(
    page: httpx.AsyncClient,
    provider: OpenIDProvider,
    me: NewIdentity,
    new_identity: Callable[[], Awaitable[NewIdentity]],
    owner: Any,
) -> None:
    await invite(owner, me)
    ada = (await sign_in(page)).json()["user"]
    second, third = await new_identity(), await new_identity()
    asked = {"tenant_id": str(second.tenant_id)}
    provider.person = ADA | {"email": third.email}
    await invite(owner, second, third.email)
    problem(await sign_in(page, **asked), 403, "forbidden")
    assert await owner.fetchval("SELECT count(*) FROM memberships WHERE tenant_id = $1", second.tenant_id) == 1
    provider.person = ADA | {"email": "lovelace@example.org"}
    await invite(owner, second, "lovelace@example.org")
    signed_in = (await sign_in(page, **asked)).json()
    assert (signed_in["user"]["id"], signed_in["user"]["email"]) == (ada["id"], "Ada@example.org")


async def test_who_left_his_only_tenant_is_invited_like_a_new_person(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    ada = (await sign_in(page)).json()["user"]["id"]
    await owner.execute("DELETE FROM memberships WHERE user_id = $1", ada)
    problem(await sign_in(page), 403, "forbidden")
    await invite(owner, me, role="viewer")
    again = (await sign_in(page)).json()
    assert (again["user"]["id"], again["tenant"]["role"]) == (ada, "viewer")


@pytest.mark.parametrize(
    "person",
    [
        {"sub": "x", "name": "X"},
        ADA | {"email_verified": False},
        ADA | {"email_verified": "true"},
        {name: value for name, value in ADA.items() if name != "email_verified"},
        ADA | {"email": "uninvited@example.org"},
    ],
    ids=["no address", "not verified", "text", "not said", "not invited"],
)
async def test_who_was_not_invited_by_a_verified_address_is_told_what_to_do(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any, person: dict[str, Any]
) -> None:
    await invite(owner, me)
    provider.person = person
    told = problem(await sign_in(page), 403, "invitation_needed")
    assert "invite" in told["advice"]
    assert await owner.fetchval("SELECT count(*) FROM users") == 1


@pytest.mark.parametrize("column", ["expires_at", "revoked_at", "accepted_at"])
async def test_an_invitation_that_is_open_no_more_lets_nobody_in(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any, column: str
) -> None:
    await invite(owner, me)
    await owner.execute(f"UPDATE invitations SET {column} = now()")
    problem(await sign_in(page), 403, "invitation_needed")


async def test_who_is_disabled_stays_out(page: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    await invite(owner, me)
    assert (await sign_in(page)).status_code == 200
    await owner.execute("UPDATE users SET disabled_at = now() WHERE email = 'Ada@example.org'")
    problem(await sign_in(page), 403, "invitation_needed")
    await invite(owner, me)
    problem(await sign_in(page), 403, "invitation_needed")


async def test_a_short_id_token_is_completed_by_the_userinfo_endpoint(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    provider.is_talkative = False
    assert (await sign_in(page)).json()["user"]["name"] == "Ada"


async def test_a_sign_in_is_finished_once_and_only_with_its_own_state(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    brought = await browse(await start(page))
    for state in ("x", "x" * 43, "\u00e4" * 43, brought["state"][:-1]):
        problem(await finish(page, brought, state=state), 401, "sign_in_refused")
    assert (await finish(page, brought)).status_code == 200
    problem(await finish(page, brought), 401, "sign_in_refused")


async def test_a_sign_in_is_kept_for_ten_minutes(
    oidc_app: FastAPI, page: httpx.AsyncClient, oidc_settings: Settings
) -> None:
    brought = await browse(await start(page))
    services = services_of(oidc_app)
    kept = services.keys.sign_in(hashlib.sha256(brought["state"].encode()).hexdigest())
    assert 590 <= await services.redis.ttl(kept) <= 600
    await services.redis.delete(kept)
    problem(await finish(page, brought), 401, "sign_in_refused")


async def test_a_strangers_link_signs_nobody_in_to_the_strangers_account(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    """The stranger signs in, keeps what the provider sent back, and lets somebody else's page open it."""
    await invite(owner, me)
    strangers, own = await browse(await start(page)), await browse(await start(page))
    refused = await finish(page, strangers, binding=BINDINGS[own["state"]])
    problem(refused, 401, "sign_in_refused")


async def test_a_code_of_another_sign_in_is_refused_by_its_verifier(
    page: httpx.AsyncClient, me: NewIdentity, owner: Any
) -> None:
    """What a thief of a code would do: use it in a sign-in of his own."""
    await invite(owner, me)
    stolen, own = await browse(await start(page)), await browse(await start(page))
    problem(await finish(page, own, code=stolen["code"]), 401, "sign_in_refused")


async def test_an_invented_code_is_refused(page: httpx.AsyncClient) -> None:
    problem(await finish(page, await browse(await start(page)), code="invented"), 401, "sign_in_refused")


async def test_an_id_token_with_another_nonce_is_refused(page: httpx.AsyncClient, me: NewIdentity, owner: Any) -> None:
    await invite(owner, me)
    url = changed(await start(page), nonce="of-another-sign-in")
    problem(await finish(page, await browse(url)), 401, "sign_in_refused")


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": ["them"]},
        {"aud": []},
        {"aud": ["us", "them"]},
        {"aud": ["us", "them"], "azp": "them"},
        {"aud": ["us"], "azp": "them"},
        {"iss": "https://issuer.example"},
        {"exp": 1},
        {"iat": 9_999_999_999},
        {"nbf": 9_999_999_999},
    ],
    ids=str,
)
async def test_an_id_token_that_was_not_made_for_us_now_is_refused(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any, claims: dict[str, Any]
) -> None:
    await invite(owner, me)
    provider.claims = claims
    problem(await sign_in(page), 401, "sign_in_refused")
    provider.claims = {"aud": ["us", "them"], "azp": "us"}
    assert (await sign_in(page)).status_code == 200


async def test_an_id_token_of_another_client_is_refused(oidc_app: FastAPI, provider: OpenIDProvider) -> None:
    """What another application of the same provider could do with the tokens of its guests."""
    services = services_of(oidc_app)
    assert services.provider is not None
    verifier = "v" * 43
    async with httpx.AsyncClient(base_url=provider.url) as browser:
        common = {"client_id": "them", "redirect_uri": "https://them.example"}
        proof = {"code_challenge": verifier, "code_challenge_method": "plain"}
        asked = common | proof | {"response_type": "code", "scope": "openid", "nonce": "n"}
        sent_back = (await browser.get("/authorize", params=asked)).headers["location"]
        code = parse_qs(urlsplit(sent_back).query)["code"][0]
        form = common | {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
        token = (await browser.post("/token", data=form)).json()["id_token"]
    with pytest.raises(SignInRefused):
        await services.provider.verify(token, "n")


async def test_new_keys_of_the_provider_are_found_and_strangers_keys_are_not_looked_for_again(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await invite(owner, me)
    assert (await sign_in(page)).status_code == 200
    provider.use_new_key("ES256")
    problem(await sign_in(page), 401, "sign_in_refused")  # looked a moment ago
    assert provider.asked.count("/jwks") == 1
    monkeypatch.setattr("arqueduct_backend.oidc_endpoints.AGAIN_SECONDS", 0)
    assert (await sign_in(page)).status_code == 200
    assert provider.asked.count("/jwks") == 2


@pytest.mark.parametrize(
    "published",
    [
        {"issuer": "https://issuer.example"},
        {"authorization_endpoint": "http://login.example/authorize"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": None},
        {"jwks_uri": "http://10.0.0.1/keys"},
    ],
    ids=str,
)
async def test_a_provider_that_publishes_nonsense_is_not_used(
    page: httpx.AsyncClient, provider: OpenIDProvider, published: dict[str, Any]
) -> None:
    provider.published = published
    problem(await page.get("/api/v1/auth/oidc/start"), 503, "dependency_unavailable")


async def test_a_provider_that_is_away_is_an_outage_of_signing_in_only(
    oidc_settings: Settings, me: NewIdentity
) -> None:
    away = oidc_settings.model_copy(update={"oidc_issuer": "http://127.0.0.1:1"})
    async with serving(away) as app, client_of(app, me) as client:
        problem(await client.get("/api/v1/auth/oidc/start"), 503, "dependency_unavailable")
        assert (await client.get("/api/v1/documents")).status_code == 200


async def test_a_public_client_signs_in_without_a_secret(
    oidc_settings: Settings, provider: OpenIDProvider, me: NewIdentity, owner: Any
) -> None:
    provider.clients["us"] = Client("us", None, PAGE)
    await invite(owner, me)
    public = oidc_settings.model_copy(update={"oidc_client_secret": None})
    async with serving(public) as app, client_of(app) as client:
        assert (await sign_in(client)).status_code == 200


async def test_a_secret_in_the_form_does_where_the_provider_wants_it_there(
    page: httpx.AsyncClient, provider: OpenIDProvider, me: NewIdentity, owner: Any
) -> None:
    await invite(owner, me)
    provider.published = {"token_endpoint_auth_methods_supported": ["client_secret_post"]}
    assert (await sign_in(page)).status_code == 200


async def test_a_wrong_secret_of_ours_lets_nobody_in(oidc_settings: Settings, me: NewIdentity, owner: Any) -> None:
    await invite(owner, me)
    wrong = oidc_settings.model_copy(update={"oidc_client_secret": SecretStr("not it")})
    async with serving(wrong) as app, client_of(app) as client:
        problem(await sign_in(client), 401, "sign_in_refused")


async def test_without_a_provider_there_is_no_such_way(api: httpx.AsyncClient) -> None:
    problem(await api.get("/api/v1/auth/oidc/start"), 404, "not_found")
    problem(
        await api.post("/api/v1/auth/oidc/finish", json={"code": "c", "state": "s", "binding": "b"}), 404, "not_found"
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"oidc_issuer": "http://login.example"}, "must begin with https"),
        ({"oidc_issuer": "http://127.0.0.1:9", "environment": "production"}, "must begin with https"),
        ({"oidc_redirect_url": "http://app.example"}, "must begin with https"),
        ({"oidc_client_id": None}, "needs oidc_client_id"),
        ({"oidc_scopes": "email"}, "oidc_scopes"),
    ],
)
def test_settings_that_would_be_listened_in_on_are_refused(given: dict[str, str], said: str) -> None:
    good = {"oidc_issuer": "https://login.example", "oidc_client_id": "us", "oidc_redirect_url": PAGE}
    assert load(**good).oidc_issuer
    with pytest.raises(SetupError, match=said):
        load(**{name: value for name, value in (good | given).items() if value is not None})
