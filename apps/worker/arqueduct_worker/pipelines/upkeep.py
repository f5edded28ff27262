"""What is done about a tenant as a whole."""

from arqueduct.pipeline import Pipeline
from arqueduct.repositories.upkeep import OPTIMISE, RETENTION

__all__ = ["retention_apply", "storage_optimise"]

retention_apply = Pipeline(kind=RETENTION, stages=("retain",))
storage_optimise = Pipeline(kind=OPTIMISE, stages=("optimise",))
