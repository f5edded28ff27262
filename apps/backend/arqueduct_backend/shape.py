"""Whether a JSON body is one that a parser should be given: depth and numbers, told without building anything."""

import math
import re

import numpy as np

from arqueduct.errors import ComplexJSON, InvalidJSON

__all__ = ["DEEPEST", "LONGEST_NUMBER", "check", "is_json"]

DEEPEST = 32
"""Our deepest body has four levels; parsers that recurse have a few hundred."""
LONGEST_NUMBER = 64
"""Characters. An exact double has 17 digits; Python takes quadratic time for huge integers."""

STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""Possessive, and with a closing quote that may be missing: linear in any body."""
NUMBER = re.compile(rb"-?[0-9][0-9.eE+-]*+")
SUSPICIOUS = re.compile(rb"[0-9.eE+-]{%d}|[0-9][eE][+-]?[0-9]{3}|NaN|Infinity" % LONGEST_NUMBER)
"""Of bodies without any of these nothing more needs to be asked."""
NO_NUMBER = re.compile(rb"NaN|Infinity")
"""Python reads them, JSON does not have them."""
STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
NOT_STEPS = bytes(set(range(256)) - set(b"[{]}"))


def is_json(content_type: str) -> bool:
    """As the framework decides what to parse; a body of no type is not parsed."""
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def check(body: bytes) -> None:
    """Raises `ComplexJSON`, and `InvalidJSON` for numbers that JSON does not have. Whether it is JSON at all is left
    to the parser.
    """
    if b"\0" in body[:4]:
        raise InvalidJSON("The body is not valid JSON: it must be UTF-8.")  # parsers guess UTF-16, we cannot
    is_deep = body.count(b"[") + body.count(b"{") > DEEPEST
    is_suspicious = SUSPICIOUS.search(body) is not None
    if not is_deep and not is_suspicious:
        return
    bare = STRING.sub(b'""', body)
    if is_deep and _depth(bare) > DEEPEST:
        raise ComplexJSON(f"The JSON of the body is nested deeper than {DEEPEST} levels.")
    if is_suspicious:
        _check_numbers(bare)


def _depth(bare: bytes) -> int:
    steps = np.frombuffer(bare.translate(STEPS, NOT_STEPS), dtype=np.int8)
    return int(np.cumsum(steps, dtype=np.int64).max(initial=0))


def _check_numbers(bare: bytes) -> None:
    if found := NO_NUMBER.search(bare):
        raise InvalidJSON(f"The body is not valid JSON: it has no number called {found[0].decode()}.")
    for match in NUMBER.finditer(bare):
        number = match[0]
        if len(number) > LONGEST_NUMBER:
            raise ComplexJSON(f"The JSON of the body has a number of more than {LONGEST_NUMBER} characters.")
        if b"e" in number.lower() and _is_infinite(number):
            raise ComplexJSON("The JSON of the body has a number larger than any that can be kept.")


def _is_infinite(number: bytes) -> bool:
    try:
        return math.isinf(float(number))
    except ValueError:  # 1e5e5: the parser says so
        return False
