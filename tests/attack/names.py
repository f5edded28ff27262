"""A name server of the attacker's: each of its names answers differently from one question to the next."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from arqueduct.ids import new_id

__all__ = ["RESOLVER", "Names"]

RESOLVER = Path(__file__).with_name("resolver")
"""Goes into PYTHONPATH of the service, so that it asks here."""


@dataclass(frozen=True)
class Names:
    """What the names lead to, one file each in a folder."""

    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        path = os.pathsep.join(filter(None, (str(RESOLVER), os.environ.get("PYTHONPATH"))))
        return {"PYTHONPATH": path, "ATTACK_NAMES": str(self.folder)}

    def add(self, *answers: Sequence[str]) -> str:
        """A new name: its first question gets the first of `answers`, and so on; the last stays."""
        name = f"{new_id()}.rebind.test"
        (self.folder / name).write_text("\n".join(" ".join(addresses) for addresses in answers))
        return name

    def asked(self, name: str) -> int:
        """How often."""
        marks = self.folder / f"{name}.asked"
        return marks.stat().st_size if marks.exists() else 0
