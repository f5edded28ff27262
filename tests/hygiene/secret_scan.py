"""`python -m tests.hygiene.secret_scan`: files that have what looks like a secret and is not in the baseline.

The baseline (`.secrets.baseline`) has what was looked at and found harmless, by its hash. `--accept` writes it anew:
look at each entry first (`detect-secrets audit .secrets.baseline` shows them one by one).
"""

import argparse
import json
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from detect_secrets import SecretsCollection
from detect_secrets.core import baseline
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / ".secrets.baseline"
NOT_TEXT = (".png", ".pdf", ".docx", ".ico", ".woff2", ".gz", ".zst")
MADE = {
    ".secrets.baseline",
    "requirements/backend.txt",
    "requirements/build.txt",
    "requirements/dev.txt",
    "requirements/peers-celery.txt",
    "requirements/peers-langchain.txt",
    "requirements/peers-llamaindex.txt",
    "requirements/peers.txt",
    "requirements/worker.txt",
    "clients/typescript/package-lock.json",
    "src/arqueduct/embedding/minilm_tokenizer.json",
}
"""Files that programs wrote: hashes and words, of which the scan takes minutes."""

Found = tuple[str, str, str, int]
"""File, kind of secret, its hash, line."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hygiene.secret_scan", description=__doc__)
    parser.add_argument("--accept", action="store_true", help="write the baseline with all that is found now")
    is_accepted = parser.parse_args().accept
    found = scan(_files())
    if is_accepted:
        _write(found)
        print(f"{BASELINE.name} has {len(found)} entries now.")
        return 0
    new = [entry for entry in found if (entry[0], entry[2]) not in _known()]
    for file, kind, _, line in new:
        print(f"{file}:{line}: looks like a secret ({kind})")
    if new:
        print("Take it out and change it wherever it is in use. If it is none: make audit-accept, and say so.")
        return 1
    print(f"no secrets in {len(_files())} files; {len(found)} harmless ones are known")
    return 0


def scan(files: list[str]) -> list[Found]:
    """Asks nobody outside: a secret that is sent somewhere to see whether it works is one no more."""
    with ProcessPoolExecutor(2) as pool:
        return sorted(entry for of_file in pool.map(_scan_one, files, chunksize=20) for entry in of_file)


def _scan_one(file: str) -> list[Found]:
    with default_settings() as settings:
        settings.disable_filters("detect_secrets.filters.common.is_ignored_due_to_verification_policies")
        return [(file, secret.type, secret.secret_hash, secret.line_number) for secret in scan_file(str(ROOT / file))]


def _files() -> list[str]:
    """What is or would be committed."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = sorted(set(filter(None, listed.stdout.split("\0"))) - MADE)
    return [name for name in names if not name.endswith(NOT_TEXT) and (ROOT / name).is_file()]


def _known() -> set[tuple[str, str]]:
    content = json.loads(BASELINE.read_text())
    return {(file, entry["hashed_secret"]) for file, entries in content["results"].items() for entry in entries}


def _write(found: list[Found]) -> None:
    """In the tool's own format, so that its other commands read it."""
    secrets = SecretsCollection(str(ROOT))
    for file in dict.fromkeys(file for file, *_ in found):
        with default_settings() as settings:
            settings.disable_filters("detect_secrets.filters.common.is_ignored_due_to_verification_policies")
            secrets.scan_file(file)
            content = baseline.format_for_output(secrets)
    content.pop("generated_at", None)
    for file, entries in content["results"].items():
        for entry in entries:
            entry["filename"] = file  # the tool names it by where it lies on this machine
    BASELINE.write_text(json.dumps(content, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
