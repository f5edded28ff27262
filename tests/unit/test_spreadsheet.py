"""What stands in a cell of a CSV file is text to every spreadsheet."""

import pytest

from arqueduct_backend.spreadsheet import cell


@pytest.mark.parametrize("before", ["", " ", "\u00a0", "\u200b", "\ufeff", "\u2060 \u202e"])
@pytest.mark.parametrize("sign", "=+-@\uff1d\uff0b\uff0d\uff20")
def test_a_formula_is_text_whatever_hides_before_it(before: str, sign: str) -> None:
    text = f"{before}{sign}cmd|calc"
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", " ", "\u200b", "a=1.txt", "\u200ba.txt", "\u202e"])
def test_any_other_text_stays_as_it_is(text: str) -> None:
    assert cell(text) == text
