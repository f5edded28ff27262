"""New vectors stay outside of the HNSW index until there is time for them."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0017"
down_revision = "0016"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
