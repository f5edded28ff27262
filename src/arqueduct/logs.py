"""One log line a transition, the same shape everywhere: an event and its ids. JSON, or colours on a terminal."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, Processor

from arqueduct import secrecy
from arqueduct.settings import Settings

__all__ = ["configure"]


def configure(settings: Settings) -> None:
    """Sets up structlog, and sends what libraries log through it. No secret of the settings is ever in a line."""
    secrecy.remember(settings)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        hide_secrets,
    ]
    console = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    renderer: Processor = structlog.dev.ConsoleRenderer() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.log_level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=settings.log_level.upper(), force=True)
    for chatty in ("arq", "httpx", "openai", "alembic", "uvicorn.access", "websockets", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # At `debug` it writes down the heads of handshakes, at `info` their addresses: both have what opens a socket.
    logging.getLogger("uvicorn").setLevel(max(logging.INFO, logging.getLogger().level))
    logging.getLogger("uvicorn.error").addFilter(_is_no_handshake)


def hide_secrets(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Passwords in URLs and API keys never reach a log, whoever put them into a message."""
    return {name: secrecy.hidden(value) if isinstance(value, str) else value for name, value in event.items()}


def _is_no_handshake(record: logging.LogRecord) -> bool:
    return '"WebSocket %s"' not in str(record.msg)
