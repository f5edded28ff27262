import re

import pytest
from pydantic import TypeAdapter, ValidationError

from arqueduct.naming import ADDRESS, LABEL, Address, Form, Label

GOOD = [(LABEL, "A"), (LABEL, "Ada & Söhne 日本"), (LABEL, "a" * 200), (ADDRESS, "a@b"), (ADDRESS, "ada@example.org")]
BAD = [
    *((LABEL, value) for value in ("", " ", " a", "a ", "a\n", "a\x1b[31m", "a\x85b", "a" * 201, "\udcff")),
    *((ADDRESS, value) for value in ("", "a", "a@", "@b", "a@b@c", "a b@c", "<a@b>", "a@b\n", "a@" + "b" * 253)),
]


@pytest.mark.parametrize(("form", "value"), GOOD)
def test_what_is_good_stays_as_it_is(form: Form, value: str) -> None:
    assert form.check(value) == value


@pytest.mark.parametrize(("form", "value"), BAD)
def test_what_is_not_is_told_the_rule_and_no_expression(form: Form, value: str) -> None:
    with pytest.raises(ValueError, match=re.escape(form.rule)):
        form.check(value)


def test_bodies_have_the_same_rule_and_show_it() -> None:
    for kind, form in ((Label, LABEL), (Address, ADDRESS)):
        adapter = TypeAdapter[str](kind)
        with pytest.raises(ValidationError) as raised:
            adapter.validate_python("")
        assert raised.value.errors()[0]["msg"] == form.rule
        described = adapter.json_schema()
        assert (described["maxLength"], described["pattern"]) == (form.longest, form.pattern)
