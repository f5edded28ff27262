"""Random passwords of a server's users, made when first asked for and kept in a file that only its owner reads."""

import json
import os
import secrets
from pathlib import Path

__all__ = ["Passwords"]


class Passwords:
    def __init__(self, path: Path) -> None:
        self.path = path

    def exists(self) -> bool:
        return self.path.exists()

    def get(self, role: str) -> str:
        """Of letters, digits, `-` and `_`, so that it stands unquoted in a URL, a file or a statement."""
        known: dict[str, str] = json.loads(self.path.read_text()) if self.exists() else {}
        if role not in known:
            known[role] = secrets.token_urlsafe(24)
            self._write(known)
        return known[role]

    def _write(self, known: dict[str, str]) -> None:
        unfinished = self.path.with_name(f"{self.path.name}.part")
        file = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(file, "w") as content:
            json.dump(known, content, indent=1)
            content.flush()
            os.fsync(content.fileno())
        unfinished.replace(self.path)
