"""A real server that speaks OpenAI's embeddings API, with vectors of the hashing embedder and a script for trouble."""

import asyncio
import base64
import socket
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from arqueduct.testing import HashingEmbedder

START_SECONDS = 10


class OpenAIServer:
    """Set the attributes while it runs; the next request follows them."""

    def __init__(self) -> None:
        self.url = ""
        self.latency = 0.0
        """Seconds until an answer."""
        self.dimensions = 1536
        """Length of the vectors when a request does not ask for one."""
        self.knows_base64 = True
        self.shuffled = False
        """Answers with the vectors in reverse order, told apart by their index."""
        self.refused_text: str | None = None
        """A request that has this text gets 400."""
        self.requests: list[dict[str, Any]] = []
        """Bodies, in order of arrival, with the `authorization` header beside them."""
        self.most_at_once = 0
        self._at_once = 0
        self._script: deque[Response] = deque()

    def answer_next(self, status: int, body: Any = None, **headers: str) -> None:
        """Queues one answer; afterwards the server behaves again. `retry_after="3"` is a header."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._script.append(JSONResponse(body or {"error": {"message": f"scripted {status}"}}, status, named))

    @property
    def texts(self) -> list[str]:
        """Every text that was ever asked for, in order of arrival."""
        return [text for request in self.requests for text in request["input"]]

    async def embeddings(self, request: Request) -> Response:
        body = await request.json()
        self.requests.append(body | {"authorization": request.headers.get("authorization")})
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await asyncio.sleep(self.latency)
            return self._script.popleft() if self._script else self._answer(body)
        finally:
            self._at_once -= 1

    def _answer(self, body: dict[str, Any]) -> Response:
        encoding = body.get("encoding_format", "float")
        if encoding == "base64" and not self.knows_base64:
            return _refusal("encoding_format must be float")
        if self.refused_text in body["input"]:
            return _refusal("maximum context length is 8192 tokens")
        model = HashingEmbedder(body.get("dimensions") or self.dimensions)
        data = [
            {"object": "embedding", "index": index, "embedding": _encoded(model.vector(text) * 3, encoding)}
            for index, text in enumerate(body["input"])
        ]
        if self.shuffled:
            data.reverse()
        usage = {"prompt_tokens": len(data), "total_tokens": len(data)}
        return JSONResponse({"object": "list", "data": data, "model": body["model"], "usage": usage})


def _refusal(message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, 400)


def _encoded(vector: Any, encoding: str) -> str | list[float]:
    return base64.b64encode(vector.tobytes()).decode() if encoding == "base64" else vector.tolist()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def openai_server() -> Iterator[OpenAIServer]:
    """Runs in a thread of its own, on a free port of this machine."""
    behaviour = OpenAIServer()
    app = Starlette(routes=[Route("/v1/embeddings", behaviour.embeddings, methods=["POST"])])
    server = _Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        behaviour.url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        assert server.ready.wait(START_SECONDS), "the server did not start"
        try:
            yield behaviour
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
