"""Every setting, read once from the environment: prefix `ARQUEDUCT_`, `…_FILE` for secrets, a few plain aliases.

docs/configuration.md is generated from this file (`arqueduct doctor --reference`), so a setting's description
is its documentation.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit, urlunsplit

from pydantic import (
    AliasChoices,
    BeforeValidator,
    Field,
    IPvAnyNetwork,
    PositiveFloat,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from arqueduct.errors import SetupError

__all__ = ["LEAST_SECRET_KEY", "Settings", "is_private", "load", "redact_url"]


LEAST_PASSWORD = 12
LEAST_SECRET_KEY = 32
"""Characters of a key of `secret_keys`."""
LEAST_VARIETY = 10
"""Different characters of such a key; 32 random ones have about 25, as hex digits 14."""
WELL_KNOWN = frozenset(
    {"administrator", "arqueductarqueduct", "changemechangeme", "passwordpassword", "postgrespostgres"}
)
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def _split(value: object) -> object:
    return frozenset(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


def _limits(value: object) -> object:
    if not isinstance(value, str):
        return value
    found = {}
    for item in filter(None, map(str.strip, value.split(","))):
        kind, _, limits = item.partition("=")
        soft, _, hard = limits.partition("/")
        found[kind] = (soft, hard)
    return found


TimeLimits = Annotated[dict[str, tuple[PositiveFloat, PositiveFloat]], NoDecode, BeforeValidator(_limits)]
Csv = Annotated[frozenset[str], NoDecode, BeforeValidator(_split)]
Networks = Annotated[frozenset[IPvAnyNetwork], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """The effective configuration of one process. Sizes are bytes, times are seconds, unless a name says otherwise."""

    model_config = SettingsConfigDict(
        env_prefix="ARQUEDUCT_", extra="ignore", frozen=True, populate_by_name=True, env_ignore_empty=True
    )

    environment: Literal["development", "production"] = Field(
        "development", description="`production` refuses to start on anything weak or missing."
    )
    data_dir: Path = Field(
        Path(".arqueduct"),
        description="Everything that one machine keeps: embedded servers, blobs, credentials.",
    )

    database_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("ARQUEDUCT_DATABASE_URL", "DATABASE_URL", "database_url"),
        description="Postgres (≥ 15) with pgvector ≥ 0.8, as the user that owns the tables. Unset: embedded.",
    )
    app_database_url: SecretStr | None = Field(
        None,
        description="Login of the API, a member of arqueduct_app only. Unset: DATABASE_URL with SET LOCAL ROLE.",
    )
    worker_database_url: SecretStr | None = Field(
        None,
        description="Login of workers, a member of arqueduct_worker only. Unset: DATABASE_URL with SET LOCAL ROLE.",
    )
    database_pool_size: int = Field(
        10,
        ge=2,
        description="Connections a process keeps to Postgres. A worker has eight more, which never wait for its jobs.",
    )
    redis_url: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("ARQUEDUCT_REDIS_URL", "REDIS_URL", "redis_url"),
        description="Redis ≥ 6.2 or Valkey. Unset: embedded.",
    )
    redis_prefix: str = Field("arqueduct", description="First part of every Redis key and channel.")

    storage_url: str | None = Field(
        None,
        description="Where blobs live: file:///…, s3://bucket/prefix, gs://…, az://…. Unset: <data-dir>/storage.",
    )

    secret_keys: SecretStr | None = Field(
        None,
        description="Keys that sign access tokens and seal secrets, comma-separated, newest first, each of 32 random "
        "characters or more. Unset: <data-dir>/secret_keys, made when first needed; `production` wants them set.",
    )
    access_token_seconds: int = Field(600, ge=30, le=86_400, description="Seconds an access token is good for.")
    session_days: float = Field(
        30, gt=0, le=3_650, description="Days after which somebody who signed in must do so again."
    )
    session_idle_days: float = Field(
        7, gt=0, le=3_650, description="Days after which a session ends that was not renewed."
    )
    invitation_days: float = Field(7, gt=0, le=365, description="Days an invitation is open.")
    reset_hours: float = Field(24, gt=0, le=720, description="Hours a new password may be chosen with a reset token.")
    oidc_issuer: str | None = Field(
        None, description="OpenID provider that people may sign in with, as it calls itself: an https URL. Unset: none."
    )
    oidc_client_id: str | None = Field(None, description="As whom the OpenID provider knows this installation.")
    oidc_client_secret: SecretStr | None = Field(
        None, description="Its secret there. Unset: a public client, which PKCE alone protects."
    )
    oidc_redirect_url: str | None = Field(
        None, description="Page that the provider sends people back to; it posts `code` and `state` to the API."
    )
    oidc_scopes: str = Field(
        "openid email profile", pattern=r"^openid( [!-~]+)*$", description="What is asked of it; begins with `openid`."
    )

    host: str = Field("127.0.0.1", description="Address the API listens on; 0.0.0.0 opens it to the network.")
    port: int = Field(8000, ge=0, le=65535, description="Port of the API.")
    allowed_origins: Csv = Field(
        frozenset(), description="Origins, comma-separated, whose pages may call the API and open sockets."
    )
    max_upload_bytes: int = Field(512 * 2**20, ge=1, description="Largest file accepted.")
    max_files_per_request: int = Field(
        2000, ge=1, description="Files one request may bring into a file set; each takes a millisecond and a kilobyte."
    )
    max_request_bytes: int = Field(
        2 * 2**30, ge=1, description="All files of one request together: they lie in the temporary folder meanwhile."
    )
    max_files_per_set: int = Field(
        20_000,
        ge=1,
        description="Files of one file set, at most `ARQUEDUCT_MAX_FAMILY`; statistics of 10,000 take a tenth of a "
        "second.",
    )
    max_sockets_per_user: int = Field(50, ge=1, description="Live connections one user may hold on one API process.")
    max_sockets_per_tenant: int = Field(
        1000, ge=1, description="Live connections the users of one tenant may hold on one API process."
    )
    max_sockets: int = Field(5000, ge=1, description="Live connections of one API process; each takes some 50 kB.")
    requests_per_minute: int = Field(
        100,
        ge=1,
        description="Requests a member may make a minute, whatever keys he uses; a key may have its own.",
    )
    uploads_per_minute: int = Field(
        600, ge=1, description="Uploads a member may make a minute; they are not counted as other requests."
    )
    searches_per_minute: int = Field(
        120, ge=1, description="Searches a member may make a minute; they are not counted as other requests."
    )
    expensive_per_hour: int = Field(
        10, ge=1, description="Requests an hour of a member that set off very much work, such as retrying many jobs."
    )
    strangers_per_minute: int = Field(
        300, ge=1, description="Requests a minute from one address that nobody is known to have sent (IPv6: one /64)."
    )
    sign_ins_per_address: int = Field(30, ge=1, description="Attempts to sign in a minute from one address.")
    sign_ins_per_account: int = Field(10, ge=1, description="Attempts in five minutes to sign in to one account.")
    trusted_proxies: Networks = Field(
        frozenset(),
        description="Networks, comma-separated, of the proxies that are believed when they tell a client's address.",
    )
    client_address_header: Literal["X-Forwarded-For", "Forwarded"] = Field(
        "X-Forwarded-For", description="The header in which the trusted proxies tell it; the other one is ignored."
    )
    body_idle_seconds: float = Field(
        30, gt=0, description="Seconds that a body on its way in may stand still, and that its first bytes may take."
    )

    workers: int = Field(1, ge=0, description="Worker processes that `arqueduct up` runs.")
    worker_concurrency: int = Field(
        16, ge=1, description="Jobs one worker process runs at a time; those that only wait for vectors do not count."
    )
    queue_worker: Literal["batch", "stock"] = Field(
        "batch",
        description="`batch`: woken by pub/sub, takes many jobs at once. `stock`: arq's own polling. Both may run.",
    )
    webhook_private_hosts: Csv = Field(
        frozenset(),
        description="Names and networks, comma-separated, that webhooks may be sent to although they are not on the "
        "internet: `receiver.internal,10.20.0.0/16`.",
    )
    worker_metrics_port: int = Field(
        0, ge=0, le=65535, description="Port of a worker's /metrics and /livez; 0 picks a free one."
    )
    shutdown_grace: float = Field(25, ge=0, description="Seconds a stopping worker lets jobs finish.")
    lease: float = Field(30, gt=0, description="Seconds a worker owns a job without a sign of life.")
    heartbeat: float = Field(8, gt=0, description="Seconds between signs of life; well under a third of the lease.")
    sweep: float = Field(5, gt=0, description="Seconds between two looks for jobs that were left behind.")
    redispatch: float = Field(10, gt=0, description="Seconds until a wake-up nobody followed is sent again.")
    soft_limit: float = Field(
        1500, gt=0, description="Seconds after which a job finishes its batch and goes on later, or fails."
    )
    hard_limit: float = Field(1800, gt=0, description="Seconds after which a job is ended, with the code `timeout`.")
    time_limits: TimeLimits = Field(
        {}, description="Both limits for kinds of jobs: `document.ingest=600/900`, comma-separated."
    )
    max_failures: int = Field(5, ge=1, description="Failures after which a job is given up.")
    max_crashes: int = Field(3, ge=1, description="Workers a job may take down before it is quarantined.")
    keep_jobs_days: float = Field(
        30,
        ge=0,
        le=36_500,
        description="Days a finished job is kept that no document names, and all attempts of one that stays.",
    )
    keep_events_days: float = Field(
        7, ge=0, le=36_500, description="Days the history of a finished job is kept; its last event stays with the job."
    )
    keep_deliveries_days: float = Field(
        30, ge=0, le=36_500, description="Days the log of a webhook delivery is kept after its end."
    )
    keep_stage_runs_days: float = Field(
        30, ge=0, le=36_500, description="Days each run of a stage is kept, and their sums by the hour."
    )
    keep_analytics_days: float = Field(
        400, ge=0, le=36_500, description="Days the daily sums of runs are kept: a year and some to compare it with."
    )
    housekeeping: float = Field(300, gt=0, description="Seconds between two looks for jobs and history to delete.")
    janitor_hours: float = Field(
        24, ge=0, le=87_600, description="Hours between two searches of the storage for files nobody needs; 0: never."
    )
    janitor_grace_hours: float = Field(
        24, ge=1, le=87_600, description="Hours a file is left alone that nobody seems to need."
    )
    max_family: int = Field(
        20_000, ge=1, description="Documents of one project or batch; making them takes about 0.1 ms each."
    )
    parent_interval: float = Field(
        1, gt=0, description="Seconds between two progress messages of a project or a batch, at least."
    )
    progress_interval: float = Field(0.2, gt=0, description="Least seconds between two progress messages of a job.")

    parsers: int = Field(min(4, os.cpu_count() or 1), ge=1, description="Parser processes of one worker; one CPU each.")
    parser_memory_bytes: int = Field(1536 * 2**20, ge=256 * 2**20, description="Address space of a parser process.")
    parser_seconds: float = Field(600, gt=0, description="Longest time one document may take to parse.")
    parser_documents: int = Field(2000, ge=1, description="Documents after which a parser process is replaced.")
    max_pages: int = Field(25_000, ge=1, description="Most pages of one document.")
    max_text_chars: int = Field(100_000_000, ge=1, description="Most characters of text of one document.")

    chunk_chars: int = Field(1000, ge=100, description="Longest chunk, in characters (MiniLM reads about 1,000).")
    chunk_overlap: int = Field(100, ge=0, description="Characters repeated between neighbouring chunks.")
    disabled_stages: Csv = Field(frozenset(), description="Names of plugin stages, comma-separated, to leave out.")

    embedder: Literal["local", "openai"] | None = Field(
        None,
        description="`local`: MiniLM in this process. `openai`: any compatible API. Unset: by OPENAI_API_KEY.",
    )
    embedding_model: str | None = Field(
        None, description="Model name at the provider. Unset: all-MiniLM-L6-v2 or text-embedding-3-small."
    )
    embedding_dimensions: int | None = Field(
        None, ge=2, le=4000, description="Length of a vector; needed for models not known by name."
    )
    embedding_batch: int = Field(256, ge=1, le=2048, description="Texts in one request to an embedding API.")
    embedding_requests: int = Field(4, ge=1, description="Requests a worker has under way at an embedding API.")
    embedding_threads: int = Field(0, ge=0, description="Threads of the local model; 0: the cores, shared by workers.")
    vector_head: int = Field(
        20_000,
        ge=0,
        le=100_000,
        description="Vectors, of all tenants, that may wait for their place in the index while there is other work; "
        "searches compare them one by one. Above it new ones go into the index at once. 0: always.",
    )
    openai_api_key: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("ARQUEDUCT_OPENAI_API_KEY", "OPENAI_API_KEY", "openai_api_key"),
        description="Key for the embedding API.",
    )
    openai_base_url: str | None = Field(
        None,
        validation_alias=AliasChoices("ARQUEDUCT_OPENAI_BASE_URL", "OPENAI_BASE_URL", "openai_base_url"),
        description="Address of a compatible API (Ollama, vLLM, …).",
    )
    search_language: str = Field("english", description="Text-search configuration of Postgres for new documents.")

    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Least level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )

    @property
    def temporary_dir(self) -> Path:
        """Uploads under way and the work folders of jobs; may be emptied whenever nothing runs."""
        return self.data_dir / "tmp"

    @property
    def effective_storage_url(self) -> str:
        """`storage_url`, or the folder of the embedded default."""
        return self.storage_url or (self.data_dir / "storage").absolute().as_uri()

    @property
    def effective_embedder(self) -> Literal["local", "openai"]:
        """`embedder`, or what the presence of a key or an address means."""
        return self.embedder or ("openai" if self.openai_api_key or self.openai_base_url else "local")

    @property
    def lease_time(self) -> timedelta:
        return timedelta(seconds=self.lease)

    @property
    def alive_time(self) -> timedelta:
        """How old the sign of life of a worker may be that counts as live: a lease.

        Its jobs are taken from it after that time, so nobody calls a worker dead that still owns some. Signs of life
        come every `heartbeat`, so two may be late: a lease has at least three. A number of heartbeats instead would be
        a second where they are short, and take a worker for dead whose connection is only slow.
        """
        return self.lease_time

    def limits_of(self, kind: str, own: tuple[float, float] | None = None) -> tuple[float, float]:
        """Seconds a job of this kind may run: until it is told, until it is ended. `own`: what its pipeline says."""
        return self.time_limits.get(kind) or own or (self.soft_limit, self.hard_limit)

    def __init__(self, **values: Any) -> None:
        super().__init__(**(_from_files() | values))

    @model_validator(mode="after")
    def _keep_leases_alive(self) -> Self:
        if self.heartbeat > self.lease / 3:
            raise ValueError("heartbeat must be at most a third of lease, or one late beat loses every job")
        return self

    @model_validator(mode="after")
    def _soft_before_hard(self) -> Self:
        for soft, hard in [(self.soft_limit, self.hard_limit), *self.time_limits.values()]:
            if soft > hard:
                raise ValueError("a soft limit must not be above its hard limit, or the job is never told")
        return self

    @model_validator(mode="after")
    def _process_whole_sets(self) -> Self:
        if self.max_files_per_set > self.max_family:
            raise ValueError(
                f"max_files_per_set ({self.max_files_per_set}) must not be above max_family ({self.max_family}), or a "
                "full set can be neither processed nor archived: lower the one or raise the other"
            )
        return self

    @model_validator(mode="after")
    def _know_the_provider(self) -> Self:
        if self.oidc_issuer is None:
            return self
        if self.oidc_client_id is None or self.oidc_redirect_url is None:
            raise ValueError("oidc_issuer needs oidc_client_id and oidc_redirect_url beside it")
        for name in ("oidc_issuer", "oidc_redirect_url"):
            if not is_private(getattr(self, name), self.environment):
                raise ValueError(f"{name} must begin with https://; http is for this machine, in development")
        return self

    @model_validator(mode="after")
    def _refuse_weakness(self) -> Self:
        if self.environment == "production" and (weak := list(_weaknesses(self))):
            raise ValueError("; ".join(weak))
        return self


def load(**overrides: object) -> Settings:
    """Settings from the environment, with what the command line said on top; `None` means not said.

    Raises `SetupError` that names each wrong variable.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors()]
        raise SetupError("The configuration is wrong: " + "; ".join(lines)) from None


def redact_url(url: str) -> str:
    """The URL without its password, for logs and `doctor`."""
    parts = urlsplit(url)
    if parts.password is None:
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f":{parts.password}@", ":…@")))


def is_private(url: str, environment: str) -> bool:
    """Whether nobody can listen in: by TLS, or because in development it does not leave this machine."""
    parts = urlsplit(url)
    here = parts.hostname in LOOPBACK and parts.scheme == "http" and environment == "development"
    return bool(parts.hostname) and (parts.scheme == "https" or here)


def _weaknesses(settings: Settings) -> Iterator[str]:
    """What production refuses. Embedded servers make strong passwords of their own."""
    for name in ("database_url", "app_database_url", "worker_database_url", "redis_url"):
        url: SecretStr | None = getattr(settings, name)
        if url is None:
            continue
        password = urlsplit(url.get_secret_value()).password
        if password is None and name == "redis_url":
            yield f"{name} has no password, and who can write to Redis can steer workers"
        elif password is not None and (len(password) < LEAST_PASSWORD or password.lower() in WELL_KNOWN):
            yield f"the password in {name} is weak: use {LEAST_PASSWORD} random characters or more"
    if settings.secret_keys is not None:
        for key in settings.secret_keys.get_secret_value().replace(",", " ").split():
            if len(key) < LEAST_SECRET_KEY or len(set(key)) < LEAST_VARIETY:
                yield f"a key in secret_keys is weak: use {LEAST_SECRET_KEY} random characters or more"
    if "*" in settings.allowed_origins:
        yield "allowed_origins must name the origins, not *"


def _from_files() -> dict[str, Any]:
    """Secrets given as `ARQUEDUCT_NAME_FILE` or `DATABASE_URL_FILE`: the content of the file, without its newline."""
    found: dict[str, Any] = {}
    for name, field in Settings.model_fields.items():
        choices = field.validation_alias.choices if isinstance(field.validation_alias, AliasChoices) else []
        for variable in [
            f"ARQUEDUCT_{name.upper()}",
            *(str(choice) for choice in choices if str(choice).isupper()),
        ]:
            if path := os.environ.get(f"{variable}_FILE"):
                try:
                    found[name] = Path(path).read_text().strip()
                except OSError as error:
                    raise SetupError(f"{variable}_FILE names {path}, which cannot be read: {error}") from None
    return found
