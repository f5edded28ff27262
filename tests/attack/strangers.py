"""Getting round the limits of addresses and accounts, at one more API process of the service that has real ones."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress

import httpx
import psutil

from arqueduct.embedded.process import free_port
from tests.acceptance.processes import ARQUEDUCT, STOP_SECONDS, eventually, read_json
from tests.attack.people import Member, join
from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["TRUSTING", "strangers"]

STRANGERS, SIGN_INS, GUESSES = 20, 10, 5
LIMITS = {
    "ARQUEDUCT_STRANGERS_PER_MINUTE": str(STRANGERS),
    "ARQUEDUCT_SIGN_INS_PER_ADDRESS": str(SIGN_INS),
    "ARQUEDUCT_SIGN_INS_PER_ACCOUNT": str(GUESSES),
}
TRUSTING = {"ARQUEDUCT_TRUSTED_PROXIES": "0.0.0.0/0,::/0"}
"""Settings under which these attacks must succeed."""
SLACK = 2
"""A window may turn while the requests are on their way."""
TIMES = 2.5
"""As many as are allowed are tried."""
STARTS_WITHIN = 60.0

Spoofed = Mapping[str, str]


async def strangers(target: Target, tally: Tally, settings: Mapping[str, str] | None = None) -> None:
    """`settings`: of that process, besides those of the service."""
    if target.data_dir is None:
        tally.not_tried("limits of strangers: those of this service are not known")
        return
    async with _one_more_api(target, LIMITS | dict(settings or {})) as url:
        for what, spoof in SPOOFS.items():
            await _as_stranger(url, tally, what, spoof)
            await _as_somebody(url, tally, what, spoof)
        await _at_one_account(target, url, tally)


async def _as_stranger(url: str, tally: Tally, what: str, spoof: Callable[[str], Spoofed]) -> None:
    """Without a key, and with ones that nobody knows."""
    async with _client(url) as client:
        codes = []
        for number, address in enumerate(_addresses(STRANGERS)):
            headers = {**spoof(address), "X-API-Key": f"aq_guess{number}" if number % 2 else ""}
            codes.append((await client.get(f"{PREFIX}/jobs", headers=headers)).status_code)
    _count(tally, codes, STRANGERS, f"a stranger with {what}")


async def _as_somebody(url: str, tally: Tally, what: str, spoof: Callable[[str], Spoofed]) -> None:
    """Who tries one password with many accounts."""
    async with _client(url) as client:
        codes = []
        for number, address in enumerate(_addresses(SIGN_INS)):
            asked = {"email": f"nobody{number}@{what.replace(' ', '')}.example.org", "password": "spring and summer"}
            codes.append((await client.post(f"{PREFIX}/auth/login", json=asked, headers=spoof(address))).status_code)
    _count(tally, codes, SIGN_INS, f"sign-ins with {what}")


def _count(tally: Tally, codes: list[int], limit: int, what: str) -> None:
    passed = sum(code != 429 for code in codes)
    tally.check(passed <= limit * SLACK, f"{what}: {passed} of {len(codes)} passed, {limit} a minute are allowed")
    tally.check(set(codes) <= {401, 429}, f"{what}: {set(codes)}")


async def _at_one_account(target: Target, url: str, tally: Tally) -> None:
    """From many addresses, which are real ones of this machine; in many spellings; by every way to try a password."""
    if not await _can_choose_address(url):
        tally.not_tried("guessing from many addresses: this machine has one")
        return
    member = await join(target, "viewer")
    codes = []
    for number in range(int(GUESSES * TIMES)):
        email = (member.email, member.email.upper(), member.email.title(), member.email.swapcase())[number % 4]
        async with _client(url, f"127.0.1.{number + 1}") as client:
            guess = {"email": email, "password": f"guess number {number}"}
            codes.append((await client.post(f"{PREFIX}/auth/login", json=guess)).status_code)
    _count(tally, codes, GUESSES, "guesses at one account from many addresses")
    await _by_other_ways(target, url, tally, member)


async def _by_other_ways(target: Target, url: str, tally: Tally, member: Member) -> None:
    """When no login is left: to change the password with a stolen session, to accept an invitation of one's own."""
    async with target.client(target.they) as they:
        invited = await they.post(f"{PREFIX}/invitations", json={"email": member.email, "role": "viewer"})
    token = invited.raise_for_status().json()["token"]
    guess = "a long guess of mine"
    for path, body, headers in (
        ("/auth/password", {"old_password": guess, "new_password": f"{guess} too"}, member.headers),
        ("/auth/invitations/accept", {"token": token, "password": guess}, {}),
    ):
        async with _client(url, "127.0.2.1") as client:
            codes = [(await client.post(f"{PREFIX}{path}", json=body, headers=headers)).status_code for _ in range(2)]
        tally.check(set(codes) == {429}, f"guesses at one account go on at {path}: {codes}")


def _addresses(limit: int) -> Iterator[str]:
    """Enough to go beyond the limit."""
    for number in range(1, int(limit * TIMES) + 1):
        yield f"10.{number}.0.7"


SPOOFS: dict[str, Callable[[str], Spoofed]] = {
    "X-Forwarded-For": lambda address: {"X-Forwarded-For": address},
    "a chain of proxies": lambda address: {"X-Forwarded-For": f"{address}, 127.0.0.1"},
    "an IPv6 address": lambda address: {"X-Forwarded-For": f"2001:db8:{int(address.split('.')[1]):x}::1"},
    "Forwarded": lambda address: {"Forwarded": f"for={address};proto=https"},
    "other headers": lambda address: {
        "X-Real-IP": address,
        "X-Client-IP": address,
        "True-Client-IP": address,
        "CF-Connecting-IP": address,
        "X-Originating-IP": address,
        "X-Forwarded-Host": f"{address}.example",
    },
}


async def _can_choose_address(url: str) -> bool:
    with suppress(httpx.TransportError):
        async with _client(url, "127.0.1.250") as client:
            return (await client.get("/livez")).status_code == 200
    return False


def _client(url: str, address: str | None = None) -> httpx.AsyncClient:
    """From an address of this machine: on Linux all of 127.0.0.0/8 are."""
    transport = httpx.AsyncHTTPTransport(local_address=address, trust_env=False)
    return httpx.AsyncClient(base_url=url, transport=transport, timeout=30)


@asynccontextmanager
async def _one_more_api(target: Target, settings: Mapping[str, str]) -> AsyncIterator[str]:
    """Where it answers: with the environment of the one that runs, and these settings."""
    assert target.data_dir is not None
    running = psutil.Process(read_json(target.data_dir / "runtime.json")["pids"]["api"][0])
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.to_thread(_start, port, running.environ() | dict(settings))
    try:
        await asyncio.to_thread(_wait, process, url)
        yield url
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, STOP_SECONDS)


def _start(port: int, environment: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    command = [*ARQUEDUCT, "api", "--port", str(port)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(process: "subprocess.Popen[bytes]", url: str) -> None:
    def answers() -> bool:
        assert process.poll() is None, f"the API with limits ended with {process.returncode}"
        with suppress(httpx.TransportError):
            return httpx.get(f"{url}/livez", trust_env=False).status_code == 200
        return False

    eventually(answers, within=STARTS_WITHIN)
