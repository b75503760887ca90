"""The quick expression matches what that of PyYAML matches, and PyYAML has it."""

from __future__ import annotations

import re
import subprocess
import sys

from runner.experiment.yaml.quick_start import QUICK, SLOW

_PROGRAM = """
import re
own = re.compile
from runner.experiment.yaml.parser import parse
import yaml
assert re.compile is own
print(ascii(yaml.reader.Reader.NON_PRINTABLE.pattern))
"""


def test_both_expressions_match_the_same_characters() -> None:
    every = "".join(map(chr, range(sys.maxunicode + 1)))

    assert re.findall(QUICK, every) == re.findall(SLOW, every)


def test_pyyaml_is_imported_with_the_quick_expression_and_nothing_else_is_changed() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == ascii(QUICK)
