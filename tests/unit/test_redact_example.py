"""The stage of examples/redact-emails: its pure function, imported by path because the example is not installed."""

import importlib.util
import time
from pathlib import Path
from types import ModuleType

import pytest

from arqueduct.artifacts import Page

SOURCE = Path(__file__).parents[2] / "examples/redact-emails/src/arqueduct_redact_emails/__init__.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("redact_example", SOURCE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("Julian Seward, jseward@acm.org", "Julian Seward, [e-mail removed]"),
        ("Write to a.b+c@mail.example.co.uk.", "Write to [e-mail removed]."),
        ("<mailto:o_k@x-y.example>, (q@example.org)", "<mailto:[e-mail removed]>, ([e-mail removed])"),
        ("jürgen.müller@münchen.example", "[e-mail removed]"),
        ("a@example.xn--p1ai;b@example.com\nc@example.com", "[e-mail removed];[e-mail removed]\n[e-mail removed]"),
        ("@decorator, 3 @ 5, root@localhost, a@.com, a@b.c", "@decorator, 3 @ 5, root@localhost, a@.com, a@b.c"),
    ],
)
def test_addresses_are_removed_and_nothing_else(example: ModuleType, text: str, redacted: str) -> None:
    assert example.redact_text(text) == redacted


def test_a_page_keeps_its_number_and_loses_addresses_from_its_heading_too(example: ModuleType) -> None:
    page = Page(number=7, text="From a@example.org", heading="Contact: b@example.org")

    assert example.redact_page(page) == Page(
        number=7, text="From [e-mail removed]", heading="Contact: [e-mail removed]"
    )


def test_a_page_without_a_heading_gets_none(example: ModuleType) -> None:
    assert example.redact_page(Page(number=1, text="plain")) == Page(number=1, text="plain")


@pytest.mark.parametrize("unit", ["a", "a.", "a@", "a@b.", "a@b.c1.", "a-", "a@b-", "@", "a@a.a@"])
def test_hostile_text_takes_linear_time(example: ModuleType, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()

    example.redact_text(text)

    assert time.process_time() - started < 5, "a quadratic pattern takes minutes"
