import inspect

import pytest

from arqueduct import errors
from arqueduct.errors import ArqueductError, DocumentEncrypted, ProviderLimited, SetupError, by_code

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, ArqueductError)]


def test_the_public_door_is_exact() -> None:
    assert sorted([found.__name__ for found in CLASSES] + ["by_code"]) == sorted(errors.__all__)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_error_says_what_happened_and_what_to_do(kind: type[ArqueductError]) -> None:
    assert kind().message.endswith(".")
    assert kind.advice
    assert 400 <= kind.status < 600


def test_codes_are_unique_and_lead_back() -> None:
    codes = [kind.code for kind in CLASSES]
    assert len(set(codes)) == len(codes)
    assert by_code("document_encrypted") is DocumentEncrypted
    assert by_code("from_a_plugin") is ArqueductError


def test_one_error_may_advise_better_than_its_kind() -> None:
    assert SetupError("No file.", advice="Name one.").advice == "Name one."
    assert ProviderLimited("Later.", advice="Wait.").advice == "Wait."
    assert SetupError("No file.").advice == SetupError.advice


def test_retry_after_travels_with_the_error() -> None:
    assert ProviderLimited().retry_after is None
