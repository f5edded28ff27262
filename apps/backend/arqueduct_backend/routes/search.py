"""Search: passages that answer a question."""

import time

from fastapi import APIRouter

from arqueduct import metrics, search
from arqueduct.errors import DependencyUnavailable, InvalidQuery, InvalidRequest, NotAuthenticated, ProviderLimited
from arqueduct.permissions import Permission
from arqueduct.search import Mode
from arqueduct_backend import schemas
from arqueduct_backend.access import needs
from arqueduct_backend.budgets import Budget, budget
from arqueduct_backend.dependencies import Caller, Services
from arqueduct_backend.idempotency import always
from arqueduct_backend.problems import answers

__all__ = ["router"]

LONGEST_QUERY = 2000

router = APIRouter(prefix="/search", tags=["search"])


@router.post(
    "",
    dependencies=[needs(Permission.DOCUMENTS_READ), budget(Budget.SEARCHES), always()],
    response_model=schemas.SearchAnswer,
    responses=answers(NotAuthenticated, InvalidRequest, InvalidQuery, ProviderLimited, DependencyUnavailable),
)
async def search_passages(wanted: schemas.SearchRequest, services: Services, caller: Caller) -> schemas.SearchAnswer:
    """The best passages by meaning (`vector`), by words (`text`), or by both, fused (`hybrid`)."""
    began = time.perf_counter()
    query = _cleaned(wanted.query)
    # Before the transaction: a provider may take seconds, and a connection is not kept waiting for it.
    vector = None if wanted.mode is Mode.TEXT else await services.embedder.embed(query)
    async with services.database.transaction(caller.tenant_id) as transaction:
        hits = await search.search(
            transaction,
            query=query,
            vector=vector,
            model_id=0 if vector is None else await services.embedder.model_id(transaction),
            dimensions=services.embedder.model.dimensions,
            mode=wanted.mode,
            limit=wanted.limit,
            language=services.settings.search_language,
            document_ids=wanted.document_ids,
        )
    metrics.search_seconds.labels(wanted.mode).observe(time.perf_counter() - began)
    return schemas.SearchAnswer.model_construct(items=[schemas.SearchHit.of(hit) for hit in hits])


def _cleaned(query: str) -> str:
    """Without NUL, which Postgres refuses. Raises `InvalidQuery`."""
    cleaned = query.replace("\0", " ").strip()
    if not cleaned.isprintable() and any("\ud800" <= character <= "\udfff" for character in cleaned):
        raise InvalidQuery("The search query has half of a character (a lone surrogate).")
    if not cleaned:
        raise InvalidQuery("The search query is empty.")
    if len(cleaned) > LONGEST_QUERY:
        raise InvalidQuery(f"The search query has {len(cleaned):,} characters; at most {LONGEST_QUERY:,} are read.")
    return cleaned
