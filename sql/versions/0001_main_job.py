"""The main job: documents, chunks, vectors, jobs, and who may see them."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0001"
down_revision = None

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
