"""Jobs that deliver webhooks. They are no work of a user's: lists leave them out unless asked, live updates always.

Who may see and steer them is in `arqueduct.permissions.KINDS`.
"""

__all__ = ["DELIVER", "NOT_OURS", "OURS", "is_ours"]

DELIVER = "webhook.deliver"
PREFIX = "webhook."
OURS = f"{PREFIX}%"
"""For LIKE; the triggers of sql/versions/0005 have the same."""
NOT_OURS = f"kind NOT LIKE '{OURS}'"


def is_ours(kind: str) -> bool:
    return kind.startswith(PREFIX)
