"""Access: sessions, invitations, resets, other issuers, the audit log, answers kept for repeated requests."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0004"
down_revision = "0003"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
