"""Text ranked by BM25; the tenant in the index of words."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0016"
down_revision = "0015"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
