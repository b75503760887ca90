"""Values in a JSON document: paths of names and indices directly, others through the library."""

import re
import subprocess
import sys

import pytest
from jsonpath_rfc9535 import find

from runner.core.jsonpath import check, select, steps_of

DOCUMENT = {
    "state": "ok",
    "a b": {"ü": None},
    "items": [{"id": 1, "tags": ["x"]}, {"id": 2, "tags": []}],
    "$": 5,
}


@pytest.mark.parametrize(
    ("path", "steps", "values"),
    [
        ("$", (), [DOCUMENT]),
        ("$.state", ("state",), ["ok"]),
        ("$['a b'].ü", ("a b", "ü"), [None]),
        ('$["$"]', ("$",), [5]),
        ("$.items[1].id", ("items", 1, "id"), [2]),
        ("$.items[-1].id", ("items", -1, "id"), [2]),
        ("$.items[2]", ("items", 2), []),
        ("$.items[-3]", ("items", -3), []),
        ("$.items.id", ("items", "id"), []),
        ("$.state[0]", ("state", 0), []),
        ("$.items[*].id", None, [1, 2]),
        ("$..tags[0]", None, ["x"]),
        ("$.items[?@.id > 1].id", None, [2]),
        ("$.items[0:1].id", None, [1]),
        ("$.items[?count(@.tags[*]) > 0 && @.id < 1e308].id", None, [1]),
        ("$.items[?@.id == 1 || @.id == '$.*'].id", None, [1]),
        ("$['state','$']", None, ["ok", 5]),
        (r"$['\u0073tate']", None, ["ok"]),
    ],
)
def test_a_path_selects_what_the_rfcs_library_selects(path, steps, values):
    check(path)

    assert steps_of(path) == steps
    assert select(path, steps, DOCUMENT) == values == find(path, DOCUMENT).values()


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "expected '$'"),
        ("state", "expected '$'"),
        ("$.items[", "unbalanced brackets"),
        ("$.a[01]", "leading zero"),
        ("$.a[?match(@.b, '(a+)+')]", "'match' is not defined"),
        ("$.a[?search(@.b, '(a+)+')]", "'search' is not defined"),
        ("$..a..b", "more than one '..'"),
        ("$[?@.a==1e999]", "a number in it is too large"),
        ("$[?@.a==-1.5e999]", "a number in it is too large"),
        (f"$[?@.a=={'9' * 900}]", "a number in it is too large"),
        (f"$[?@.a=={'9' * 5000}]", "a number in it is too large"),
        (f"$[{'9' * 5000}]", "a number in it is too large"),
        ("$[?count($.*)>0]", "a query from '$' inside a filter"),
        ("$[?!(@.a && length($.b) > 1)]", "a query from '$' inside a filter"),
        ("$.a[?@[?@.b]]", "a filter inside a filter"),
        ("$[?count(@[?@.b == 1]) > 1]", "a filter inside a filter"),
        ("$" + "['a','b']" * 7, "more than 100 combinations"),
    ],
)
def test_what_is_no_path_or_could_run_for_ever_is_refused(path, why):
    with pytest.raises(ValueError, match=re.escape(why)):
        check(path)


def test_a_document_can_neither_exhaust_the_stack_nor_select_without_end():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(ValueError):
        select("$..a", None, deep)
    with pytest.raises(ValueError, match="more than 10,000"):
        select("$[*]", None, [0] * 20_000)
    assert select("$[*]", None, [0] * 10_000) == [0] * 10_000


def test_simple_paths_do_not_import_the_library():
    code = (
        "import sys; from runner.core.jsonpath import check; check('$.a[0]');"
        "from runner.experiment.load import read_spec;"
        "print('jsonpath_rfc9535' in sys.modules, 're2' in sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert printed.stdout == "False False\n"
