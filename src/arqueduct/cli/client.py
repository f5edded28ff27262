"""The API as commands use it: typed errors, and no waiting without end."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import httpx

from arqueduct import __version__
from arqueduct.cli.server import Server
from arqueduct.errors import ArqueductError, DependencyUnavailable, SetupError, by_code
from arqueduct.ids import new_id

__all__ = ["Client", "connect"]

Body: TypeAlias = dict[str, Any]

PREFIX = "/api/v1"
TIMEOUT = httpx.Timeout(30, write=300, read=300)
"""Seconds. An upload is answered when its last byte is stored."""
BUSY = frozenset({httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE})
ATTEMPTS = 5
LONGEST_PAUSE = 30.0
LONGEST_WAIT = 61.0
"""Seconds until the server takes more of us: a window of its limits is a minute. For those of an hour nobody waits."""


class Client:
    """Raises the error classes that the server names, and `SetupError` when nobody answers at all."""

    def __init__(self, http: httpx.AsyncClient, server: Server) -> None:
        self.server = server
        self._http = http

    async def get(self, path: str, **parameters: Any) -> Body:
        chosen = {name: value for name, value in parameters.items() if value is not None}
        return _body(await self._send(self._http.build_request("GET", f"{PREFIX}{path}", params=chosen)))

    async def post_form(self, path: str, **fields: str) -> Body:
        form = [(name, (None, value)) for name, value in fields.items()]
        return _body(await self._send(self._http.build_request("POST", f"{PREFIX}{path}", files=form)))

    async def post(self, path: str, body: Body | None = None) -> Body:
        return _body(await self._send(self._http.build_request("POST", f"{PREFIX}{path}", json=body)))

    async def save(self, path: str, file: BinaryIO, **parameters: Any) -> None:
        """Writes what is answered into a file, as it comes. Raises `OSError` too, where that cannot be."""
        chosen = {name: value for name, value in parameters.items() if value is not None}
        response = await self._raw(self._http.build_request("GET", f"{PREFIX}{path}", params=chosen), stream=True)
        try:
            if not response.is_success:
                await response.aread()
            async for part in _checked(response).aiter_bytes():
                file.write(part)
        except httpx.TransportError as error:
            raise DependencyUnavailable(f"The connection to {self.server.url} broke: {error!r}") from error
        finally:
            await response.aclose()

    async def post_files(self, path: str, fields: Mapping[str, str], files: Sequence[tuple[str, bytes]]) -> Body:
        """A form of fields and of files (name, content), all of them in memory."""
        sent = [("files", file) for file in files]
        return _body(await self._send(self._http.build_request("POST", f"{PREFIX}{path}", data=fields, files=sent)))

    async def delete(self, path: str, **parameters: Any) -> None:
        await self._send(self._http.build_request("DELETE", f"{PREFIX}{path}", params=parameters))

    async def check(self) -> None:
        """Whether anybody answers, and knows our key."""
        await self.get("/jobs", limit=1)

    async def upload(self, path: Path, name: str, priority: str | None = None) -> Body:
        """Sends the file from disk. A server that restarts or asks to wait is given some time.

        A connection that breaks on the way is not tried again: the server may have taken the file.
        """
        for attempt in range(1, ATTEMPTS):
            try:
                response = await self._upload(path, name, priority)
            except SetupError:
                await asyncio.sleep(attempt)
            else:
                if response.status_code not in BUSY:
                    return _body(_checked(response))
                await asyncio.sleep(_pause(response, attempt))
        return _body(_checked(await self._upload(path, name, priority)))

    async def upload_all(self, path: str, files: Sequence[tuple[str, Path]]) -> Body:
        """Sends files from disk in one request, each under a name. A server that restarts, asks to wait or loses the
        connection is given some time: the key sees to it that nothing is taken twice.
        """
        key = str(new_id())
        for attempt in range(1, ATTEMPTS):
            try:
                response = await self._upload_all(path, files, key)
            except (SetupError, DependencyUnavailable):
                await asyncio.sleep(attempt)
            else:
                if response.status_code not in BUSY | {httpx.codes.CONFLICT}:
                    return _body(_checked(response))
                await asyncio.sleep(_pause(response, attempt))
        return _body(_checked(await self._upload_all(path, files, key)))

    async def _upload_all(self, path: str, files: Sequence[tuple[str, Path]], key: str) -> httpx.Response:
        with ExitStack() as stack:
            sent = [("files", (name, stack.enter_context(file.open("rb")))) for name, file in files]
            headers = {"Idempotency-Key": key}
            return await self._raw(self._http.build_request("POST", f"{PREFIX}{path}", files=sent, headers=headers))

    async def _upload(self, path: Path, name: str, priority: str | None) -> httpx.Response:
        parameters = {} if priority is None else {"priority": priority}
        with path.open("rb") as file:
            sent = {"file": (name, file)}
            return await self._raw(
                self._http.build_request("POST", f"{PREFIX}/documents", params=parameters, files=sent)
            )

    async def pages(self, path: str, most: int | None = None, **parameters: Any) -> AsyncIterator[Body]:
        """The items of a list, page by page, up to `most`."""
        cursor, told = None, 0
        while True:
            limit = 200 if most is None else min(200, most - told)
            page = await self.get(path, limit=limit, cursor=cursor, **parameters)
            for item in page["items"]:
                yield item
            told += len(page["items"])
            cursor = page["next_cursor"]
            if cursor is None or (most is not None and told >= most):
                return

    async def _send(self, request: httpx.Request) -> httpx.Response:
        """Asks again after a wait where the server says that we ask too often."""
        for _ in range(ATTEMPTS):
            response = await self._raw(request)
            if response.status_code != httpx.codes.TOO_MANY_REQUESTS or _wait(response) > LONGEST_WAIT:
                break
            await asyncio.sleep(_wait(response))
        return _checked(response)

    async def _raw(self, request: httpx.Request, *, stream: bool = False) -> httpx.Response:
        try:
            return await self._http.send(request, stream=stream)
        except httpx.TimeoutException as error:
            raise DependencyUnavailable(f"{self.server.url} does not answer in time.") from error
        except httpx.ConnectError as error:
            raise SetupError(
                f"Nobody answers at {self.server.url}.", advice="Start it with `arqueduct up`, or correct --url."
            ) from error
        except httpx.TransportError as error:
            raise DependencyUnavailable(f"The connection to {self.server.url} broke: {error!r}") from error


@asynccontextmanager
async def connect(server: Server) -> AsyncIterator[Client]:
    async with httpx.AsyncClient(
        base_url=server.url,
        headers={"Authorization": f"Bearer {server.api_key}", "User-Agent": f"arqueduct/{__version__}"},
        timeout=TIMEOUT,
        trust_env=not server.is_local,
    ) as http:
        yield Client(http, server)


def _checked(response: httpx.Response) -> httpx.Response:
    if response.is_success:
        return response
    try:
        problem = response.json()
        code, detail, fields = problem["code"], problem["detail"], problem.get("errors") or []
    except (ValueError, KeyError, TypeError):
        raise SetupError(
            f"{response.request.url} answered {response.status_code} and is no Arqueduct API.", advice="Check --url."
        ) from None
    said = [f"{field.get('parameter') or field.get('pointer') or 'body'}: {field['detail']}" for field in fields]
    error: ArqueductError = by_code(code)("; ".join([detail, *said]), advice=problem.get("advice"))
    raise error


def _body(response: httpx.Response) -> Body:
    body: Body = response.json()
    return body


def _wait(response: httpx.Response) -> float:
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, ValueError):
        return math.inf


def _pause(response: httpx.Response, attempt: int) -> float:
    try:
        return min(float(response.headers["Retry-After"]), LONGEST_PAUSE)
    except (KeyError, ValueError):
        return float(2**attempt) / 2
