"""What the children may know: each the database login of its own role, and none of the others."""

from collections.abc import Mapping

from pydantic import AliasChoices, SecretStr

from arqueduct.database import Role
from arqueduct.settings import Settings
from arqueduct.supervisor.folder import DataFolder
from arqueduct.supervisor.servers import Servers

__all__ = ["of_api", "of_worker", "variables_of_servers"]

URLS = ("database_url", "app_database_url", "worker_database_url", "redis_url")


def of_api(inherited: Mapping[str, str], settings: Settings, folder: DataFolder, servers: Servers) -> dict[str, str]:
    """`settings.port` is the port that was chosen."""
    login = _login(settings.app_database_url, "APP", Role.APP, servers)
    return _common(inherited, folder, servers) | login | _address(settings.host, settings.port)


def of_worker(inherited: Mapping[str, str], settings: Settings, folder: DataFolder, servers: Servers) -> dict[str, str]:
    """Its metrics are for this machine only, whatever address the API has, and each worker needs a port of its own."""
    login = _login(settings.worker_database_url, "WORKER", Role.WORKER, servers)
    return (
        _common(inherited, folder, servers)
        | login
        | _address("127.0.0.1", settings.port)
        | {
            "ARQUEDUCT_WORKER_METRICS_PORT": "0",
            "ARQUEDUCT_WORKERS": str(settings.workers),
        }
    )


def _common(inherited: Mapping[str, str], folder: DataFolder, servers: Servers) -> dict[str, str]:
    secret = variables_of_servers()
    return {name: value for name, value in inherited.items() if name not in secret} | {
        "ARQUEDUCT_DATA_DIR": str(folder.path),
        "ARQUEDUCT_REDIS_URL": servers.redis_url,
    }


def _login(own: SecretStr | None, name: str, role: Role, servers: Servers) -> dict[str, str]:
    if servers.postgres is not None:
        return {f"ARQUEDUCT_{name}_DATABASE_URL": servers.postgres.url(role)}
    if own is not None:
        return {f"ARQUEDUCT_{name}_DATABASE_URL": own.get_secret_value()}
    return {"ARQUEDUCT_DATABASE_URL": servers.database_url}


def _address(host: str, port: int) -> dict[str, str]:
    return {"ARQUEDUCT_HOST": host, "ARQUEDUCT_PORT": str(port)}


def variables_of_servers() -> frozenset[str]:
    """Every name under which the environment can give the URL of a server, `…_FILE` included."""
    names = set()
    for setting in URLS:
        names.add(f"ARQUEDUCT_{setting.upper()}")
        alias = Settings.model_fields[setting].validation_alias
        if isinstance(alias, AliasChoices):
            names |= {str(choice) for choice in alias.choices if str(choice).isupper()}
    return frozenset(names | {f"{name}_FILE" for name in names})
