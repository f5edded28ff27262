"""What Prometheus reads. Names carry base units; labels are bounded: never a user, a job or a file."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from arqueduct import __version__

__all__ = ["CONTENT_TYPE", "render"]

CONTENT_TYPE = CONTENT_TYPE_LATEST
REGISTRY = CollectorRegistry()

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)

stage_seconds = Histogram(
    "document_processing_duration_seconds", "Time a stage took.", ["stage"], buckets=SECONDS, registry=REGISTRY
)
stage_errors = Counter(
    "document_processing_errors_total", "Errors of stages.", ["stage", "error_type"], registry=REGISTRY
)
active_jobs = Gauge("active_processing_jobs", "Jobs this worker runs now.", registry=REGISTRY)
job_ends = Counter("arqueduct_jobs_finished_total", "Attempts by how they ended.", ["kind", "end"], registry=REGISTRY)
job_wait_seconds = Histogram(
    "arqueduct_job_wait_seconds", "From due to claimed.", ["kind"], buckets=SECONDS, registry=REGISTRY
)
stage_runs = Counter("arqueduct_stage_runs_total", "Runs of stages written for analytics.", registry=REGISTRY)
stage_runs_dropped = Counter(
    "arqueduct_stage_runs_dropped_total", "Runs of stages that analytics do not have.", registry=REGISTRY
)
job_retries = Counter("arqueduct_job_retries_total", "Failed attempts that are tried again.", registry=REGISTRY)
lease_expiries = Counter(
    "arqueduct_lease_expiries_total", "Leases that lapsed because a worker gave no sign of life.", registry=REGISTRY
)
embedded_tokens = Counter(
    "arqueduct_embedding_tokens_total", "Tokens sent to the embedder, four characters each.", registry=REGISTRY
)
lease_losses = Counter("arqueduct_lease_losses_total", "Attempts that lost their job.", registry=REGISTRY)
swept = Counter(
    "arqueduct_swept_jobs_total", "Jobs the sweeper brought back, by reason.", ["reason"], registry=REGISTRY
)
parents_folded = Counter(
    "arqueduct_parents_folded_total", "Looks at projects and batches that brought them up to date.", registry=REGISTRY
)
pruned_rows = Counter("arqueduct_pruned_rows_total", "Rows deleted for their age.", ["table"], registry=REGISTRY)
janitor_removed = Counter(
    "arqueduct_janitor_removed_total", "Files removed from the storage that nobody needs.", ["what"], registry=REGISTRY
)
janitor_removed_bytes = Counter(
    "arqueduct_janitor_removed_bytes_total", "Bytes of files the janitor removed.", ["what"], registry=REGISTRY
)
retained = Counter(
    "arqueduct_retention_items_total",
    "What policies of retention removed, by target, and what optimising the storage did (`optimised`).",
    ["target"],
    registry=REGISTRY,
)
quota_refusals = Counter(
    "arqueduct_quota_refusals_total", "Requests that a quota refused.", ["quota", "scope"], registry=REGISTRY
)
pages = Counter("arqueduct_pages_total", "Pages extracted.", registry=REGISTRY)
chunks = Counter("arqueduct_chunks_total", "Chunks stored.", registry=REGISTRY)
embedded_texts = Counter(
    "arqueduct_embedding_texts_total", "Texts by where their vector came from.", ["source"], registry=REGISTRY
)
vector_head = Gauge(
    "arqueduct_vector_head", "Vectors that are not in the index yet, when they were counted last.", registry=REGISTRY
)
vectors_merged = Counter("arqueduct_vectors_merged_total", "Vectors moved into the index.", registry=REGISTRY)
embedding_seconds = Histogram(
    "arqueduct_embedding_seconds", "Time of one call to the embedder.", buckets=SECONDS, registry=REGISTRY
)
request_seconds = Histogram(
    "arqueduct_http_request_duration_seconds",
    "Time to answer a request.",
    ["method", "route", "status"],
    buckets=SECONDS,
    registry=REGISTRY,
)
search_seconds = Histogram(
    "arqueduct_search_duration_seconds", "Time of a search.", ["mode"], buckets=SECONDS, registry=REGISTRY
)
sockets = Gauge("arqueduct_websocket_connections", "Live connections.", ["transport"], registry=REGISTRY)
socket_messages = Counter(
    "arqueduct_websocket_messages_total", "Messages sent to clients.", ["type"], registry=REGISTRY
)
socket_seconds = Histogram(
    "arqueduct_websocket_connection_duration_seconds",
    "How long live connections last.",
    buckets=(1, 10, 60, 300, 1800, 3600, 14400, 86400),
    registry=REGISTRY,
)
socket_received = Counter(
    "arqueduct_websocket_received_messages_total",
    "Messages received from clients, by what was made of them.",
    ["outcome"],
    registry=REGISTRY,
)
socket_reconnects = Counter(
    "arqueduct_websocket_reconnects_total", "Clients that came back.", ["transport"], registry=REGISTRY
)
sockets_refused = Counter(
    "arqueduct_websocket_refused_total", "Live connections refused, by what was full.", ["full"], registry=REGISTRY
)
rate_limited = Counter(
    "arqueduct_rate_limited_requests_total", "Requests refused, by the budget.", ["budget"], registry=REGISTRY
)
rate_limit_fallbacks = Counter(
    "arqueduct_rate_limit_fallbacks_total", "Budgets counted in this process: Redis is away.", registry=REGISTRY
)
resyncs = Counter(
    "arqueduct_websocket_resyncs_total", "States read again from Postgres for clients.", ["reason"], registry=REGISTRY
)
audit_dropped = Counter(
    "arqueduct_audit_lines_dropped_total", "Refusals that the audit log does not have.", registry=REGISTRY
)
sign_ins = Counter(
    "arqueduct_sign_ins_total",
    "People who signed in or tried to, by how and whether they got in.",
    ["method", "outcome"],
    registry=REGISTRY,
)
refresh_tokens_reused = Counter(
    "arqueduct_refresh_tokens_reused_total", "Refresh tokens that came twice; their sessions ended.", registry=REGISTRY
)
webhook_deliveries = Counter(
    "arqueduct_webhook_deliveries_total", "Messages to webhooks by what came back.", ["outcome"], registry=REGISTRY
)
webhook_seconds = Histogram(
    "arqueduct_webhook_delivery_seconds", "Time a receiver took to answer.", buckets=SECONDS, registry=REGISTRY
)
uploads = Counter("arqueduct_uploaded_bytes_total", "Bytes of accepted documents.", registry=REGISTRY)
queued_jobs = Gauge("arqueduct_queued_jobs", "Jobs that wait for a worker.", registry=REGISTRY)
oldest_queued_seconds = Gauge(
    "arqueduct_oldest_queued_seconds", "Age of the oldest job that is due.", registry=REGISTRY
)
live_workers = Gauge("arqueduct_live_workers", "Workers that gave a sign of life within a lease.", registry=REGISTRY)
running_jobs = Gauge("arqueduct_running_jobs", "Jobs that some worker has.", registry=REGISTRY)
paused_jobs = Gauge("arqueduct_paused_jobs", "Jobs that a user put aside.", registry=REGISTRY)
retrying_jobs = Gauge("arqueduct_retrying_jobs", "Jobs that failed and wait for another attempt.", registry=REGISTRY)
lapsed_leases = Gauge("arqueduct_lapsed_leases", "Running jobs whose worker owes a sign of life.", registry=REGISTRY)
quarantined_jobs = Gauge(
    "arqueduct_quarantined_jobs", "Jobs given up because every worker that ran them died.", registry=REGISTRY
)
QUEUE_GAUGES = {
    "queued": queued_jobs,
    "running": running_jobs,
    "paused": paused_jobs,
    "retrying": retrying_jobs,
    "oldest_queued_seconds": oldest_queued_seconds,
    "live_workers": live_workers,
    "lapsed_leases": lapsed_leases,
    "quarantined": quarantined_jobs,
}
"""By the columns of `queue_health`."""
dependency_up = Gauge(
    "arqueduct_dependency_up", "1 while this worker reaches it, 0 while it is away.", ["dependency"], registry=REGISTRY
)
admitting = Gauge(
    "arqueduct_admitting",
    "1 while this process puts jobs on the run-way, 0 after a look at the lines that failed.",
    registry=REGISTRY,
)
pool_in_use = Gauge("arqueduct_database_connections_in_use", "Connections checked out of the pool.", registry=REGISTRY)
loop_lag_seconds = Gauge(
    "arqueduct_event_loop_lag_seconds", "How late the event loop wakes up, worst of late.", registry=REGISTRY
)
Info("arqueduct_build", "This version.", registry=REGISTRY).info({"version": __version__})


def render() -> bytes:
    """The page that Prometheus scrapes."""
    return generate_latest(REGISTRY)
