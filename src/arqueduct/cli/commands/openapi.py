"""`arqueduct openapi`: the description of the API."""

import importlib
import json as standard_json
import sys

from arqueduct import settings
from arqueduct.cli.options import DataDir, Json
from arqueduct.cli.output import print_json, reporting
from arqueduct.errors import SetupError

__all__ = ["openapi"]


def openapi(data_dir: DataDir = None, json: Json = False) -> None:
    """Print the OpenAPI description of the API; with --json on one line."""
    with reporting(json=json):
        try:
            create_app = importlib.import_module("arqueduct_backend.main").create_app
        except ModuleNotFoundError as error:
            raise SetupError(
                f"{error.name} is not installed.", advice="Run `pip install 'arqueduct[backend]'`."
            ) from error
        described = create_app(settings.load(data_dir=data_dir)).openapi()
        if json:
            print_json(described)
        else:
            sys.stdout.write(standard_json.dumps(described, indent=2, ensure_ascii=False) + "\n")
