"""Reading documents in child processes with limits on memory and time, which can be killed at any moment.

`pool` is what the worker's stages use; everything else runs inside the child.
"""

from importlib.metadata import version
from typing import Final

__all__ = ["RECIPE"]

OWN_VERSION: Final = 1  # raise it when an extractor of ours begins to give other text for the same file

RECIPE: Final = ",".join(
    (
        f"arqueduct={OWN_VERSION}",
        *(f"{name}={version(name)}" for name in ("pypdfium2", "pypdf", "selectolax", "charset-normalizer")),
    )
)
"""Names what turns a file into text; kept text is found again under it, and a newer recipe reads the file anew."""
