"""Values in CSV files that people open with a spreadsheet."""

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
    return f"'{text}" if {text[:1], text.lstrip()[:1]} & FORMULA else text
