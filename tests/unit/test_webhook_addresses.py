from ipaddress import ip_address

import httpx
import pytest

from arqueduct.errors import WebhookAddressRefused
from arqueduct.webhooks.addresses import Guard, is_on_the_internet

ON_THE_INTERNET = ["1.1.1.1", "8.8.8.8", "168.63.129.15", "223.255.255.254", "2606:4700:4700::1111", "2a00:1450::1"]
NOT_THERE = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]


@pytest.mark.parametrize("address", ON_THE_INTERNET)
def test_an_address_of_the_internet_may_be_told(address: str) -> None:
    assert is_on_the_internet(ip_address(address))


@pytest.mark.parametrize("address", NOT_THERE)
def test_every_other_may_not(address: str) -> None:
    assert not is_on_the_internet(ip_address(address))


REFUSED = [
    "",
    "example.org",
    "//example.org/",
    "http://example.org/",
    "ftp://example.org/",
    "file:///etc/passwd",
    "gopher://example.org/",
    "https://",
    "https:///path",
    "https://user@example.org/",
    "https://user:password@example.org/",
    "https://example.org/#part",
    "https://example.org:0/",
    "https://example.org:22/",
    "https://example.org:25/",
    "https://example.org:1023/",
    "https://example.org:65536/",
    "https://example.org:-1/",
    "https://exa mple.org/",
    "https://example.org/\r\nHost: other",
    "https://example.org/ü",
    "https://[::1/",
    "https://" + "a" * 2048 + ".org/",
    "http://127.0.0.1/",
]


@pytest.mark.parametrize("url", REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_receiver_is_refused_unasked(url: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        Guard((), environment="production").parsed(url)


@pytest.mark.parametrize("url", ["https://example.org/a?b=c", "https://example.org:8443/", "https://8.8.8.8:80/"])
def test_a_receiver_is_not(url: str) -> None:
    assert str(Guard((), environment="production").parsed(url)) == url


@pytest.mark.parametrize("url", ["http://127.0.0.1:9000/hook", "http://localhost:9000/hook", "http://[::1]:9000/"])
def test_plain_http_is_for_this_machine_in_development(url: str) -> None:
    assert Guard((), environment="development").parsed(url)
    with pytest.raises(WebhookAddressRefused):
        Guard((), environment="production").parsed(url)


async def look_up(host: str, port: int) -> list[str]:
    return {
        "public.example": ["8.8.8.8", "2606:4700:4700::1111", "8.8.8.8"],
        "mixed.example": ["8.8.8.8", "10.1.2.3"],
        "inside.example": ["10.1.2.3"],
        "zone.example": ["fe80::1%eth0"],
        "nothing.example": [],
    }[host]


async def unknown(host: str, port: int) -> list[str]:
    raise OSError(-2, "Name or service not known")


async def test_all_addresses_of_a_host_are_looked_at() -> None:
    guard = Guard((), environment="production", look_up=look_up)
    assert await guard.addresses(httpx.URL("https://public.example/")) == ["8.8.8.8", "2606:4700:4700::1111"]
    for host in ("mixed", "inside", "zone", "nothing"):
        with pytest.raises(WebhookAddressRefused):
            await guard.check(f"https://{host}.example/")


async def test_a_host_that_is_not_found_reads_like_one_that_is_inside() -> None:
    said = []
    for asked in (look_up, unknown):
        with pytest.raises(WebhookAddressRefused) as refused:
            await Guard((), environment="production", look_up=asked).check("https://inside.example/")
        said.append(refused.value.message)
    assert said[0] == said[1]


@pytest.mark.parametrize("allowed", ["inside.example", "INSIDE.example.", "10.0.0.0/8", "10.1.2.3"])
async def test_an_installation_allows_its_own(allowed: str) -> None:
    guard = Guard([allowed], environment="production", look_up=look_up)
    assert await guard.addresses(guard.parsed("https://Inside.Example/")) == ["10.1.2.3"]


SPELLINGS = ["127.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]"]


@pytest.mark.parametrize("host", SPELLINGS)
async def test_this_machine_is_refused_however_it_is_spelled(host: str) -> None:
    with pytest.raises(WebhookAddressRefused):
        await Guard((), environment="development").check(f"https://{host}/")
