"""LangChain: `PyPDFium2Loader`, `RecursiveCharacterTextSplitter`, `OpenAIEmbeddings`, `PGVectorStore`, all async.

Four documents are under way at once.
"""

import asyncio
from typing import Any

from langchain_community.document_loaders import PyPDFium2Loader, TextLoader
from langchain_openai import OpenAIEmbeddings
from langchain_postgres import PGEngine, PGVectorStore
from langchain_postgres.v2.indexes import DistanceStrategy, HNSWIndex

from benchmarks.sides import shared


async def new_store(embeddings: Any) -> Any:
    engine = PGEngine.from_connection_string(shared.DATABASE_URL.replace("postgresql://", "postgresql+asyncpg://"))
    await engine.ainit_vectorstore_table("langchain", vector_size=shared.DIMENSIONS, overwrite_existing=True)
    store = await PGVectorStore.create(engine=engine, table_name="langchain", embedding_service=embeddings)
    index = HNSWIndex(m=16, ef_construction=64, distance_strategy=DistanceStrategy.COSINE_DISTANCE)
    await store.aapply_vector_index(index)
    return store


def load(path: str) -> list[Any]:
    loader = PyPDFium2Loader(path, mode="single") if path.endswith(".pdf") else TextLoader(path)
    documents: list[Any] = loader.load()
    for document in documents:
        document.page_content = shared.clean(document.page_content)
        # Titles and authors hold NUL as well, and jsonb refuses it.
        document.metadata = {
            key: shared.clean(value) if isinstance(value, str) else value for key, value in document.metadata.items()
        }
    return documents


async def main() -> None:
    embeddings = OpenAIEmbeddings(
        model=shared.MODEL,
        base_url=shared.EMBED_URL,
        api_key="none",
        chunk_size=shared.EMBED_BATCH,
        check_embedding_ctx_length=False,  # True sends token arrays, and downloads a tokenizer
    )
    store = await new_store(embeddings)
    splitter, gate, paths = shared.splitter(), asyncio.Semaphore(shared.EMBED_IN_FLIGHT), shared.input_paths()

    async def one(path: str) -> tuple[int, int]:
        async with gate:
            documents = load(path)
            chunks = splitter.split_documents(documents)
            if chunks:
                await store.aadd_documents(chunks)
            return documents[0].metadata.get("total_pages", 1), len(chunks)

    clock = shared.Clock()
    done = await asyncio.gather(*map(one, paths))
    clock.stop(documents=len(done), pages=sum(pages for pages, _ in done), chunks=sum(chunks for _, chunks in done))


if __name__ == "__main__":
    asyncio.run(main())
