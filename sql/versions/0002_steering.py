"""Steering: the order of waiting jobs, limits and pauses of the queue, a record of every attempt."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0002"
down_revision = "0001"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
