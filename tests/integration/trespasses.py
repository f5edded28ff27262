"""What a tenant can send that names what is another's: for every operation of the OpenAPI document."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ELSEWHERE", "IN_SESSION", "NOTHING_TO_NAME", "OF_PATHS", "TRESPASSES", "Their", "Trespass", "id_fields"]

NOT_FOUND = frozenset({404})
DONE = frozenset({200, 201, 202, 204})


@dataclass(frozen=True)
class Their:
    """Stands for the id of a row of this table that belongs to the other tenant; or for its user's address."""

    table: str


@dataclass(frozen=True, kw_only=True)
class Trespass:
    """One request. The parameters of its path are filled in by `OF_PATHS`."""

    body: Any = None
    files: Mapping[str, Any] = field(default_factory=dict)
    query: Mapping[str, Any] = field(default_factory=dict)
    answers: frozenset[int] = NOT_FOUND
    """404, or what is done to one's own alone."""
    leaves: frozenset[str] = frozenset()
    """Tables of theirs in which it leaves a trace, as it must."""


OF_PATHS = {
    "batch_id": "jobs.batch",
    "delivery_id": "webhook_deliveries",
    "document_id": "documents",
    "file_set_id": "file_sets",
    "invitation_id": "invitations",
    "job_id": "jobs",
    "key_id": "api_keys",
    "profile_id": "profiles",
    "project_id": "projects",
    "run_id": "upkeep_runs",
    "session_id": "sessions",
    "user_id": "users",
    "version": "profile_versions.version",
    "webhook_id": "webhook_endpoints",
}
"""The table that a parameter of a path names a row of."""

ELSEWHERE = {"stream_events": "test_what_happens_in_one_tenant_is_not_heard_in_another"}
"""Operations that do not end by themselves, and the test that has them."""

NOTHING_TO_NAME = {
    "get_default_profile",
    "get_livez",
    "get_metrics",
    "get_openapi",
    "get_queue",
    "get_quotas",
    "get_retention",
    "get_storage",
    "get_tenant",
    "get_usage",
    "get_version",
    "get_me",
    "list_batches",
    "list_documents",
    "list_file_sets",
    "list_invitations",
    "list_keys",
    "list_members",
    "list_profiles",
    "list_projects",
    "list_sessions",
    "list_webhooks",
    "logout",
    "logout_everywhere",
    "optimise_storage",
    "create_ticket",
}
"""Operations that take no id at all. They must not tell of another tenant by themselves."""

IN_SESSION = {"change_password", "end_session", "list_sessions", "logout", "logout_everywhere"}
"""Operations that a key cannot do: they are tried by who has signed in."""

_SECRET = "aq_0000000000000000000000000000000000000000000"
_JOBS = (
    Trespass(body={"ids": [Their("jobs")]}, answers=DONE),
    Trespass(body={"document_ids": [Their("documents")]}, answers=DONE),
    Trespass(body={"user_id": Their("users")}, answers=DONE),
    Trespass(body={"parent_id": Their("jobs.batch")}, answers=DONE),
    Trespass(body={"all": True}, answers=DONE),
)

TRESPASSES: dict[str, tuple[Trespass, ...]] = {
    **{
        name: (Trespass(),)
        for name in (
            "archive_document",
            "archive_file_set",
            "archive_project",
            "archive_profile",
            "cancel_batch",
            "cancel_job",
            "cancel_project",
            "delete_document",
            "delete_file_set",
            "delete_project",
            "delete_webhook",
            "end_session",
            "get_batch",
            "get_batch_errors",
            "get_document",
            "get_document_content",
            "get_document_text",
            "get_file_set",
            "get_file_set_statistics",
            "get_job",
            "get_profile",
            "get_profile_version",
            "get_project",
            "get_project_errors",
            "get_project_status",
            "get_upkeep_run",
            "get_webhook",
            "get_webhook_delivery",
            "list_batch_files",
            "list_chunks",
            "list_file_set_files",
            "list_job_attempts",
            "list_job_events",
            "list_profile_versions",
            "list_project_files",
            "list_project_runs",
            "list_webhook_deliveries",
            "offer_password_reset",
            "pause_batch",
            "pause_job",
            "pause_project",
            "ping_webhook",
            "redeliver_webhook",
            "remove_file_set_file",
            "remove_member",
            "remove_user_quota",
            "restore_document",
            "restore_file_set",
            "restore_project",
            "resume_batch",
            "resume_job",
            "resume_project",
            "retry_job",
            "revoke_invitation",
            "revoke_key",
            "rotate_webhook_secret",
        )
    },
    **{name: (Trespass(answers=DONE),) for name in NOTHING_TO_NAME},
    **dict.fromkeys(("cancel_jobs", "pause_jobs", "resume_jobs", "retry_jobs"), _JOBS),
    "accept_invitation": (
        Trespass(body={"token": _SECRET, "name": "Ms Thief", "password": "a long sentence for a thief"}),
    ),
    "add_documents_to_file_set": (Trespass(body={"document_ids": [Their("documents")]}),),
    "change_file_set": (Trespass(body={"name": "stolen"}),),
    "change_file_set_file": (Trespass(body={"path": "stolen.md"}),),
    "change_key": (Trespass(body={"name": "stolen"}),),
    "change_member": (Trespass(body={"role": "viewer"}),),
    "change_password": (
        Trespass(
            body={"old_password": "wrong", "new_password": "a long sentence for a thief"}, answers=frozenset({403})
        ),
    ),
    "change_profile": (Trespass(body={"name": "stolen"}),),
    "change_project": (Trespass(body={"name": "stolen"}),),
    "change_tenant": (Trespass(body={"name": "mine"}, answers=DONE),),
    "create_batch": (
        Trespass(body={"document_ids": [Their("documents")]}),
        Trespass(body={"filter": {"file_set_id": Their("file_sets")}}, answers=frozenset({409})),
        Trespass(body={"filter": {"project_id": Their("projects")}}, answers=frozenset({409})),
        Trespass(body={"filter": {}}, answers=DONE),
    ),
    "create_document": (
        Trespass(files={"file": ("mine.md", b"# The kestrel\n\nA kestrel hovers over the wall.\n")}, answers=DONE),
    ),
    "create_file_set": (
        Trespass(
            files={"name": (None, b"mine"), "files": ("mine.md", b"# The kestrel\n\nA kestrel hovers over it.\n")},
            answers=DONE,
        ),
    ),
    "create_invitation": (
        Trespass(body={"email": "guest@example.org", "role": "viewer"}, answers=DONE),
        Trespass(body={"email": Their("users.email"), "role": "viewer"}, answers=DONE),
    ),
    "create_key": (
        Trespass(body={"name": "mine", "user_id": Their("users")}),
        Trespass(body={"name": "mine"}, answers=DONE),
    ),
    "create_profile": (Trespass(body={"name": "mine"}, answers=DONE),),
    "create_project": (Trespass(body={"name": "mine", "file_set_id": Their("file_sets")}),),
    "create_service_account": (Trespass(body={"name": "mine"}, answers=DONE),),
    "change_webhook": (Trespass(body={"url": "http://127.0.0.1:65500/stolen"}),),
    "create_webhook": (Trespass(body={"url": "http://127.0.0.1:65500/mine", "events": ["*"]}, answers=DONE),),
    "export_audit": (Trespass(answers=DONE), Trespass(query={"user_id": Their("users")}, answers=DONE)),
    "finish_oidc": (
        Trespass(
            body={"code": "code", "state": "state", "binding": "b", "tenant_id": Their("tenants")},
            answers=frozenset({401, 404}),
        ),
    ),
    "get_processing": (
        Trespass(answers=DONE),
        Trespass(query={"user": Their("users")}, answers=DONE),
        Trespass(query={"user": Their("tenants")}, answers=DONE),
    ),
    "list_audit": (Trespass(answers=DONE), Trespass(query={"user_id": Their("users")}, answers=DONE)),
    "list_pipelines": (Trespass(answers=DONE),),
    "list_errors": (Trespass(answers=DONE), Trespass(query={"user_id": Their("users")}, answers=DONE)),
    "list_jobs": (
        Trespass(answers=DONE),
        Trespass(query={"document_id": Their("documents")}, answers=DONE),
        Trespass(query={"parent_id": Their("jobs.batch")}, answers=DONE),
    ),
    "login": (
        Trespass(
            body={"email": Their("my.email"), "password": Their("my.password"), "tenant_id": Their("tenants")},
            answers=frozenset({401, 404}),
        ),
        Trespass(  # their administrators must see that somebody tries
            body={"email": Their("users.email"), "password": Their("my.password")},
            answers=frozenset({401}),
            leaves=frozenset({"audit_log"}),
        ),
    ),
    "refresh": (Trespass(body={"refresh_token": _SECRET}, answers=frozenset({401})),),
    "get_readyz": (Trespass(answers=frozenset({200, 503})),),
    "reset_password": (
        Trespass(body={"token": _SECRET, "new_password": "a long sentence for a thief"}, answers=frozenset({401})),
    ),
    "retry_batch": (Trespass(), Trespass(body={"job_ids": [Their("jobs.of_batch")]})),
    "retry_project": (Trespass(), Trespass(body={"job_ids": [Their("jobs.of_project")]})),
    "run_project": (Trespass(body={}),),
    "run_retention": (Trespass(body={"dry_run": True}, answers=DONE),),
    "search_passages": (
        Trespass(body={"query": "kestrel hovers over the wall"}, answers=DONE),
        Trespass(body={"query": "kestrel hovers", "document_ids": [Their("documents")]}, answers=DONE),
    ),
    "set_default_quota": (Trespass(body={"jobs": 1000}, answers=DONE),),
    "set_retention": (Trespass(body={"jobs": {"days": 9}}, answers=DONE),),
    "set_user_quota": (Trespass(body={"jobs": 1000}),),
    "start_oidc": (Trespass(answers=frozenset({200, 404})),),
    "upload_to_file_set": (Trespass(files={"files": ("mine.md", b"# The kestrel\n\nIt hovers.\n")}),),
    "update_document": (Trespass(body={"name": "stolen.md"}),),
    "validate_profile": (Trespass(body={}, answers=DONE),),
}


def id_fields(document: Mapping[str, Any], operation: Mapping[str, Any]) -> set[str]:
    """Names of parameters outside of the path, and of fields of the body, that take ids."""
    found = {
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] != "path"
        and (_is_id(parameter["name"]) or "uuid" in _formats(document, parameter["schema"]))
    }
    for content in operation.get("requestBody", {}).get("content", {}).values():
        for name, schema in _fields(document, content["schema"]):
            if _is_id(name) or "uuid" in _formats(document, schema):
                found.add(name)
    return found


def named_in(value: Any) -> set[str]:
    """Fields of a body or a query that a trespass puts something of the other tenant into."""
    if not isinstance(value, Mapping):
        return set()
    inner = {name for given in value.values() for name in named_in(given)}
    return inner | {name for name, given in value.items() if "Their(" in repr(given)}


def _is_id(name: str) -> bool:
    return name.lower().replace("-", "_").endswith(("_id", "_ids")) or name == "ids"


def _fields(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    schema = _resolved(document, schema)
    for name, of_it in schema.get("properties", {}).items():
        yield name, of_it
        yield from _fields(document, of_it)
    for part in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from _fields(document, part)
    if isinstance(schema.get("items"), Mapping):
        yield from _fields(document, schema["items"])


def _formats(document: Mapping[str, Any], schema: Mapping[str, Any]) -> set[str]:
    schema = _resolved(document, schema)
    parts = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    if isinstance(schema.get("items"), Mapping):
        parts.append(schema["items"])
    return {schema.get("format", "")} | {name for part in parts for name in _formats(document, part)}


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema
