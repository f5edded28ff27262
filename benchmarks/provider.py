"""A made-up OpenAI-compatible embeddings API: the right shape and limits, a chosen latency, no model.

    python -m benchmarks.provider --port 8900

Vectors are of unit length, 384 wide and depend on the text alone, so every side stores the same numbers. `GET /stats`
tells what was asked since it was last asked itself.
"""

import argparse
import asyncio
import base64
import zlib
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import uvicorn

__all__ = ["LATENCY", "PER_TEXT", "Api", "embed"]

LATENCY, PER_TEXT = 0.150, 0.001
"""Seconds of each request, and of each text on top."""
DIMENSIONS = 384
MOST_INPUTS = 2048
"""The limit of the real API."""

_random = np.random.default_rng(7)
# A vector is a near one plus a far one: a million different vectors, clustered as real ones are.
_NEAR, _FAR = _random.standard_normal((2, 1024, DIMENSIONS), dtype=np.float32)


def embed(texts: Sequence[str]) -> Any:
    """One row a text."""
    keys = np.array([zlib.crc32(text.encode("utf-8", "replace")) for text in texts])
    vectors = _NEAR[keys % 1024] + _FAR[(keys >> 10) % 1024]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("<f4")


class Api:
    """An ASGI application."""

    def __init__(self, latency: float = LATENCY, per_text: float = PER_TEXT) -> None:
        self._latency = latency
        self._per_text = per_text
        self._in_flight = 0
        self._counts = dict.fromkeys(("requests", "inputs", "most_in_flight"), 0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = await _body(receive)
        if scope["path"] == "/stats":
            status, answer = 200, self._report()
        else:
            status, answer = await self._embeddings(msgspec.json.decode(body))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": msgspec.json.encode(answer)})

    def _report(self) -> dict[str, int]:
        found, self._counts = self._counts, dict.fromkeys(self._counts, 0)
        return found

    async def _embeddings(self, body: dict[str, Any]) -> tuple[int, Any]:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not 1 <= len(texts) <= MOST_INPUTS or not all(isinstance(text, str) for text in texts):
            return 400, {"error": {"message": f"send between 1 and {MOST_INPUTS} inputs, all of them text"}}
        self._in_flight += 1
        self._counts["requests"] += 1
        self._counts["inputs"] += len(texts)
        self._counts["most_in_flight"] = max(self._counts["most_in_flight"], self._in_flight)
        await asyncio.sleep(self._latency + self._per_text * len(texts))
        self._in_flight -= 1
        is_packed = body.get("encoding_format") == "base64"
        vectors = [base64.b64encode(row).decode() if is_packed else row.tolist() for row in embed(texts)]
        data = [{"object": "embedding", "index": index, "embedding": row} for index, row in enumerate(vectors)]
        tokens = sum(map(len, texts)) // 4
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return 200, {"object": "list", "data": data, "model": body.get("model", "made-up"), "usage": usage}


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8900)
    parser.add_argument("--latency", type=float, default=LATENCY, help="seconds a request")
    parser.add_argument("--per-text", type=float, default=PER_TEXT, help="seconds a text, on top")
    options = parser.parse_args()
    api = Api(options.latency, options.per_text)
    uvicorn.run(api, host="127.0.0.1", port=options.port, log_level="warning", access_log=False, lifespan="off")


if __name__ == "__main__":
    main()
