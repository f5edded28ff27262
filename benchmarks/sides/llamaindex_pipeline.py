"""LlamaIndex, as its documentation advises: parallel reader, `IngestionPipeline.arun`, `PGVectorStore`.

Kept equal to the others: pypdfium2, the same splitter, batches of 256, four in flight, an HNSW index.
"""

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from llama_index.core import Document, SimpleDirectoryReader
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import LangchainNodeParser
from llama_index.core.readers.base import BaseReader
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.vector_stores.postgres import PGVectorStore

from benchmarks.sides import shared


class PdfiumReader(BaseReader):  # type: ignore[misc]  # only the other environment knows its type
    def load_data(self, file: Path, extra_info: dict[str, Any] | None = None) -> list[Any]:
        text, pages = shared.extract(str(file))
        return [Document(text=text, metadata={**(extra_info or {}), "pages": pages})]


def metadata(path: str) -> dict[str, str]:
    return {"path": path}


def vector_store() -> Any:
    url = urlsplit(shared.DATABASE_URL)
    return PGVectorStore.from_params(
        host=url.hostname,
        port=str(url.port),
        user=url.username,
        password=url.password,
        database=url.path.lstrip("/"),
        table_name="llama",
        embed_dim=shared.DIMENSIONS,
        use_jsonb=True,
        hnsw_kwargs={"hnsw_m": 16, "hnsw_ef_construction": 64, "hnsw_dist_method": "vector_cosine_ops"},
    )


async def main() -> None:
    embedding = OpenAIEmbedding(
        model_name=shared.MODEL,
        api_base=shared.EMBED_URL,
        api_key="none",
        embed_batch_size=shared.EMBED_BATCH,
        num_workers=shared.EMBED_IN_FLIGHT,
    )
    pipeline = IngestionPipeline(
        transformations=[LangchainNodeParser(shared.splitter()), embedding],
        vector_store=vector_store(),
        disable_cache=True,
    )
    clock = shared.Clock()
    reader = SimpleDirectoryReader(
        input_files=shared.input_paths(), file_extractor={".pdf": PdfiumReader()}, file_metadata=metadata
    )
    documents = reader.load_data(num_workers=2)
    nodes = await pipeline.arun(documents=documents)
    pages = sum(document.metadata.get("pages", 1) for document in documents)
    clock.stop(documents=len(documents), pages=pages, chunks=len(nodes))


if __name__ == "__main__":
    asyncio.run(main())
