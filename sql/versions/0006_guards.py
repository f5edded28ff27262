"""What gives a right must still be so when it is used; no role that serves can forge or shadow the audit log."""

from pathlib import Path

from arqueduct.migrations import run_script

revision = "0006"
down_revision = "0005"

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
