"""What is known of embedding models by their names."""

from arqueduct.errors import SetupError
from arqueduct.settings import Settings

__all__ = [
    "LOCAL_DIMENSIONS",
    "LOCAL_MODEL",
    "is_shortenable",
    "local_settings",
    "openai_dimensions",
    "openai_model",
]

LOCAL_MODEL = "all-MiniLM-L6-v2"
LOCAL_DIMENSIONS = 384
OPENAI_DEFAULT = "text-embedding-3-small"

DIMENSIONS = {
    "all-minilm": 384,
    "all-minilm-l6-v2": 384,
    "all-mpnet-base-v2": 768,
    "bge-base-en-v1.5": 768,
    "bge-large": 1024,
    "bge-large-en-v1.5": 1024,
    "bge-m3": 1024,
    "bge-small-en-v1.5": 384,
    "embeddinggemma": 768,
    "mistral-embed": 1024,
    "multilingual-e5-large": 1024,
    "mxbai-embed-large": 1024,
    "nomic-embed-text": 768,
    "snowflake-arctic-embed": 1024,
    "snowflake-arctic-embed2": 1024,
    "text-embedding-3-large": 3072,
    "text-embedding-3-small": 1536,
    "text-embedding-ada-002": 1536,
}
"""As the providers document them, by the last part of the name, lower case, without a tag."""


def local_settings(settings: Settings) -> None:
    """Raises `SetupError` when the settings ask for another model than the one that is built in."""
    if settings.embedding_model not in (None, LOCAL_MODEL):
        raise SetupError(
            f"The local embedder only knows {LOCAL_MODEL}, and ARQUEDUCT_EMBEDDING_MODEL={settings.embedding_model}: "
            "unset it, or set OPENAI_BASE_URL to a server that has this model."
        )
    if settings.embedding_dimensions not in (None, LOCAL_DIMENSIONS):
        raise SetupError(
            f"{LOCAL_MODEL} makes vectors of {LOCAL_DIMENSIONS} dimensions, and "
            f"ARQUEDUCT_EMBEDDING_DIMENSIONS={settings.embedding_dimensions}: unset it."
        )


def openai_model(settings: Settings) -> str:
    """The name of the model, as the provider knows it."""
    return settings.embedding_model or OPENAI_DEFAULT


def openai_dimensions(settings: Settings) -> tuple[int, bool]:
    """Length of a vector, and whether that is the model's own length. Raises `SetupError` when nobody says."""
    model = openai_model(settings)
    native, wanted = DIMENSIONS.get(_family(model)), settings.embedding_dimensions
    if native is None and wanted is None:
        raise SetupError(
            f"The dimensions of the embedding model {model} are not known: set ARQUEDUCT_EMBEDDING_DIMENSIONS to the "
            "length of its vectors."
        )
    if native is not None and wanted is not None and wanted > native and is_shortenable(model):
        raise SetupError(f"{model} makes vectors of at most {native} dimensions: lower ARQUEDUCT_EMBEDDING_DIMENSIONS.")
    dimensions = wanted or native or 0
    return dimensions, native is None or dimensions == native


def is_shortenable(model: str) -> bool:
    """Whether the provider takes the `dimensions` parameter; the others refuse a request that has it."""
    return _family(model).startswith("text-embedding-3")


def _family(model: str) -> str:
    return model.lower().rsplit("/", 1)[-1].split(":", 1)[0]
