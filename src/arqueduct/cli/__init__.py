"""The command line. `app` knows the commands; each is a module of `arqueduct.cli.commands`.

Heavy parts (database, supervisor, onnxruntime) are imported by the commands that need them, when they run: a search
from the terminal should not wait a second for them.
"""

from arqueduct.cli.app import app, main

__all__ = ["app", "main"]
