"""docs/configuration.md, generated from the settings, so that a setting's description is its documentation."""

import types
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo

from arqueduct.settings import Settings

__all__ = ["reference", "variables_of"]

HEAD = """\
# Configuration

Every process reads its settings from the environment, once, when it starts. An empty variable counts as unset.
Each variable can also be given as `<name>_FILE`: the path of a file whose content is the value, which is how
secrets come in containers. `arqueduct doctor` prints what is in effect.

This page is generated: `arqueduct doctor --reference > docs/configuration.md`.

| Variable | Type | Default | What it does |
|---|---|---|---|
"""

MACHINE_DEPENDENT = {"parsers": "cores, at most 4"}
NAMES = {str: "text", int: "whole number", float: "number", SecretStr: "text, secret", frozenset: "list, by commas"}


def reference() -> str:
    """The whole page."""
    return HEAD + "".join(_row(name, field) for name, field in Settings.model_fields.items())


def variables_of(name: str, field: FieldInfo) -> list[str]:
    """The names under which the environment may give a setting; the first found wins."""
    alias = field.validation_alias
    if isinstance(alias, AliasChoices):
        return [str(choice) for choice in alias.choices if str(choice).isupper()]
    return [f"ARQUEDUCT_{name.upper()}"]


def _row(name: str, field: FieldInfo) -> str:
    variables = ", ".join(f"`{variable}`" for variable in variables_of(name, field))
    cells = (variables, _type(field.annotation), _default(name, field.default), field.description or "")
    return "| " + " | ".join(_escaped(cell) for cell in cells) + " |\n"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|").replace("<", "\\<")


def _type(annotation: Any) -> str:
    return ", ".join(dict.fromkeys(_names(annotation)))


def _names(annotation: Any) -> Iterator[str]:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        for part in get_args(annotation):
            if part is not types.NoneType:
                yield from _names(part)
    elif origin is Literal:
        yield " or ".join(f"`{value}`" for value in get_args(annotation))
    else:
        kind = origin or annotation
        yield NAMES.get(kind, str(kind.__name__).lower())


def _default(name: str, default: object) -> str:
    if name in MACHINE_DEPENDENT:
        return MACHINE_DEPENDENT[name]
    if default is None or default == frozenset():
        return "–"
    return f"`{default}`"
