"""What a profile says about a language model. Core stages ask none: plugin stages find it in their context."""

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["LLMOptions"]


class LLMOptions(BaseModel):
    """Which language model a stage should ask, and how. A field that is null is the stage's own choice."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)
    model: str | None = Field(default=None, min_length=1, max_length=200, examples=["gpt-4.1-mini"])
    """The name of the model, as its provider has it."""
    temperature: float | None = Field(default=None, ge=0, le=2, examples=[0.2])
    """0: the likeliest words; higher: more variety."""
    max_tokens: int | None = Field(default=None, ge=1, le=1_000_000, examples=[1000])
    """The longest answer."""
