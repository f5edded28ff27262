"""Names and addresses that people give: one rule for the API's bodies and for the command line."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import PydanticCustomError, core_schema

__all__ = ["ADDRESS", "LABEL", "Address", "Form", "Label"]


@dataclass(frozen=True, kw_only=True)
class Form:
    """What a text must look like, as an annotation of a pydantic type and as a function."""

    name: str
    """The type of the error."""
    pattern: str
    """As JSON Schema has it."""
    longest: int
    rule: str
    """What an error says."""

    def check(self, value: str) -> str:
        """The same. Raises `ValueError` that tells the rule."""
        fits = 0 < len(value) <= self.longest and re.fullmatch(self.pattern, value)
        if not fits or any("\ud800" <= char <= "\udfff" for char in value):  # a command line may carry any byte
            raise PydanticCustomError(self.name, self.rule)
        return value

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "minLength": 1, "maxLength": self.longest, "pattern": self.pattern}


UNSEEN = r"\x00-\x1f\x7f-\x9f\u200b\u202a-\u202e\u2066-\u2069\ufeff"
"""Control characters, those that turn the direction of writing, and those without width: two names that look alike."""
LABEL = Form(
    name="label",
    pattern=rf"^[^\s{UNSEEN}]([^{UNSEEN}]*[^\s{UNSEEN}])?$",
    longest=200,
    rule="Write 1 to 200 characters, none of them a control character or invisible, and no space at either end.",
)
ADDRESS = Form(
    name="address",
    pattern=r"^[^\s@\x00-\x1f\x7f-\x9f<>\"]{1,64}@[^\s@\x00-\x1f\x7f-\x9f<>\"]{1,255}$",
    longest=254,
    rule="Write an address such as ada@example.org: at most 64 characters, one @ and a host, 254 characters in all, "
    "without spaces, quotes and angle brackets.",
)

Label = Annotated[str, LABEL]
"""Neither control characters nor white space at its ends."""
Address = Annotated[str, ADDRESS, Field(examples=["ada@example.org"])]
"""Has the form of an address. Whether mail reaches it only mail could tell."""
