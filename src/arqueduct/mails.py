"""Whether a text is a mail: such files carry their words and attachments encoded, and read as text they are noise."""

import re
from typing import Final

__all__ = ["is_mail"]

FIELD: Final = re.compile(r"(?P<name>[!-9;-~]{1,76}):(?P<value>[^\r\n]*)(?:\r?\n[ \t]+\S[^\r\n]*)*+(?:\r?\n|\Z)")
"""A field of a header, with the lines that continue it (RFC 5322)."""
POSTMARK: Final = re.compile(
    r"From \S+ +(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) [A-Z][a-z]{2} [ \d]\d \d\d:\d\d(?::\d\d)?[^\r\n]* \d{4}[^\r\n]*\r?\n"
)
"""The line with which each message of an mbox begins."""
PATCH: Final = re.compile(r"From [0-9a-f]{40} Mon Sep 17 00:00:00 2001\r?\n")
"""What `git format-patch` writes looks like a mailbox, and is text."""
END_OF_HEADER: Final = re.compile(r"\r?\n|\Z")
MACHINE_MADE: Final = frozenset(
    {"content-transfer-encoding", "delivered-to", "dkim-signature", "message-id", "mime-version", "received"}
)
"""Fields that mail programs write and people do not."""
PERSONAL: Final = frozenset({"cc", "date", "from", "reply-to", "sender", "subject", "to"})
MOST_FIELDS: Final = 1000
DATED: Final = re.compile(r"(?:[A-Z][a-z]{2}, )?\d{1,2} [A-Z][a-z]{2} \d{4}|\d{4}-\d\d-\d\d[T ]\d\d:\d\d")


def is_mail(text: str) -> bool:
    """Whether it begins with a whole header of a mail, or of a mailbox's first one.

    A text that quotes one is a text: quotes are indented, marked, or stand below other words. Names alone do not make
    a mail either: memos have From, To and Subject too.
    """
    if PATCH.match(text):
        return False
    postmark = POSTMARK.match(text)
    fields, end = _header(text, postmark.end() if postmark else 0)
    if not fields or not END_OF_HEADER.match(text, end):
        return False
    if postmark or (MACHINE_MADE & fields.keys() and PERSONAL & fields.keys()):
        return True
    return "@" in fields.get("from", "") and DATED.match(fields.get("date", "")) is not None


def _header(text: str, start: int) -> tuple[dict[str, str], int]:
    """Values by name in lower case, and where the fields end."""
    fields: dict[str, str] = {}
    while len(fields) < MOST_FIELDS and (found := FIELD.match(text, start)) and found.end() > start:
        fields[found["name"].lower()] = found["value"].strip()
        start = found.end()
    return fields, start
