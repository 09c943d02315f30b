"""Numbers of the report."""

import math

import pytest

from peakedtheory.validation.report import number


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (0.34567, 0.0123, "0.346 ± 0.012"),
        (1234.5, 20.0, "1234 ± 20"),
        (2.0, 0.0, "2"),
        (0.5, None, "0.5"),
        (0.5, math.nan, "0.5"),
        (math.nan, 0.1, "–"),
        (None, None, "–"),
    ],
)
def test_numbers_have_the_digits_their_errors_leave(value, error, text):
    assert number(value, error) == text
