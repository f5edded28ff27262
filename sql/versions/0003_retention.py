"""Retention: what is old leaves, in batches that touch little else."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0003"
down_revision = "0002"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
