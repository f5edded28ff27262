"""Webhooks: endpoints of tenants, what is to be told to them, and what became of it."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0005"
down_revision = "0004"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
