"""Keys, access tokens and passwords: what is signed here is believed, and nothing else."""

import base64
import concurrent.futures
import json
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from pwdlib import PasswordHash

from arqueduct import passwords
from arqueduct.errors import AccessTokenExpired, NotAuthenticated, SetupError, WeakPassword
from arqueduct.passwords import NOBODYS, Passwords
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings, load
from arqueduct.tokens import AccessTokens, is_access_token, new_refresh_token

OLD, NEW = "old-" + "0123456789abcdefghijklmnopqrstuv", "new-" + "0123456789abcdefghijklmnopqrstuv"
KEYS = SecretKeys([OLD])
TOKENS = AccessTokens(KEYS, 600)
(KID,) = KEYS.jwt


def token_of(tokens: AccessTokens = TOKENS, until: float | None = None) -> str:
    return tokens.issue(user_id=uuid4(), session_id=uuid4(), tenant_id=uuid4(), until=until or time.time() + 9e5)[0]


def forged(key: Any = KEYS.jwt[KID], algorithm: str = "HS256", kid: Any = KID, **changed: Any) -> str:
    """A token of ours but for what is named; a claim of None is left out."""
    now = int(time.time())
    claims = {"iss": "arqueduct", "aud": "arqueduct-api", "iat": now, "exp": now + 60}
    claims |= {name: str(uuid4()) for name in ("sub", "sid", "tid")} | changed
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, key, algorithm, headers)


def unsigned(header: dict[str, Any]) -> str:
    """The payload of a good token behind a header of our making, without a signature."""
    told = base64.urlsafe_b64encode(json.dumps(header).encode()).decode().rstrip("=")
    return f"{told}.{token_of().split('.')[1]}."


def with_other_payload() -> str:
    head, _, signature = token_of().split(".")
    return ".".join([head, token_of().split(".")[1], signature])


def with_key_pair() -> str:
    return forged(key=rsa.generate_private_key(65537, 2048), algorithm="RS256")


def test_a_token_tells_whose_session_it_is_and_until_when() -> None:
    user, session, tenant = uuid4(), uuid4(), uuid4()
    token, seconds = TOKENS.issue(user_id=user, session_id=session, tenant_id=tenant, until=time.time() + 9e5)
    claims = TOKENS.read(token)
    assert (claims.user_id, claims.session_id, claims.tenant_id) == (user, session, tenant)
    assert seconds == 600
    assert claims.expires_at == pytest.approx(time.time() + 600, abs=2)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "kid": KID, "typ": "JWT"}
    assert is_access_token(token)
    assert len(token) <= 512


def test_a_token_does_not_outlive_its_session() -> None:
    token = token_of(until=time.time() + 30)
    assert TOKENS.read(token).expires_at == pytest.approx(time.time() + 30, abs=2)


def test_refresh_tokens_are_no_access_tokens_and_never_the_same() -> None:
    assert not is_access_token(new_refresh_token())
    assert len({new_refresh_token() for _ in range(100)}) == 100


FORGERIES: dict[str, Callable[[], str]] = {
    "no algorithm": lambda: unsigned({"alg": "none", "kid": KID}),
    "no algorithm, oddly written": lambda: unsigned({"alg": "nOnE", "kid": KID}),
    "no signature": lambda: unsigned({"alg": "HS256", "kid": KID}),
    "another algorithm": lambda: forged(key=KEYS.jwt[KID] * 2, algorithm="HS512"),
    "another key": lambda: forged(key=b"x" * 32),
    "a key pair": with_key_pair,
    "the secret itself": lambda: forged(key=OLD.encode()),
    "another payload": with_other_payload,
    "no kid": lambda: forged(kid=None),
    "a kid nobody has": lambda: forged(kid="0" * 16),
    "a kid that is a path": lambda: forged(kid="../../dev/null", key=b"\0" * 32),
    "another issuer": lambda: forged(iss="https://issuer.example"),
    "another audience": lambda: forged(aud="https://api.example"),
    "several audiences": lambda: forged(aud=["arqueduct-api", "https://api.example"]),
    "no audience": lambda: forged(aud=None),
    "no issuer": lambda: forged(iss=None),
    "no end": lambda: forged(exp=None),
    "no start": lambda: forged(iat=None),
    "an end that is no number": lambda: forged(exp="tomorrow"),
    "an end beyond all time": lambda: forged(exp=10**400),
    "from the future": lambda: forged(iat=int(time.time()) + 600),
    "no session": lambda: forged(sid=None),
    "a session that is no id": lambda: forged(sid="' OR true --"),
    "a session that is a list": lambda: forged(sid=[str(uuid4())]),
    "no tenant": lambda: forged(tid=None),
    "no user": lambda: forged(sub=None),
    "no JSON": lambda: "eyJ.eyJ.eyJ",
    "nothing": lambda: "..",
    "far too long": lambda: forged(pad="x" * 2000),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_was_not_signed_here_is_refused(forgery: str) -> None:
    with pytest.raises(NotAuthenticated) as refused:
        TOKENS.read(FORGERIES[forgery]())
    assert refused.value.code == "not_authenticated"


def test_a_good_token_from_the_forger_would_pass() -> None:
    """So the table above shows the difference that each line makes."""
    assert isinstance(TOKENS.read(forged()).user_id, UUID)


def test_a_token_that_is_over_says_so() -> None:
    with pytest.raises(AccessTokenExpired):
        TOKENS.read(forged(iat=int(time.time()) - 700, exp=int(time.time()) - 100))


def test_a_new_key_signs_and_the_old_ones_still_verify() -> None:
    before = token_of()
    both = AccessTokens(SecretKeys([NEW, OLD]), 600)
    assert both.read(before)
    after = token_of(both)
    assert jwt.get_unverified_header(after)["kid"] != KID
    with pytest.raises(NotAuthenticated):
        TOKENS.read(after)
    with pytest.raises(NotAuthenticated):
        AccessTokens(SecretKeys([NEW]), 600).read(before)


def test_what_is_sealed_survives_a_change_of_keys_and_nothing_else() -> None:
    sealed = KEYS.seal(b"whsec_x")
    assert b"whsec" not in sealed
    assert KEYS.seal(b"whsec_x") != sealed
    assert SecretKeys([NEW, OLD]).open(sealed) == b"whsec_x"
    with pytest.raises(SetupError, match="ARQUEDUCT_SECRET_KEYS does not have"):
        SecretKeys([NEW]).open(sealed)
    with pytest.raises(SetupError):
        KEYS.open(sealed[:-4] + b"AAA=")


def test_keys_are_shown_nowhere() -> None:
    settings = load(secret_keys=OLD)
    assert OLD not in repr(settings)
    assert OLD not in repr(SecretKeys.of(settings)) + str(vars(TOKENS))


def test_a_key_that_is_too_short_is_refused_and_not_repeated() -> None:
    with pytest.raises(SetupError, match="at least 32") as refused:
        SecretKeys.of(load(secret_keys=f"{OLD},short-secret"))
    assert "short-secret" not in refused.value.message


@pytest.mark.parametrize("weak", ["short", "a" * 32, f"{OLD},{'ab' * 20}"])
def test_production_refuses_weak_keys(weak: str) -> None:
    with pytest.raises(SetupError, match="a key in secret_keys is weak"):
        load(environment="production", secret_keys=weak)


def test_production_makes_no_keys_by_itself(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="ARQUEDUCT_SECRET_KEYS is not set"):
        SecretKeys.of(load(environment="production", data_dir=tmp_path))
    assert not list(tmp_path.iterdir())


def test_keys_come_from_a_file_newest_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{NEW},\n{OLD}\n")
    monkeypatch.setenv("ARQUEDUCT_SECRET_KEYS_FILE", str(tmp_path / "keys"))
    assert list(SecretKeys.of(load()).jwt) == list(SecretKeys([NEW, OLD]).jwt)


def test_in_development_processes_that_start_at_once_agree_on_new_keys(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        found = list(threads.map(lambda _: tuple(SecretKeys.of(settings).jwt), range(8)))
    assert len(set(found)) == 1
    (file,) = (tmp_path / "data").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("password", "rule"),
    [
        ("short pass", "at least 12"),
        ("x y z " * 50, "at most 256"),
        ("password1234", "everybody tries first"),
        ("P@ssw0rd-2026!", "everybody tries first"),
        ("aaaaaaaaaaaaaaaa", "everybody tries first"),
        ("abcabcabcabcabc", "everybody tries first"),
        ("qwertyuiop1234", "everybody tries first"),
        ("1q2w3e4r5t6y", "everybody tries first"),
        ("Arqueduct2026!", "everybody tries first"),
        ("Lovelace and more", "name of your e-mail address"),
    ],
)
def test_a_password_that_is_easy_to_guess_is_refused_with_the_rule(password: str, rule: str) -> None:
    with pytest.raises(WeakPassword, match=rule):
        passwords.check(password, "lovelace@example.org")


@pytest.mark.parametrize("password", ["correct horse battery", "w7Kp-qz2v-9LmX", "Donaudampfschiff", "пароль из слов"])
def test_other_passwords_are_good(password: str) -> None:
    passwords.check(password, "ada@example.org")


async def test_a_password_is_the_same_however_its_letters_are_composed() -> None:
    keeper = Passwords()
    hashed = await keeper.hash("caf\u00e9 au lait chaud")
    assert await keeper.verify("cafe\u0301 au lait chaud", hashed)
    assert not await keeper.verify("cafe au lait chaud", hashed)
    keeper.close()


@pytest.mark.parametrize("nobody", [None, ""])
async def test_nobody_has_a_password_and_finding_that_out_costs_as_much(nobody: str | None) -> None:
    keeper = Passwords()
    assert not await keeper.verify("anything at all", nobody)
    keeper.close()
    assert not PasswordHash.recommended().current_hasher.check_needs_rehash(NOBODYS)
