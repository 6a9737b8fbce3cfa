"""A test on a few examples of a strategy and, as a slow test, on many."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def run_on_examples(few, many):
    """Run a test on examples and seeds; `few` and `many` are each a number and a strategy."""

    def decorate(test):
        def run(n, strategy):
            configured = settings(
                max_examples=n,
                derandomize=True,
                deadline=None,
                database=None,
                suppress_health_check=list(HealthCheck),
            )
            configured(given(strategy, st.integers(0, 2**31 - 1))(test))()

        sizes = [
            pytest.param(*few, id="few"),
            pytest.param(*many, id="many", marks=pytest.mark.slow),
        ]
        return pytest.mark.parametrize(("n", "strategy"), sizes)(run)

    return decorate
