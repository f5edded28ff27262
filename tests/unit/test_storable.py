import json

from hypothesis import given
from hypothesis import strategies as st

from arqueduct import storable


def test_what_postgres_refuses_is_left_out() -> None:
    assert storable.text("a\0b\ud800c") == "ab?c"
    assert json.loads(storable.json({"a\0": ["x\0", {"b": "\ud800"}], "n": 1})) == {"a": ["x", {"b": "?"}], "n": 1}


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_everything_else_stays_as_it_is(value: str) -> None:
    assert storable.text(value) == value
    assert json.loads(storable.json({"value": value})) == {"value": value}
