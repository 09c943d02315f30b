"""No public function and no command answers random arguments with a traceback, a silent NaN or silence."""

import pytest
from random_calls import QUICK, calls, fault
from random_commands import command_fault, command_lines


def faults(found):
    return [f"{wrong} <= {call}"[:500] for call, wrong in found if wrong]


def test_functions_answer_random_arguments():
    wrong = faults((call, fault(call)) for call in calls(11, 150, QUICK))
    assert not wrong, "\n".join(wrong)


def test_commands_answer_random_options():
    wrong = faults(
        (line, command_fault(line)) for line in command_lines(12, 60, ("expand", "entropy", "estimate"))
    )
    assert not wrong, "\n".join(wrong)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(18))
def test_functions_answer_thousands_of_random_arguments(seed):
    wrong = faults((call, fault(call)) for call in calls(seed, 500))
    assert not wrong, "\n".join(wrong)


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2))
def test_commands_answer_thousands_of_random_options(seed):
    wrong = faults((line, command_fault(line)) for line in command_lines(seed, 500))
    assert not wrong, "\n".join(wrong)
