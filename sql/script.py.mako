"""${message}"""

from pathlib import Path

from arqueduct.migrations import run_script

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}

HERE = Path(__file__).with_suffix("")


def upgrade() -> None:
    run_script(HERE.with_suffix(".up.sql"))


def downgrade() -> None:
    run_script(HERE.with_suffix(".down.sql"))
