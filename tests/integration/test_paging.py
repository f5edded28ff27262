"""Lists in pages, while what they list comes and goes."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from arqueduct.identity import NewIdentity
from arqueduct.settings import Settings
from tests.integration.backend import client_of, serving, upload


@dataclass
class Turn:
    """What others do between two pages: how many documents come, at which places of the list, and which go."""

    come: list[int] = field(default_factory=list)
    go: list[int] = field(default_factory=list)


turns = st.lists(
    st.builds(Turn, come=st.lists(st.integers(0, 99), max_size=3), go=st.lists(st.integers(0, 30), max_size=3)),
    max_size=8,
)


class Shelf:
    """The documents of a tenant, put there and taken away behind the API's back."""

    def __init__(self, owner: "asyncpg.Connection[asyncpg.Record]", me: NewIdentity) -> None:
        self._owner = owner
        self._me = me
        self.ids: set[UUID] = set()

    async def clear(self) -> None:
        self.ids.clear()
        await self._owner.execute("DELETE FROM documents; DELETE FROM jobs; DELETE FROM blobs")
        await self._owner.execute(
            "INSERT INTO blobs (id, tenant_id, sha256, size) VALUES ($1, $1, 'x', 1)", self._me.tenant_id
        )

    async def put(self, place: int) -> None:
        """Ids tell the order; of two in one place, chance does."""
        document = UUID(f"0189{place:04d}{uuid4().hex[8:]}")
        tenant, user = self._me.tenant_id, self._me.user_id
        await self._owner.execute(
            "INSERT INTO jobs (id, tenant_id, user_id, kind, document_id) VALUES ($1, $2, $3, 'x', $1)",
            *(document, tenant, user),
        )
        await self._owner.execute(
            "INSERT INTO documents (id, tenant_id, user_id, blob_id, job_id, name, content_type, size, sha256, "
            "language) VALUES ($1, $2, $3, $2, $1, 'x', 'text/plain', 1, 'x', 'english')",
            *(document, tenant, user),
        )
        self.ids.add(document)

    async def take(self, number: int) -> None:
        if self.ids:
            gone = sorted(self.ids)[number % len(self.ids)]
            await self._owner.execute("UPDATE documents SET deleted_at = now() WHERE id = $1", gone)
            self.ids.remove(gone)


def test_who_pages_sees_each_document_once_whatever_comes_and_goes(settings: Settings, me: NewIdentity) -> None:
    """What was there all the time is seen, and nothing is seen twice."""
    unlimited = settings.model_copy(update={"requests_per_minute": 10**6})

    async def page_through(first: list[int], limit: int, then: list[Turn]) -> None:
        await shelf.clear()
        for place in first:
            await shelf.put(place)
        throughout, seen = set(shelf.ids), list[UUID]()
        cursor: dict[str, str] = {}
        for turn in [*then, *[Turn()] * 100]:
            page = (await api.get("/api/v1/documents", params={"limit": limit, **cursor})).json()
            assert len(page["items"]) <= limit
            seen += [UUID(item["id"]) for item in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
            for place in turn.come:
                await shelf.put(place)
            for number in turn.go:
                await shelf.take(number)
            throughout &= shelf.ids
        assert len(seen) == len(set(seen))
        assert throughout <= set(seen)
        assert seen == sorted(seen, reverse=True)

    @given(first=st.lists(st.integers(0, 99), max_size=12), limit=st.integers(1, 4), then=turns)
    @hypothesis_settings(
        max_examples=40, deadline=None, database=None, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    def holds(first: list[int], limit: int, then: list[Turn]) -> None:
        runner.run(page_through(first, limit, then))

    async def opened() -> tuple[Any, Shelf, httpx.AsyncClient]:
        assert settings.database_url is not None
        owner = await asyncpg.connect(settings.database_url.get_secret_value())
        server = serving(unlimited)
        client = client_of(await server.__aenter__(), me)
        return (owner, server, client), Shelf(owner, me), await client.__aenter__()

    async def closed(owner: Any, server: Any, client: Any) -> None:
        await client.__aexit__(None, None, None)
        await server.__aexit__(None, None, None)
        await owner.close()

    with asyncio.Runner() as runner:
        parts, shelf, api = runner.run(opened())
        try:
            holds()
        finally:
            runner.run(closed(*parts))


async def test_a_document_that_came_late_into_the_past_is_no_reason_to_miss_another(api: httpx.AsyncClient) -> None:
    ids = [(await upload(api, b"%d" % number))["document"]["id"] for number in range(3)]
    page = (await api.get("/api/v1/documents?limit=1")).json()
    await api.delete(f"/api/v1/documents/{ids[2]}")
    await api.delete(f"/api/v1/documents/{ids[1]}")
    rest = (await api.get("/api/v1/documents", params={"limit": 1, "cursor": page["next_cursor"]})).json()
    assert [item["id"] for item in rest["items"]] == [ids[0]], "the row that the cursor names may be gone"
