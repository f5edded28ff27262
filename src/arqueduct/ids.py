"""Ids are UUIDv7: unique without asking anyone, and in order of creation, which keeps indexes and cursors cheap."""

from uuid import UUID

import uuid_utils.compat

__all__ = ["new_id"]


def new_id() -> UUID:
    return uuid_utils.compat.uuid7()
