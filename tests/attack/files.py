"""Names of files that are paths, pages or headers; and addresses that climb out of the service."""

from pathlib import Path
from urllib.parse import quote

import httpx

from tests.attack.tally import Tally
from tests.attack.target import PREFIX, Target

__all__ = ["header_injection", "path_traversal", "scripts"]

MARK = "arqueduct-was-here"
CLIMBS = (
    f"../../../../{MARK}.txt",
    f"..\\..\\..\\{MARK}.txt",
    f"/tmp/{MARK}.txt",
    f"C:\\{MARK}.txt",
    f"....//....//{MARK}.txt",
    f"%2e%2e%2f%2e%2e%2f{MARK}.txt",
    f"a/../../{MARK}.txt",
    f"{MARK}.txt\0.pdf",
    "..",
    ".",
    "\u2025\u2025/x.txt",
    f"file:///etc/{MARK}.txt",
)
ADDRESSES = (
    "/../../../../etc/passwd",
    "/docs/../../../../etc/passwd",
    "/docs/..%2f..%2f..%2f..%2fetc%2fpasswd",
    "/static/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
    f"{PREFIX}/documents/..%2f..%2f..%2fetc%2fpasswd/content",
    f"{PREFIX}/documents/%00/content",
    "//etc/passwd",
    "/%5c..%5c..%5cetc/passwd",
)
SCRIPT = "<script>alert(1)</script>"
PAGE = f"<!doctype html><html><body>{SCRIPT}<p>The quick wallaby jumps.</p></body></html>".encode()
SCRIPTS = (f"{SCRIPT}.html", '"><img src=x onerror=alert(1)>.html', "javascript:alert(1).html", "a' onload='x.svg")
HARMLESS = ("application/json", "application/problem+json", "text/plain", "text/html", "text/event-stream")
LINES = (
    "a\r\nX-Evil: 1.txt",
    "a\nSet-Cookie: evil=1.txt",
    "a%0d%0aX-Evil: 1.txt",
    'a"; X-Evil="1.txt',
    "a\u2028X-Evil: 1.txt",
    "a\x85b.txt",
)


async def path_traversal(target: Target, tally: Tally) -> None:
    async with target.client(target.me) as client:
        for name in CLIMBS:
            answer = await _upload(client, name, b"Climbing.")
            if answer.is_error:
                tally.check(answer.status_code < 500, f"{name!r}: {answer.status_code}")
                continue
            kept = answer.json()["document"]
            bare = not set("/\\\0") & set(kept["name"]) and kept["name"] not in (".", "..")
            sent = (await client.get(f"{PREFIX}/documents/{kept['id']}/content")).headers["content-disposition"]
            tally.check(
                bare and "/" not in sent and "\\" not in sent, f"{name!r} is kept as {kept['name']!r}, {sent!r}"
            )
        if target.has("/file-sets"):
            await _climb_in_a_set(client, tally)
    for address in ADDRESSES:
        raw = f"GET {address} HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n{_key(target)}\r\n".encode()
        heard = await target.say(raw)
        tally.check(b"root:" not in heard and b" 500 " not in heard[:20], f"{address}: {heard[:80]!r}")
    _look_for_files(target, tally)


async def _climb_in_a_set(client: httpx.AsyncClient, tally: Tally) -> None:
    """Names that may be paths there."""
    sent = [("files", (name, f"Climbing {number}.".encode())) for number, name in enumerate(CLIMBS)]
    answer = await client.post(f"{PREFIX}/file-sets", files=[("name", (None, b"Climbers")), *sent])
    tally.check(answer.status_code == 201, f"a set of hostile names: {answer.status_code} {answer.text[:100]}")
    for file in answer.json()["files"] if answer.is_success else ():
        steps = (file["path"] or "x").split("/")
        bare = not {"", ".", ".."} & set(steps) and not set("\\\0") & set(file["path"] or "")
        tally.check(bare, f"a path in a set is kept as {file['path']!r}")


def _look_for_files(target: Target, tally: Tally) -> None:
    if target.data_dir is None:
        tally.not_tried("whether a file was written outside of the storage: its folder is not on this machine")
        return
    roots = [target.data_dir.parent, *target.data_dir.parents[:4]]
    found = [str(path) for root in dict.fromkeys([*roots, Path("/tmp")]) for path in root.glob(f"*{MARK}*")]
    inside = [str(path) for path in target.data_dir.rglob(f"*{MARK}*")]
    tally.check(not found and not inside, f"files that an uploader named: {found + inside}")


async def scripts(target: Target, tally: Tally) -> None:
    """A browser must never run what a user uploaded or sent, whichever address it is at."""
    async with target.client(target.me) as client:
        for name in SCRIPTS:
            accepted = await _upload(client, name, PAGE)
            if accepted.is_error:
                tally.check(accepted.status_code < 500, f"{name!r}: {accepted.status_code}")
                continue
            _check_answer(tally, accepted, name)
            document = accepted.json()["document"]["id"]
            content = await client.get(f"{PREFIX}/documents/{document}/content")
            tally.check(
                content.headers.get("content-disposition", "").startswith("attachment;")
                and "default-src 'none'" in content.headers.get("content-security-policy", ""),
                f"{name!r} is served as a page: {dict(content.headers)}",
            )
            _check_answer(tally, content, name)
        for path in (f"/{SCRIPT}", f"{PREFIX}/{SCRIPT}", f"{PREFIX}/jobs/{SCRIPT}", f"{PREFIX}/jobs?state={SCRIPT}"):
            _check_answer(tally, await client.get(path), path)
        answer = await client.post(f"{PREFIX}/search", json={"query": f"{SCRIPT} wallaby", "mode": SCRIPT})
        _check_answer(tally, answer, "the mode of a search")
        answer = await client.post(f"{PREFIX}/search", json={"query": f"wallaby {SCRIPT}", "mode": "text"})
        marked = [hit["highlight"] for hit in answer.json().get("items", ())]
        tally.check(not any("<script" in text for text in marked), f"a passage is shown as HTML: {marked}")


def _check_answer(tally: Tally, answer: httpx.Response, what: str) -> None:
    kind = answer.headers.get("content-type", "").partition(";")[0]
    safe = kind in HARMLESS and answer.headers.get("x-content-type-options") == "nosniff"
    is_page = kind == "text/html" and "attachment" not in answer.headers.get("content-disposition", "")
    tally.check(safe and not is_page and "content-security-policy" in answer.headers, f"{what!r}: {answer.headers}")


async def header_injection(target: Target, tally: Tally) -> None:
    async with target.client(target.me) as client:
        for name in LINES:
            accepted = await _upload(client, name, b"Lines.")
            if accepted.is_error:
                tally.check(accepted.status_code < 500, f"{name!r}: {accepted.status_code}")
                continue
            document = accepted.json()["document"]["id"]
            content = await client.get(f"{PREFIX}/documents/{document}/content")
            forged = {"x-evil", "set-cookie"} & set(content.headers)
            tally.check(content.status_code == 200 and not forged, f"{name!r}: {content.status_code}, {forged}")
        for value in (b"a\tb", b"a b", b"x" * 5000, b"\xc3\xa9", b"<script>"):
            answer = await client.get("/livez", headers={b"X-Request-ID": value})
            back = answer.headers.get("x-request-id", "")
            tally.check(
                back.encode() != value and back.isascii(), f"X-Request-ID {value[:20]!r} comes back as {back!r}"
            )
    for line in ("X-Request-ID: a\rX-Evil: 1", "X-Request-ID: a\nX-Evil: 1", "traceparent: a\r\n X-Evil: 1"):
        raw = f"GET /livez HTTP/1.1\r\nHost: {target.host}\r\nConnection: close\r\n{line}\r\n\r\n".encode()
        tally.check(b"x-evil" not in (await target.say(raw)).lower(), f"{line!r} comes back as a header")
    for host in ("evil.example", "evil.example:80@" + target.host, "a/b"):
        body = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nHost.\r\n--x--\r\n'
        raw = (
            f"POST {PREFIX}/documents HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{_key(target)}"
            f"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: {len(body)}\r\n\r\n"
        ).encode() + body
        tally.check(b"evil.example" not in await target.say(raw), f"Host {host!r} comes back, in Location perhaps")


async def _upload(client: httpx.AsyncClient, name: str, content: bytes) -> httpx.Response:
    """The name as it is where the quoting of forms allows, else as RFC 5987 writes it."""
    plain = name.isascii() and name.isprintable() and '"' not in name and "\\" not in name
    spelt = f'filename="{name}"' if plain else f"filename*=UTF-8''{quote(name, safe='')}"
    body = f'--x\r\nContent-Disposition: form-data; name="file"; {spelt}\r\n\r\n'.encode() + content + b"\r\n--x--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    return await client.post(f"{PREFIX}/documents", content=body, headers=headers)


def _key(target: Target) -> str:
    return f"X-API-Key: {target.me.api_key}\r\n"
