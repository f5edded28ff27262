"""Parents and children: counters that transitions keep, folded into the parent's row."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0007"
down_revision = "0006"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
