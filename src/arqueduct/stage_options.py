"""Options of stages: declared as pydantic models, named in a job's payload, checked before the first stage begins."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel, ConfigDict, ValidationError

from arqueduct.errors import OptionsInvalid
from arqueduct.llm import LLMOptions

__all__ = ["Options", "llm_of", "options_of"]

MOST_FAULTS = 5
"""In one message."""


class Options(BaseModel):
    """To derive from: options do not change, unknown ones are refused, and docstrings of fields describe them."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Optioned(Protocol):
    """What options need to know of a stage."""

    name: ClassVar[str]
    options: ClassVar[type[BaseModel] | None]


def options_of(stages: Iterable[Optioned], given: Any) -> dict[str, BaseModel]:
    """The options of each stage that has any, by its name; `given`: what the job's payload says, by stage.

    Raises `OptionsInvalid`: for a value that the stage does not take, and for a stage that does not run or has none.
    """
    given = {} if given is None else given
    if not isinstance(given, Mapping) or not all(isinstance(value, Mapping) for value in given.values()):
        raise OptionsInvalid("Options are objects by the names of stages.")
    found: dict[str, BaseModel] = {}
    unused = {name for name, values in given.items() if values}
    for stage in stages:
        if stage.options is not None:
            unused.discard(stage.name)
            found[stage.name] = _read(stage.name, stage.options, given.get(stage.name, {}))
    if unused:
        raise OptionsInvalid(
            f"Options are given for {', '.join(sorted(unused))}: no such stage with options runs here."
        )
    return found


def llm_of(given: Any) -> LLMOptions:
    """What the job's payload says about a language model. Raises `OptionsInvalid`."""
    found: LLMOptions = _read("llm", LLMOptions, given or {})
    return found


def _read(name: str, model: type[BaseModel], given: Any) -> Any:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise OptionsInvalid("; ".join(_faults(name, error))) from None


def _faults(name: str, error: ValidationError) -> Iterator[str]:
    """Without the values: they may be secret or huge."""
    for fault in error.errors(include_input=False, include_url=False, include_context=False)[:MOST_FAULTS]:
        yield f"{'.'.join(map(str, (name, *fault['loc'])))[:200]}: {fault['msg'][:200]}"
