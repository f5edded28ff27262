"""Writes `arqueduct.client`: its types and its operations, out of the OpenAPI description.

    python -m clients.python [--check]

A test sees that what is committed is what this writes.
"""

import json
import keyword
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import fill
from typing import Any

__all__ = ["main", "written"]

HERE = Path(__file__).parents[1]
PACKAGE = HERE / "src" / "arqueduct" / "client"
NOT_CALLED = {"stream_events"}
"""Never ends, so a call cannot wait for it: `arqueduct.client.live` carries the same messages."""
NOT_SENT = {"authorization", "x-api-key", "traceparent", "x-request-id"}
"""Headers that the transport knows."""

Schema = Mapping[str, Any]

WIDTH = 113
"""Of a docstring, with room for its quotation marks."""

PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
FORMATS = {"uuid": "UUID", "date-time": "datetime", "binary": "bytes"}

MODELS = '''"""What the API says and takes. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType, field

from arqueduct.client.calls import OpenEnum

'''
OPERATIONS = '''"""The operations of the API. Written by clients/python.py; do not edit."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from arqueduct.client import models
from arqueduct.client.calls import Call, Upload, new_idempotency_key
from arqueduct.client.transport import AsyncTransport, Transport

__all__ = ["AsyncOperations", "Operations"]
'''


def written(described: Schema) -> dict[str, str]:
    """The modules by their name, formatted."""
    schemas = described["components"]["schemas"]
    used = _order(schemas)
    sent = _sent(described)
    models = MODELS + f"__all__ = {json.dumps(sorted(_name(name) for name in used))}\n"
    models += "".join(f"\n\n{_model(name, schemas[name], name in sent)}" for name in used)
    operations = list(_operations(described))
    text = OPERATIONS
    for title, is_async in (("Operations", False), ("AsyncOperations", True)):
        base = "AsyncTransport" if is_async else "Transport"
        text += f'\n\nclass {title}({base}):\n    """Every operation of the API, by its id."""\n'
        text += "".join(_method(*operation, is_async) for operation in operations)
    return {"models.py": _formatted(models), "operations.py": _formatted(text)}


def main(*arguments: str) -> None:
    """Writes the modules; with `--check` it only says whether they are up to date."""
    from arqueduct.settings import Settings
    from arqueduct_backend.main import create_app

    found = written(create_app(Settings()).openapi())
    stale = [name for name, text in found.items() if not _is(PACKAGE / name, text)]
    if "--check" in arguments:
        sys.exit(f"Out of date: {', '.join(stale)}. Run `make clients`." if stale else 0)
    for name, text in found.items():
        (PACKAGE / name).write_text(text)


def _is(path: Path, text: str) -> bool:
    return path.exists() and path.read_text() == text


def _formatted(text: str) -> str:
    ruff = [sys.executable, "-m", "ruff"]
    select = ["check", "--fix", "--quiet", "--select", "I,F401,RUF022", "--isolated", "--line-length", "120"]
    known = ["--config", 'lint.isort.known-first-party=["arqueduct"]']
    for command in (
        [*ruff, *select, *known, "--stdin-filename", "generated.py", "-"],
        [*ruff, "format", "--isolated", "--line-length", "120", "-"],
    ):
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        if not done.stdout:
            sys.exit(done.stderr)
        text = done.stdout
    return text


def _order(schemas: Mapping[str, Schema]) -> list[str]:
    """Each after those that it needs when it is defined: enumerations, then the rest by name."""
    return sorted(schemas, key=lambda name: ("enum" not in schemas[name], name))


def _name(schema: str) -> str:
    """`Page_Document_` is `PageDocument`."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"[^A-Za-z0-9]+", schema) if part)


def _sent(described: Schema) -> set[str]:
    """Schemas that clients send, and what these are made of."""
    found: set[str] = set()
    bodies = [op.get("requestBody", {}) for methods in described["paths"].values() for op in methods.values()]
    waiting = _references(bodies)
    while waiting:
        found |= waiting
        waiting = _references([described["components"]["schemas"][name] for name in waiting]) - found
    return found


def _references(part: object) -> set[str]:
    return set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(part)))


def _model(name: str, schema: Schema, is_sent: bool) -> str:
    told = _docstring(schema.get("description", schema.get("title", name)), "    ")
    if "enum" in schema:
        members = "".join(f"    {_member(value)} = {json.dumps(value)}\n" for value in schema["enum"])
        return f"class {_name(name)}(OpenEnum):\n{told}\n{members}"
    if schema.get("type") != "object" or "properties" not in schema:
        return f"{_name(name)} = {_type(schema, '')}\n"
    required = set(schema.get("required", ()))
    lines = [_field(key, inner, key in required, is_sent) for key, inner in schema["properties"].items()]
    return f"class {_name(name)}(Struct, frozen=True, kw_only=True, omit_defaults=True):\n{told}\n" + "".join(lines)


def _field(key: str, schema: Schema, is_required: bool, is_sent: bool) -> str:
    """What a client leaves out is not sent; what a server leaves out is None or what the description says."""
    name = f"{key}_" if keyword.iskeyword(key) else key
    kind = _type(schema, "")
    default = None
    if not is_required and is_sent:
        kind, default = _or(kind, "UnsetType"), "UNSET"
    elif not is_required:
        told = schema.get("default")
        default = repr(told) if isinstance(told, str | int | float | bool) else "None"
        kind = _or(kind, "None") if default == "None" else kind
    if name != key:
        options = [f"default={default}"] if default else []
        default = f"field({', '.join([*options, f'name={json.dumps(key)}'])})"
    default = f" = {default}" if default else ""
    told = _docstring(schema["description"], "    ") if "description" in schema else ""
    return f"    {name}: {_quoted(kind)}{default}\n{told}"


def _or(kind: str, other: str) -> str:
    """The union of both, None at its end."""
    parts = dict.fromkeys([*kind.split(" | "), other])
    return " | ".join(sorted(parts, key=lambda part: part == "None"))


def _quoted(kind: str) -> str:
    """As text: what it names may be defined below."""
    return json.dumps(kind) if re.search(r"\b(?!UUID|None|Any|UnsetType|Literal)[A-Z]\w+", kind) else kind


def _member(value: str) -> str:
    name = re.sub(r"\W", "_", str(value)).upper()
    return f"{name}_" if keyword.iskeyword(name) or name[:1].isdigit() else name


def _type(schema: Schema, prefix: str) -> str:
    """The Python type of a schema; `prefix` stands before the names of models."""
    if "$ref" in schema:
        return prefix + _name(schema["$ref"].rsplit("/", 1)[1])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return " | ".join(dict.fromkeys(_type(inner, prefix) for inner in schema[several]))
    if "const" in schema:
        return f"Literal[{schema['const']!r}]"
    if "enum" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]"
    match schema.get("type"):
        case "array":
            return f"list[{_type(schema.get('items', {}), prefix)}]"
        case "object":
            inner = schema.get("additionalProperties")
            return f"dict[str, {_type(inner, prefix) if isinstance(inner, dict) else 'Any'}]"
        case str(kind):
            return FORMATS.get(schema.get("format", ""), PLAIN.get(kind, "Any"))
        case list(kinds):
            return " | ".join(PLAIN.get(kind, "Any") for kind in kinds)
    return "Any"


def _operations(described: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            if operation["operationId"] not in NOT_CALLED:
                yield method.upper(), path, operation


def _method(method: str, path: str, operation: Schema, is_async: bool) -> str:
    given: list[str] = []
    named: list[str] = []
    ids: list[str] = []
    query: list[str] = []
    headers: list[str] = []
    extra: list[str] = []
    for parameter in operation.get("parameters", ()):
        name, place = parameter["name"], parameter["in"]
        kind = _type(parameter["schema"], "models.")
        argument = re.sub(r"\W", "_", name).lower()
        if place == "path":
            given.append(f"{argument}: {kind}")
            ids.append(f"{json.dumps(name)}: {argument}")
        elif name.lower() not in NOT_SENT:
            plain = kind.removesuffix(" | None")
            named.append(f"{argument}: {plain} | None = None")
            if name == "Idempotency-Key":
                headers.append(f"{json.dumps(name)}: {argument} or new_idempotency_key()")
            else:
                (headers if place == "header" else query).append(f"{json.dumps(name)}: {argument}")
    content = operation.get("requestBody", {}).get("content", {})
    if "multipart/form-data" in content:
        given.append("file: Upload")
        extra.append("file=file")
    elif "application/json" in content:
        is_needed = operation["requestBody"].get("required", True)
        kind = _type(content["application/json"]["schema"], "models.")
        given.append(f"body: {kind}" if is_needed else f"body: {kind} | None = None")
        extra.append("body=body")
    answers = _answers(operation)
    arguments = ", ".join(["self", *given, *(["*", *named] if named else [])])
    parts = [f'method="{method}"', f'path="{path}"', f"answers={'type(None)' if answers == 'None' else answers}"]
    for option, items in (("ids", ids), ("query", query), ("headers", headers)):
        if items:
            parts.append(f"{option}={{{', '.join(items)}}}")
    called = f"Call({', '.join(parts + extra)})"
    told = _docstring(operation.get("description", operation.get("summary", "")), "        ")
    wait, define = ("await ", "async def") if is_async else ("", "def")
    return (
        f"\n    {define} {operation['operationId']}({arguments}) -> {answers}:\n{told}"
        f"        call: Call[{answers}] = {called}\n        return {wait}self.call(call)\n"
    )


def _answers(operation: Schema) -> str:
    for status, answer in sorted(operation["responses"].items()):
        if not status.startswith("2"):
            continue
        for media, content in answer.get("content", {}).items():
            if media == "application/json":
                return _type(content.get("schema", {}), "models.")
            return "str" if media.startswith("text/") else "bytes"
    return "None"


def _docstring(text: str, indent: str) -> str:
    told = [fill(part, WIDTH - len(indent)) for part in text.strip().replace("\\", "\\\\").split("\n\n")]
    words = "\n".join(f"{indent}{line}".rstrip() for line in "\n\n".join(told).splitlines())
    return f'{indent}"""{words.strip()}"""\n'


if __name__ == "__main__":
    main(*sys.argv[1:])
