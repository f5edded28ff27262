"""`python -m arqueduct_backend`: the API with the settings of the environment."""

from arqueduct import logs, settings
from arqueduct_backend.main import serve

if __name__ == "__main__":
    effective = settings.load()
    logs.configure(effective)
    serve(effective)
