"""Values in CSV files that people open with a spreadsheet."""

import unicodedata
from datetime import datetime

import msgspec

__all__ = ["cell"]

FORMULA = frozenset("=+-@\t\r\n＝＋－＠")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV injection), in full width too."""


def cell(value: object) -> str:
    """As text that no spreadsheet computes."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.isoformat()
    text = msgspec.json.encode(value).decode() if isinstance(value, dict) else str(value)
    return f"'{text}" if {text[:1], _first_seen(text)} & FORMULA else text


def _first_seen(text: str) -> str:
    """Behind white space and what takes no room, such as U+FEFF and U+200B: programs differ in whether they drop it."""
    return next((sign for sign in text if not sign.isspace() and unicodedata.category(sign) != "Cf"), "")
