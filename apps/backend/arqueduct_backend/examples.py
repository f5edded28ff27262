"""What the description of the API says beside the code: what tags mean, and examples of what is sent."""

from collections.abc import Mapping
from typing import Any

from arqueduct_backend.answer_examples import example_of

__all__ = ["TAGS", "add_examples"]

TAGS = {
    "documents": "Files that were uploaded, their text and passages.",
    "file sets": "Documents that belong together: many files in one request, and how far they are.",
    "projects": "File sets that are processed as a whole: how far, how fast, at what cost, and what failed.",
    "batches": "The same job for many documents, seen and steered as one.",
    "jobs": "Work on documents: how far it is, why it waits, and steering it; the queue of the tenant.",
    "profiles": "How documents are processed, and what is installed for it.",
    "analytics": "How processing went: durations, errors, waits and throughput.",
    "search": "Passages that answer a question.",
    "live": "Changes of jobs as they happen, over a WebSocket or as server-sent events.",
    "webhooks": "Receivers that are told what happens, and the log of what was told to them.",
    "tenant": "The tenant itself.",
    "upkeep": "Quotas and usage, policies of retention, and what the storage holds.",
    "members": "Who belongs to the tenant, and in which role; service accounts.",
    "invitations": "How somebody becomes a member.",
    "keys": "API keys, for programs.",
    "auth": "Signing in, sessions and passwords, for people.",
    "audit": "Who did what, or tried to.",
    "probes": "For machines that look after the process.",
}

ID = "019aa7c2-5f0e-7cc1-8a86-3c1f0b8a4c11"
PASSWORD = "four words nobody guesses"  # noqa: S105  # nobody has it
EXAMPLES: dict[str, Any] = {
    "after": "2026-11-01T00:00:00Z",
    "before": "2026-12-01T00:00:00Z",
    "kind": "document.ingest",
    "limit": 50,
    "version": 1,
    "priority": "interactive",
    "sort": "-created_at",
    "state": "failed",
}
"""Of parameters that bring none of their own. A cursor has none: it is opaque."""

BODIES: dict[str, dict[str, Any]] = {
    "accept_invitation": {"token": "from-the-invitation", "name": "Ada", "password": PASSWORD},
    "change_password": {"old_password": "what it was", "new_password": PASSWORD},
    "change_tenant": {"name": "Example Ltd"},
    "create_key": {"name": "nightly import", "scopes": ["documents:write"], "expires_at": "2027-12-01T00:00:00Z"},
    "create_service_account": {"name": "nightly import"},
    "finish_oidc": {"code": "from-the-provider", "state": "from-the-provider", "binding": "from-the-start"},
    "login": {"email": "ada@example.org", "password": PASSWORD},
    "refresh": {"refresh_token": "from-the-sign-in"},
    "reset_password": {"token": "from-an-administrator", "new_password": PASSWORD},
}
"""By operation; other bodies bring examples of their own."""


def add_examples(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """To the body, the answers and each parameter of an operation that has none. `schemas`: what `$ref` leads to."""
    for status, answer in operation.get("responses", {}).items():
        content = answer.get("content", {}).get("application/json")
        if status.startswith("2") and content is not None and not {"example", "examples"} & content.keys():
            content["example"] = example_of(content["schema"], schemas)
    if body := BODIES.get(operation["operationId"]):
        operation["requestBody"]["content"]["application/json"]["examples"] = {"usual": {"value": body}}
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        name = parameter["name"]
        if "examples" in parameter or "examples" in schema:
            continue
        if schema.get("format") == "uuid" or any(option.get("format") == "uuid" for option in schema.get("anyOf", ())):
            schema["examples"] = [ID]
        elif name in EXAMPLES:
            schema["examples"] = [EXAMPLES[name]]
