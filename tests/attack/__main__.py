"""`python -m tests.attack`: tries what an attacker would, prints tried and held, status 1 if anything gave way."""

import argparse
import asyncio
import sys

from tests.attack.attacks import ATTACKS, run
from tests.attack.tally import lines_of
from tests.attack.target import Target, given, own


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.attack", description=__doc__)
    parser.add_argument("--url", help="a service that runs; left out, one is started for the time of the attack")
    parser.add_argument("--key", help="API key of an owner there")
    parser.add_argument("--other-key", help="API key of an owner of another tenant there")
    parser.add_argument("--short", action="store_true", help="a few of each kind")
    parser.add_argument("--only", action="append", default=[], choices=ATTACKS, help="this attack; may be repeated")
    asked = parser.parse_args()
    if asked.url is None:
        with own(is_short=asked.short) as target:
            return _attack(target, asked.only)
    if not (asked.key and asked.other_key):
        parser.error("--url needs --key and --other-key, of two tenants that may come to harm")
    return _attack(given(asked.url, asked.key, asked.other_key, is_short=asked.short), asked.only)


def _attack(target: Target, only: list[str]) -> int:
    tallies = asyncio.run(run(target, only))
    print("\n".join(lines_of(tallies)))
    return int(any(tally.gave_way for tally in tallies))


if __name__ == "__main__":
    sys.exit(main())
