"""The client is what its generator writes, and carries every operation."""

from fastapi.routing import APIRoute

from arqueduct.client import AsyncClient, Client, operations
from arqueduct.settings import Settings
from arqueduct_backend.main import ROUTERS, create_app
from clients.python import NOT_CALLED, PACKAGE, written


def test_what_is_committed_is_what_is_written() -> None:
    for name, text in written(create_app(Settings()).openapi()).items():
        assert (PACKAGE / name).read_text() == text, f"{name} is out of date: run `make clients`"


def test_every_operation_is_there_twice() -> None:
    names = {route.name for group in ROUTERS.values() for router in group for route in router.routes if _is_api(route)}
    for client in (Client, AsyncClient):
        assert names - NOT_CALLED <= set(dir(client))
    assert operations.__all__ == ["AsyncOperations", "Operations"]


def _is_api(route: object) -> bool:
    return isinstance(route, APIRoute)
