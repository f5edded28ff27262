"""Celery, prefork with two processes, one task a document: the other common design.

The stages are sensible (pypdfium2, batches of 256, executemany); progress is published once a stage.
"""

import json
import subprocess
import sys
import time
from typing import Any

import psycopg
import redis
from celery import Celery
from celery.signals import worker_process_init
from openai import OpenAI
from pgvector import Vector
from pgvector.psycopg import register_vector

from benchmarks.sides import shared

LOOK_SECONDS = 0.1

# Named as the worker imports it: a task is found by that name, and here this module is `__main__`.
app = Celery("benchmarks.sides.celery_prefork", broker=shared.REDIS_URL, backend=shared.REDIS_URL)
app.conf.update(worker_prefetch_multiplier=1, task_acks_late=True, task_ignore_result=True)
held: dict[str, Any] = {}


@worker_process_init.connect  # type: ignore[untyped-decorator]  # only the other environment knows its type
def connect(**_: Any) -> None:
    held["database"] = psycopg.connect(shared.DATABASE_URL, autocommit=True)
    register_vector(held["database"])
    held["redis"] = redis.Redis.from_url(shared.REDIS_URL)
    held["embeddings"] = OpenAI(base_url=shared.EMBED_URL, api_key="none").embeddings


def tell(number: int, stage: str) -> None:
    held["redis"].publish(f"progress:{number}", json.dumps({"document": number, "stage": stage}))


@app.task  # type: ignore[untyped-decorator]  # only the other environment knows its type
def process_document(number: int, path: str) -> None:
    tell(number, "extracting")
    text, pages = shared.extract(path)
    texts = shared.splitter().split_text(text)
    tell(number, "embedding")
    vectors = []
    for first in range(0, len(texts), shared.EMBED_BATCH):
        answer = held["embeddings"].create(model=shared.MODEL, input=texts[first : first + shared.EMBED_BATCH])
        vectors += [item.embedding for item in answer.data]
    tell(number, "storing")
    pairs = enumerate(zip(texts, map(Vector, vectors), strict=True))
    with held["database"].transaction(), held["database"].cursor() as cursor:
        cursor.executemany(
            "INSERT INTO chunks (document_id, position, content, embedding) VALUES (%s, %s, %s, %s)",
            [(number, position, *pair) for position, pair in pairs],
        )
        cursor.execute("UPDATE documents SET status = 'done', pages = %s WHERE id = %s", (pages, number))
    tell(number, "completed")


def main() -> None:
    paths = shared.input_paths()
    with psycopg.connect(shared.DATABASE_URL, autocommit=True) as database:
        database.execute(shared.SCHEMA)
        command = [sys.executable, "-m", "celery", "-A", "benchmarks.sides.celery_prefork", "worker"]
        command += ["-c", "2", "-l", "WARNING", "--without-gossip", "--without-mingle"]
        worker = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not app.control.ping(timeout=0.5):
            pass
        with database.cursor() as cursor:
            cursor.executemany("INSERT INTO documents (id, path) VALUES (%s, %s)", list(enumerate(paths)))
        clock = shared.Clock()
        for number, path in enumerate(paths):
            process_document.delay(number, path)
        query = "SELECT count(*), sum(pages) FROM documents WHERE status = 'done'"
        while (row := database.execute(query).fetchone())[0] < len(paths):
            time.sleep(LOOK_SECONDS)
        chunks = database.execute("SELECT count(*) FROM chunks").fetchone()[0]
        clock.stop(documents=row[0], pages=row[1], chunks=chunks)
    worker.terminate()
    worker.wait()


if __name__ == "__main__":
    main()
