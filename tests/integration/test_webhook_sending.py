"""What a receiver, or who chooses its address, may try: redirects, rebinding, slowness, endless answers, cookies."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from arqueduct.errors import SetupError, WebhookResting
from arqueduct.ids import new_id
from arqueduct.secret_keys import SecretKeys
from arqueduct.settings import Settings
from arqueduct.webhooks import sender as sending
from arqueduct.webhooks import signing
from arqueduct.webhooks.addresses import Guard
from arqueduct.webhooks.sender import Message, Sender
from tests.integration.many_jobs import owning
from tests.integration.receiver import Answer, Receiver, receiving
from tests.integration.webhook_site import Site
from tests.integration.worker import TestWorker

KEYS = SecretKeys(["a key of at least thirty-two characters"])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"webhook_private_hosts": frozenset({"127.0.0.1"}), "lease": 60.0})


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as opened:
        yield opened


@pytest.fixture
async def site(
    settings: Settings, api: httpx.AsyncClient, api_worker: TestWorker, receiver: Receiver
) -> AsyncIterator[Site]:
    async with owning(settings) as owner:
        yield Site(api=api, worker=api_worker, owner=owner, receiver=receiver)


@pytest.fixture
async def sender() -> AsyncIterator[Sender]:
    """To this machine only."""
    opened = Sender(Guard(["127.0.0.1"], environment="development"), KEYS)
    yield opened
    await opened.aclose()


def message(url: str, endpoint: str = "") -> Message:
    return Message(
        id="id",
        endpoint_id=ENDPOINTS.setdefault(endpoint, new_id()),
        url=url,
        secrets=[KEYS.seal(signing.new_secret().encode())],
        body=b"{}",
    )


ENDPOINTS = {"": new_id()}


class Names:
    """A name server that changes its mind: the first answer, the second, …, and the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.2/",
        "https://10.0.0.1/",
        "https://169.254.169.254/latest/meta-data",
        "https://[::1]/",
        "https://[::ffff:10.0.0.1]/",
        "https://[64:ff9b::a00:1]/",
        "https://2130706434/",
        "http://8.8.8.8/",
        "https://user:password@8.8.8.8/",
        "https://8.8.8.8:22/",
        "file:///etc/passwd",
    ],
    ids=range(11),
)
async def test_an_address_inside_is_refused_when_it_is_named(site: Site, url: str) -> None:
    await site.refused(url)
    hook = await site.hook("https://8.8.8.8/")
    answer = await site.api.patch(f"/api/v1/webhooks/{hook.id}", json={"url": url})
    assert answer.json()["code"] == "webhook_address_refused"


async def test_redirects_are_not_followed(site: Site) -> None:
    async with receiving() as inside:
        hook = await site.hook()
        site.receiver.answers.append(Answer(status=302, headers={"Location": inside.url()}))
        delivery = await site.ping(hook)
        await site.work()
        (attempt,) = (await site.details(hook, delivery))["attempts"]
        assert (attempt["status"], attempt["error"]) == (302, "The receiver answered 302.")
        assert inside.connections == 0


async def test_a_name_that_points_inside_later_is_refused_then(site: Site) -> None:
    """Rebinding: it was public when it was checked."""
    hook = await site.hook(f"https://8.8.8.8:{site.receiver.port}/")
    await site.owner.execute(f"UPDATE webhook_endpoints SET url = 'https://rebind.example:{site.receiver.port}/'")
    names = Names(["127.0.0.1"])
    guarded = Sender(Guard((), environment="production", look_up=names), SecretKeys.of(site.worker.services.settings))
    worker = replace(site.worker, services=replace(site.worker.services, sender=guarded))
    delivery = await site.ping(hook)
    await site.work(worker)
    await guarded.aclose()
    assert names.asked == ["rebind.example"]
    (attempt,) = (await site.details(hook, delivery))["attempts"]
    assert (attempt["status"], "127.0.0.1" in attempt["error"]) == (None, False)
    assert site.receiver.connections == 0


async def test_the_address_that_was_looked_at_is_the_one_that_is_used(receiver: Receiver) -> None:
    """A name server that answers differently right after the look is not asked again."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    sender = Sender(Guard(["127.0.0.1"], environment="development", look_up=names), KEYS)
    reply = await sender.send(message(receiver.url("localhost")))
    assert (reply.outcome, len(names.asked), receiver.connections) == ("delivered", 1, 1)
    assert receiver.got[0].headers["host"] == f"localhost:{receiver.port}"
    reply = await sender.send(message(receiver.url("localhost")))
    await sender.aclose()
    assert (reply.outcome, receiver.connections) == ("address_refused", 1)


async def test_the_next_address_is_tried_where_one_does_not_answer(receiver: Receiver) -> None:
    names = Names(["127.0.0.3", "127.0.0.1"])
    sender = Sender(Guard(["127.0.0.0/8"], environment="development", look_up=names), KEYS)
    reply = await sender.send(message(receiver.url("localhost")))
    await sender.aclose()
    assert reply.outcome == "delivered"


async def test_no_connection_outlives_its_message(sender: Sender, receiver: Receiver) -> None:
    for _ in range(3):
        await sender.send(message(receiver.url()))
    assert receiver.connections == 3


async def test_cookies_are_not_kept(sender: Sender, receiver: Receiver) -> None:
    receiver.answers.append(Answer(headers={"Set-Cookie": "session=of-another-tenant"}))
    for _ in range(2):
        await sender.send(message(receiver.url()))
    assert "cookie" not in receiver.got[1].headers


async def test_proxies_of_the_environment_are_not_used(
    sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await sender.send(message(receiver.url()))).outcome == "delivered"


async def test_an_answer_that_never_ends_is_an_answer(sender: Sender, receiver: Receiver) -> None:
    receiver.answers.append(Answer(is_endless=True, body=b""))
    reply = await sender.send(message(receiver.url()))
    assert (reply.outcome, reply.text) == ("delivered", "x" * 1000)


async def test_so_is_one_whose_body_never_comes(
    sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "BODY_SECONDS", 0.1)
    receiver.answers.append(Answer(status=204, headers={"Content-Length": "10"}, body=b""))
    receiver.answers.append(Answer(headers={"Transfer-Encoding": "chunked"}, body=b"5\r\nthank"))
    for _ in range(2):
        assert (await sender.send(message(receiver.url()))).outcome == "delivered"


async def test_silence_is_an_error(sender: Sender, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.1)
    receiver.answers.append(Answer(hold=asyncio.Event()))
    reply = await sender.send(message(receiver.url()))
    assert (reply.outcome, reply.status, reply.error) == ("timeout", None, "The receiver did not answer in time.")


async def test_nobody_there_is_an_error(sender: Sender) -> None:
    reply = await sender.send(message("http://127.0.0.1:1025/"))
    assert (reply.outcome, reply.status) == ("unreachable", None)
    assert reply.error
    assert reply.error.startswith("No answer: ")


async def test_nonsense_in_place_of_http_is_an_error(sender: Sender, receiver: Receiver) -> None:
    receiver.answers.append(Answer(status=99))
    assert (await sender.send(message(receiver.url()))).outcome == "unreachable"


@pytest.mark.parametrize("asked", ["-5", "soon", "²", "Wed, 99 Nov 2026 00:00:00 GMT", "9" * 5000], ids=range(5))
async def test_nonsense_about_when_to_come_again_does_no_harm(sender: Sender, receiver: Receiver, asked: str) -> None:
    receiver.answers.append(Answer(status=503, headers={"Retry-After": asked.encode().decode("latin-1")}))
    assert (await sender.send(message(receiver.url()))).status == 503


async def test_slow_receivers_do_not_take_a_process_up(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of four places one endpoint has two at most; who comes later does not wait for long."""
    monkeypatch.setattr(sending, "PATIENCE_SECONDS", 0.2)
    sender = Sender(Guard(["127.0.0.1"], environment="development"), KEYS, at_once=4)
    held = asyncio.Event()
    receiver.answers.extend([Answer(hold=held)] * 4)
    under_way = [asyncio.create_task(sender.send(message(receiver.url(), "slow"))) for _ in range(2)]
    await receiver.heard(2)
    with pytest.raises(WebhookResting):
        await sender.send(message(receiver.url(), "slow"))
    under_way += [asyncio.create_task(sender.send(message(receiver.url(), "other"))) for _ in range(2)]
    await receiver.heard(4)
    with pytest.raises(WebhookResting):
        await sender.send(message(receiver.url(), "third"))
    waiting = asyncio.create_task(sender.send(message(receiver.url(), "slow")))
    await asyncio.sleep(0)
    held.set()
    assert [(await task).outcome for task in [*under_way, waiting]] == ["delivered"] * 5
    await sender.aclose()


async def test_a_secret_sealed_elsewhere_says_what_to_do(receiver: Receiver) -> None:
    other = Sender(
        Guard(["127.0.0.1"], environment="development"), SecretKeys(["another key of thirty-two characters"])
    )
    with pytest.raises(SetupError, match="ARQUEDUCT_SECRET_KEYS"):
        await other.send(message(receiver.url()))
    await other.aclose()


async def test_tls_is_checked_for_the_name_and_not_for_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = certificate(tmp_path, "receiver.example")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    sender = Sender(Guard(["127.0.0.0/8"], environment="production", look_up=Names(["127.0.0.1"])), KEYS)
    asked: list[str] = []
    server.sni_callback = lambda _socket, name, _context: asked.append(name)
    async with receiving(server) as receiver:
        good = await sender.send(message(receiver.url("receiver.example", "https")))
        bad = await sender.send(message(receiver.url("other.example", "https")))
    await sender.aclose()
    assert good.outcome == "delivered", good.error
    assert receiver.got[0].headers["host"] == f"receiver.example:{receiver.port}"
    assert asked == ["receiver.example", "other.example"]
    assert (bad.outcome, len(receiver.got)) == ("unreachable", 1)
    assert "CERTIFICATE_VERIFY_FAILED" in (bad.error or "")


async def test_production_tells_nobody_without_tls(settings: Settings, receiver: Receiver) -> None:
    guard = Guard(["127.0.0.1"], environment="production")
    sender = Sender(guard, KEYS)
    assert (await sender.send(message(receiver.url()))).outcome == "address_refused"
    await sender.aclose()
    assert receiver.connections == 0


def certificate(folder: Path, name: str) -> ssl.SSLContext:
    """A server's, made by an authority whose own is left in `authority.pem`."""
    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority of a test")])

    def signed(subject: x509.Name, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        now = datetime.now(UTC)
        return (
            x509.CertificateBuilder(issuer_name=root, subject_name=subject, public_key=key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(extension, critical=True)
            .sign(authority, hashes.SHA256())
        )

    pem = serialization.Encoding.PEM
    own = signed(root, authority.public_key(), x509.BasicConstraints(ca=True, path_length=0))
    (folder / "authority.pem").write_bytes(own.public_bytes(pem))
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    key = server.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "server.pem").write_bytes(key + signed(subject, server.public_key(), names).public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
