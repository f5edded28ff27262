"""`python -m tests.hygiene.dependencies`: known holes in what requirements/ pins.

pip-audit asks a service on the network. Where that cannot be asked, this says so in large letters and ends with 0,
with `--must` with 1: pip-audit by itself says "No known vulnerabilities found" when it could ask about nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements" / "dev.txt"
PROBE = "idna==3.6"
"""Asked about first, by itself: an old version of which a hole is known for as long as the service answers."""
TIMEOUT_SECONDS = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hygiene.dependencies", description=__doc__)
    parser.add_argument("--must", action="store_true", help="fail where the service cannot be asked")
    is_must = parser.parse_args().must
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.txt"
        probe.write_text(PROBE)
        if not holes_in(asked(probe, "--no-deps")):
            print("!" * 78)
            print("!! DEPENDENCIES WERE NOT AUDITED: the service that knows of holes does not answer here.")
            print("!! Run `make audit` where it does. `pip-audit` alone would have said that all is well.")
            print("!" * 78)
            return int(is_must)
    answer = asked(LOCK, "--require-hashes")
    holes, unasked = holes_in(answer), [found["name"] for found in answer if "skip_reason" in found]
    for name, version, hole, fixed in holes:
        print(f"{name} {version}: {hole}, mended in {fixed}")
    print(f"{len(answer) - len(unasked)} dependencies audited, {len(holes)} holes known")
    if unasked:
        print(f"not audited: {', '.join(unasked)}")
    return int(bool(holes) or (is_must and bool(unasked)))


def asked(requirements: Path, *options: str) -> list[dict[str, Any]]:
    """What pip-audit found about each; empty where it came to nothing."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--disable-pip"),
            *("--format", "json", "--progress-spinner", "off", *options),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )
    try:
        return list(json.loads(done.stdout)["dependencies"])
    except (ValueError, KeyError):
        return []


def holes_in(answer: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    """Name, version, the hole's id, and the versions without it."""
    return [
        (found["name"], found["version"], hole["id"], " or ".join(hole["fix_versions"]) or "no version yet")
        for found in answer
        for hole in found.get("vulns", ())
    ]


if __name__ == "__main__":
    sys.exit(main())
