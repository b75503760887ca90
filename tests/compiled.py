"""Has all test files imported: `python -m pytest --collect-only -p tests.compiled tests`.

Python and pytest compile a module when it is first imported, and Hypothesis collects constants: that takes
longer than anything else before the first test. Done once, it is not done by many processes at the same time.
"""

from __future__ import annotations

import pytest
from hypothesis import is_hypothesis_test


def pytest_pycollect_makeitem(obj: object) -> list[pytest.Item] | None:
    """Leave out all tests, which saves time, except those for which Hypothesis collects constants."""
    return None if is_hypothesis_test(obj) else []
