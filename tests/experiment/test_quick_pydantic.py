"""The quick import of pydantic changes nothing for others."""

import subprocess
import sys

_PROGRAM = """
import typing, typing_extensions
before = typing.TypedDict, typing_extensions.TypedDict
import runner.experiment.load
from pydantic_core import core_schema
assert (typing.TypedDict, typing_extensions.TypedDict) == before
print(hasattr(core_schema.CoreConfig, "__total__"), core_schema.int_schema(ge=1))
"""


def test_the_descriptions_of_schemas_are_plain_classes_and_typed_dict_is_as_before():
    ran = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert ran.stdout == "False {'type': 'int', 'ge': 1}\n"
