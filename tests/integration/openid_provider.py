"""A real OpenID provider on a free port of this machine: Authlib's authorization server, with PKCE and ID tokens."""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import uvicorn
from authlib.oauth2.rfc6749 import AuthorizationCodeMixin, AuthorizationServer, ClientMixin, OAuth2Request
from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc6750 import BearerTokenGenerator
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oidc.core.grants import OpenIDCode
from joserfc.jwk import ECKey, RSAKey
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

START_SECONDS = 10


@dataclass
class Client(ClientMixin):
    """Somebody who lets people sign in here."""

    id: str
    secret: str | None
    redirect_uri: str

    def get_client_id(self) -> str:
        return self.id

    def get_default_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_allowed_scope(self, scope: str | None) -> str:
        return " ".join(name for name in (scope or "").split() if name in ("openid", "email", "profile"))

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return redirect_uri == self.redirect_uri

    def check_client_secret(self, client_secret: str) -> bool:
        return self.secret is not None and secrets.compare_digest(self.secret, client_secret)

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        return (method == "none") == (self.secret is None)

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return grant_type == "authorization_code"


@dataclass
class Code(AuthorizationCodeMixin):
    """What the browser carries back."""

    code: str
    client_id: str
    redirect_uri: str
    scope: str
    user: dict[str, Any]
    nonce: str | None
    code_challenge: str | None
    code_challenge_method: str | None

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return self.scope

    def get_nonce(self) -> str | None:
        return self.nonce

    def get_auth_time(self) -> int:
        return int(time.time())

    def get_acr(self) -> None:
        return None

    def get_amr(self) -> None:
        return None


class _Request(OAuth2Request):
    def __init__(self, request: Request, form: dict[str, str]) -> None:
        super().__init__(request.method, str(request.url), headers=request.headers)
        self.payload = BasicOAuth2Payload({**request.query_params, **form})
        self._form = form

    @property
    def args(self) -> dict[str, str]:
        return self.payload.data

    @property
    def form(self) -> dict[str, str]:
        return self._form


class _Server(AuthorizationServer):
    def __init__(self, provider: "OpenIDProvider") -> None:
        super().__init__(["openid", "email", "profile"])
        self.provider = provider

        class Grant(AuthorizationCodeGrant):
            TOKEN_ENDPOINT_AUTH_METHODS: ClassVar = ["client_secret_basic", "client_secret_post", "none"]

            def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
                asked = request.payload.data
                provider.codes[code] = Code(
                    code=code,
                    client_id=request.client.id,
                    redirect_uri=request.payload.redirect_uri,
                    scope=request.scope,
                    user=request.user,
                    nonce=asked.get("nonce"),
                    code_challenge=asked.get("code_challenge"),
                    code_challenge_method=asked.get("code_challenge_method"),
                )

            def query_authorization_code(self, code: str, client: Client) -> Code | None:
                found = provider.codes.get(code)
                return found if found and found.client_id == client.id else None

            def delete_authorization_code(self, authorization_code: Code) -> None:
                del provider.codes[authorization_code.code]

            def authenticate_user(self, authorization_code: Code) -> dict[str, Any]:
                return authorization_code.user

        class IDTokens(OpenIDCode):
            def exists_nonce(self, nonce: str, request: OAuth2Request) -> bool:
                return any(code.nonce == nonce for code in provider.codes.values())

            def resolve_client_private_key(self, client: Client) -> Any:
                return provider.key

            def get_client_algorithm(self, client: Client) -> str:
                return provider.algorithm

            def get_encode_header(self, client: Client) -> dict[str, str]:
                return {"alg": provider.algorithm, "kid": provider.key.kid}

            def get_client_claims(self, client: Client) -> dict[str, Any]:
                now = int(time.time())
                claims = {"iss": provider.url, "aud": [client.id], "iat": now, "exp": now + 300}
                return claims | provider.claims

            def generate_user_info(self, user: dict[str, Any], scope: str) -> dict[str, Any]:
                return user if provider.is_talkative else {"sub": user["sub"]}

        self.register_grant(Grant, [CodeChallenge(required=True), IDTokens(require_nonce=True)])
        self.register_token_generator("default", BearerTokenGenerator(lambda *_, **__: secrets.token_urlsafe(32)))

    def query_client(self, client_id: str) -> Client | None:
        return self.provider.clients.get(client_id)

    def save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        self.provider.tokens[token["access_token"]] = request.user

    def create_oauth2_request(self, request: OAuth2Request) -> OAuth2Request:
        return request

    def handle_response(self, status: int, body: Any, headers: Any) -> Response:
        if isinstance(body, dict):
            return JSONResponse(body, status, dict(headers))
        return Response(body, status, dict(headers))

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        pass


@dataclass
class OpenIDProvider:
    """Set the attributes while it runs; the next request follows them."""

    url: str = ""
    clients: dict[str, Client] = field(default_factory=dict)
    codes: dict[str, Code] = field(default_factory=dict)
    tokens: dict[str, dict[str, Any]] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=dict)
    """Who sits at the browser, by his claims."""
    claims: dict[str, Any] = field(default_factory=dict)
    """Of ID tokens, instead of the right ones."""
    is_talkative: bool = True
    """Whether ID tokens say more than the subject; else the userinfo endpoint does."""
    published: dict[str, Any] = field(default_factory=dict)
    """In the discovery document, instead of what is right."""
    asked: list[str] = field(default_factory=list)
    """Paths, in order of arrival."""
    key: Any = None
    algorithm: str = "RS256"

    def __post_init__(self) -> None:
        self.use_new_key("RS256")
        self._server = _Server(self)

    def use_new_key(self, algorithm: str) -> None:
        """From now on this key alone signs, and is published."""
        kind = RSAKey.generate_key(2048) if algorithm == "RS256" else ECKey.generate_key("P-256")
        kind.ensure_kid()
        self.key, self.algorithm = kind, algorithm

    async def discovery(self, request: Request) -> Response:
        document = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [self.algorithm],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"],
        }
        return self._noted(request, JSONResponse(document | self.published))

    async def jwks(self, request: Request) -> Response:
        return self._noted(request, JSONResponse({"keys": [self.key.as_dict(private=False)]}))

    async def authorize(self, request: Request) -> Response:
        """The person is signed in already, and agrees."""
        asked = _Request(request, {})

        def answer() -> Response:
            grant = self._server.get_consent_grant(asked, self.person)
            return self._server.create_authorization_response(asked, self.person, grant)

        return self._noted(request, await run_in_threadpool(answer))

    async def token(self, request: Request) -> Response:
        async with request.form() as form:
            asked = _Request(request, {name: str(value) for name, value in form.items()})
        return self._noted(request, await run_in_threadpool(self._server.create_token_response, asked))

    async def userinfo(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        found = self.tokens.get(token)
        return self._noted(request, JSONResponse(found) if found else Response(status_code=401))

    def _noted(self, request: Request, answer: Response) -> Response:
        self.asked.append(request.url.path)
        return answer


@contextmanager
def running_provider() -> Iterator[OpenIDProvider]:
    """Runs until the block ends, in a thread of its own."""
    provider = OpenIDProvider()
    app = Starlette(
        routes=[
            Route("/.well-known/openid-configuration", provider.discovery),
            Route("/jwks", provider.jwks),
            Route("/authorize", provider.authorize),
            Route("/token", provider.token, methods=["POST"]),
            Route("/userinfo", provider.userinfo),
        ]
    )
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        provider.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
