"""How long each stage took: runs, their sums by hour and day, and rates for estimates."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0011"
down_revision = "0010"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
