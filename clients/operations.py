"""The module of operations: a method for each, and one more where an answer can be had as a file."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from clients.schemas import Schema, docstring, either, identifier, kinds, type_of

__all__ = ["NOT_CALLED", "operations"]

NOT_CALLED = {"stream_events"}
"""Never ends, so a call cannot wait for it: `arqueduct.client.live` carries the same messages."""
NOT_SENT = {"authorization", "x-api-key", "traceparent", "x-request-id"}
"""Headers that the transport knows."""
JSON, FORM = "application/json", "multipart/form-data"
TEXTS = {"application/jsonl"}
"""Are read as text though they are not called so."""
CHOICE = "format"
"""The parameter that says which of its media types an operation answers in."""
OF_PAGES = {"limit", "cursor"}
"""Have no meaning for a file, which has everything."""
PREFIX = "models."

HEAD = '''"""The operations of the API. Written by clients/python.py; do not edit."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from arqueduct.client import models
from arqueduct.client.calls import Call, new_idempotency_key
from arqueduct.client.transport import AsyncTransport, Transport
from arqueduct.client.uploads import Upload

__all__ = ["AsyncOperations", "Operations"]
'''


@dataclass(frozen=True, kw_only=True)
class Method:
    """What one method takes, what it sends of it and where, and what it answers with."""

    name: str
    told: str
    answers: str
    given: list[str] = field(default_factory=list)
    """Arguments that may go by their place."""
    named: list[str] = field(default_factory=list)
    options: dict[str, str] = field(default_factory=dict)
    """Of the `Call`."""
    items: dict[str, list[str]] = field(default_factory=dict)
    """Options that are dictionaries."""

    def text(self, *, is_async: bool) -> str:
        arguments = ", ".join(
            ["self", *self.given, *(["*", *sorted(self.named, key=_is_optional)] if self.named else [])]
        )
        options = {**self.options, **{name: f"{{{', '.join(items)}}}" for name, items in self.items.items()}}
        called = f"Call({', '.join(f'{name}={value}' for name, value in options.items())})"
        wait, define = ("await ", "async def") if is_async else ("", "def")
        return (
            f"\n    {define} {self.name}({arguments}) -> {self.answers}:\n{docstring(self.told, '        ')}"
            f"        call: Call[{self.answers}] = {called}\n        return {wait}self.call(call)\n"
        )

    def add(self, where: str, key: str, value: str) -> None:
        self.items.setdefault(where, []).append(f"{json.dumps(key)}: {value}")


def operations(described: Schema) -> str:
    """Its text, before it is formatted. Raises `ValueError` for an operation that no method can carry."""
    methods = list(_methods(described))
    text = HEAD
    for title, is_async in (("Operations", False), ("AsyncOperations", True)):
        base = "AsyncTransport" if is_async else "Transport"
        text += f'\n\nclass {title}({base}):\n    """Every operation of the API, by its id."""\n'
        text += "".join(method.text(is_async=is_async) for method in methods)
    return text


def _methods(described: Schema) -> Iterator[Method]:
    for path, by_method in described["paths"].items():
        for verb, operation in by_method.items():
            if operation["operationId"] in NOT_CALLED:
                continue
            media = _media(operation)
            files = _files(operation, media)
            yield _method(verb, path, operation, described, media, left_out={CHOICE} if files else set())
            for choice, kind in files.items():
                yield _file(verb, path, operation, described, choice, kind)


def _method(
    verb: str, path: str, operation: Schema, described: Schema, media: Mapping[str, Schema], left_out: set[str]
) -> Method:
    answers = _answers(media)
    method = Method(
        name=operation["operationId"],
        told=operation.get("description", operation.get("summary", "")),
        answers=answers,
        options={
            "method": json.dumps(verb.upper()),
            "path": json.dumps(path),
            "answers": "type(None)" if answers == "None" else answers,
        },
    )
    for parameter in operation.get("parameters", ()):
        if parameter["name"].lower() not in NOT_SENT | left_out:
            _add_parameter(method, parameter)
    _add_body(method, operation.get("requestBody", {}), described)
    _check(method)
    return method


def _file(verb: str, path: str, operation: Schema, described: Schema, choice: str, kind: str) -> Method:
    """The same answer in one piece."""
    name = operation["operationId"]
    wanted = {
        **operation,
        "operationId": f"{name}_{choice}",
        "description": f"What `{name}` tells, all of it as {kind}.",
    }
    method = _method(verb, path, wanted, described, {kind: {}}, left_out={CHOICE, *OF_PAGES})
    method.add("query", CHOICE, json.dumps(choice))
    return method


def _add_parameter(method: Method, parameter: Schema) -> None:
    name, place = parameter["name"], parameter["in"]
    argument, several = identifier(name.lower()), kinds(parameter["schema"], PREFIX)
    if place == "path":
        method.given.append(f"{argument}: {' | '.join(several)}")
        method.add("ids", name, argument)
        return
    method.named.append(_argument(argument, several, is_needed=parameter.get("required", False)))
    made = f"{argument} or new_idempotency_key()" if name == "Idempotency-Key" else argument
    method.add("headers" if place == "header" else "query", name, made)


def _add_body(method: Method, body: Schema, described: Schema) -> None:
    content = body.get("content", {})
    if FORM in content:
        _add_form(method, _resolved(content[FORM]["schema"], described))
    elif JSON in content:
        several = kinds(content[JSON]["schema"], PREFIX)
        method.given.append(_argument("body", several, is_needed=body.get("required", False)))
        method.options["body"] = "body"
    elif content:
        raise ValueError(f"{method.name} takes {', '.join(content)}; only JSON and forms can be sent.")


def _add_form(method: Method, form: Schema) -> None:
    """Files go by their place, fields by their names."""
    for name, schema in form["properties"].items():
        argument, is_needed = identifier(name), name in form.get("required", ())
        if _is_file(schema):
            method.given.append(_argument(argument, ["Upload"], is_needed=is_needed))
            method.add("files", name, f"[{argument}]" if is_needed else f"[{argument}] if {argument} else []")
        elif _is_file(schema.get("items", {})):
            method.given.append(f"{argument}: Sequence[Upload]" + ("" if is_needed else " = ()"))
            method.add("files", name, argument)
        else:
            is_json = schema.get("contentMediaType") == JSON
            several = ["Mapping[str, Any]"] if is_json else kinds(schema, PREFIX)
            method.named.append(_argument(argument, several, is_needed=is_needed))
            method.add("form", name, argument)


def _argument(name: str, several: list[str], *, is_needed: bool) -> str:
    if is_needed:
        return f"{name}: {' | '.join(several)}"
    return f"{name}: {' | '.join(either([*several, 'None']))} = None"


def _is_optional(argument: str) -> bool:
    return argument.endswith("= None")


def _is_file(schema: Schema) -> bool:
    return schema.get("format") == "binary"


def _resolved(schema: Schema, described: Schema) -> Schema:
    found: Schema = described["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]] if "$ref" in schema else schema
    return found


def _check(method: Method) -> None:
    """Two names of the wire may be one of Python."""
    names = [argument.split(":")[0] for argument in method.given + method.named]
    if twice := {name for name in names if names.count(name) > 1}:
        raise ValueError(f"{method.name} has more than one argument {', '.join(sorted(twice))}.")


def _media(operation: Schema) -> Mapping[str, Schema]:
    """What it answers with when it did what was asked, by media type."""
    for status, answer in sorted(operation["responses"].items()):
        if status.startswith("2") and answer.get("content"):
            found: Mapping[str, Schema] = answer["content"]
            return found
    return {}


def _files(operation: Schema, media: Mapping[str, Schema]) -> dict[str, str]:
    """The media types beside JSON, by what chooses them."""
    if JSON not in media:
        return {}
    choices = [each["schema"].get("enum", ()) for each in operation.get("parameters", ()) if each["name"] == CHOICE]
    by_name = {re.split(r"[/+]", kind)[-1]: kind for kind in media if kind != JSON}
    return {name: kind for name, kind in by_name.items() if any(name in values for values in choices)}


def _answers(media: Mapping[str, Schema]) -> str:
    if JSON in media:
        return type_of(media[JSON].get("schema", {}), PREFIX)
    if not media:
        return "None"
    return "str" if all(kind.startswith("text/") or kind in TEXTS for kind in media) else "bytes"
