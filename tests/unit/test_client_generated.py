"""The client is what its generator writes, and carries every operation."""

import inspect
import typing

import msgspec
import pytest
from fastapi.routing import APIRoute

from arqueduct.client import AsyncClient, Client, models, operations
from arqueduct.settings import Settings
from arqueduct_backend.main import ROUTERS, create_app
from clients.operations import NOT_CALLED
from clients.operations import operations as operations_text
from clients.python import PACKAGE, written
from clients.schemas import Schema


def test_what_is_committed_is_what_is_written() -> None:
    for name, text in written(create_app(Settings()).openapi()).items():
        assert (PACKAGE / name).read_text() == text, f"{name} is out of date: run `make clients`"


def test_every_operation_is_there_twice() -> None:
    names = {route.name for group in ROUTERS.values() for router in group for route in router.routes if _is_api(route)}
    for client in (Client, AsyncClient):
        assert names - NOT_CALLED <= set(dir(client))
    assert operations.__all__ == ["AsyncOperations", "Operations"]


def test_every_answer_can_be_read() -> None:
    """Of some unions msgspec says only when it meets them that it cannot tell their members apart."""
    methods = [method for name, method in vars(operations.Operations).items() if inspect.isfunction(method)]
    assert len(methods) > 80
    for method in methods:
        answers = typing.get_type_hints(method)["return"]
        if answers not in (bytes, str, type(None)):
            msgspec.json.Decoder(answers)


def test_arguments_say_what_may_be_left_out() -> None:
    made = inspect.signature(Client.create_file_set).parameters
    assert (made["files"].default, made["name"].default, made["metadata"].default) == (
        (),
        inspect.Parameter.empty,
        None,
    )
    assert inspect.signature(Client.upload_to_file_set).parameters["files"].default is inspect.Parameter.empty
    assert inspect.signature(Client.retry_project).parameters["body"].default is None
    assert typing.get_type_hints(Client.retry_project)["body"] == models.ChildChoice | None
    assert "from_" in inspect.signature(Client.get_processing).parameters


def test_what_can_be_had_as_a_file_has_a_method_for_it() -> None:
    for name in ("list_errors", "get_project_errors", "get_batch_errors"):
        assert typing.get_type_hints(getattr(Client, name))["return"] is models.ErrorReport
        assert typing.get_type_hints(getattr(Client, f"{name}_csv"))["return"] is str
        assert not {"format", "limit", "cursor"} & set(inspect.signature(getattr(Client, f"{name}_csv")).parameters)


def test_what_no_method_can_carry_is_told() -> None:
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("a-b", "a_b")]
    with pytest.raises(ValueError, match="more than one argument a_b"):
        operations_text(_described({"parameters": parameters}))
    with pytest.raises(ValueError, match="takes text/turtle; only JSON and forms"):
        operations_text(_described({"requestBody": {"content": {"text/turtle": {}}}}))


def _described(operation: dict[str, typing.Any]) -> Schema:
    return {
        "paths": {"/x": {"post": {"operationId": "x", "responses": {}, **operation}}},
        "components": {"schemas": {}},
    }


def _is_api(route: object) -> bool:
    return isinstance(route, APIRoute)
