"""Data files: their rows are found and checked, and a change is noticed."""

import csv
import io
import os
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.core.rows import csv_fields
from runner.experiment.variables import Use
from runner.store.data_files import read_data_file
from runner.store.data_scan import scan
from runner.store.row_reader import DataProblem

ID = {Use("id", in_header=False)}
HEADER = {Use("id", in_header=True)}


def read(tmp_path, content, format_="csv", uses=ID, delimiter=","):
    (tmp_path / "data").write_bytes(content.encode() if isinstance(content, str) else content)
    return read_data_file("data", tmp_path, format_, delimiter, uses)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "data is empty"),
        ("\n\n", "data is empty"),
        ("id,name\n", "data has no rows below its header"),
        ("id,name\n1,a\n2\n", "line 3 of data has 1 column, and the header 2"),
        ("id,name\n1,a\n\n2,b,c\n", "line 4 of data has 3 columns, and the header 2"),
        ('id,name\n"1\n1",a\n2\n', "line 4 of data has 1 column, and the header 2"),
        ('id,name\n1,"a\n2,b\n', "line 2 of data begins a quoted field that is not closed"),
        (b"id,name\n1,a\n2,\xe9\n", "line 3 of data is not UTF-8 text (byte 3)"),
        ("id,name\n1,a\n".encode("utf-16"), "line 1 of data is not UTF-8 text (byte 1)"),
        ("id\r1\r", "line 1 of data contains a carriage return outside quotes"),
        ("id,id\n1,2\n", "line 1 of data names the column 'id' twice"),
        ("id,\n1,2\n", "line 1 of data has no name for column 2"),
        ("ide,name\n1,2\n", "data has no column 'id'"),
        ("id\n" + "x" * 1_100_000, "line 2 of data is longer than 1 MiB"),
        (
            'id\n"' + "x\n" * 600_000,
            "line 2 of data begins a row that is longer than 1 MiB; is a quote not closed?",
        ),
    ],
)
def test_csv_that_cannot_be_sent_is_refused_with_its_line(tmp_path, content, problem):
    with pytest.raises(DataProblem) as caught:
        read(tmp_path, content)
    assert caught.value.message == problem


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "data has no rows"),
        ('{"id": 1}\n{id: 2}\n', "line 2 of data is not JSON: JSON is malformed"),
        ('{"id": 1}\n\n{"ID": 2}\n', "line 3 of data has no id"),
        ('[{"id": 1}]\n', "line 1 of data has no id"),
        ('{"id": NaN}\n', "line 1 of data is not JSON"),
        ('{"id": "\\ud800"}\n', "line 1 of data is not JSON"),
        ("[" * 100_000 + "]" * 100_000, "line 1 of data is not JSON"),
        ('{"id": 1} {"id": 2}\n', "line 1 of data is not JSON"),
        (b'{"id": "\xff"}\n', "line 1 of data is not UTF-8 text"),
    ],
)
def test_lines_that_are_no_json_are_refused_with_their_line(tmp_path, content, problem):
    with pytest.raises(DataProblem) as caught:
        read(tmp_path, content, "jsonl")
    assert caught.value.message.startswith(problem)


@pytest.mark.parametrize(
    ("content", "format_"), [('id\nok\n"a\nb"\n', "csv"), ('{"id": "ok"}\n{"id": "ü"}', "jsonl")]
)
def test_a_value_that_no_header_can_have_is_refused_where_it_stands_in_one(tmp_path, content, format_):
    assert read(tmp_path, content, format_).rows == 2
    with pytest.raises(DataProblem, match=r"line [23] of data has .*, which no header can have"):
        read(tmp_path, content, format_, HEADER)


def test_what_is_no_file_is_refused(tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "kernel").symlink_to("/proc/kmsg")
    for name, problem in {
        "folder": "folder is not a regular file",
        "pipe": "pipe is not a regular file",
        "device": "device is not a regular file",
        "kernel": "kernel is not a regular file",
        "nothing": "there is no file nothing in the specification's folder",
        "../nothing": f"there is no file ../nothing (sought as {tmp_path.parent}/nothing)",
        "/nothing": "there is no file /nothing",
    }.items():
        with pytest.raises(DataProblem) as caught:
            read_data_file(name, tmp_path, "csv", ",", ID)
        assert caught.value.message == problem


def test_a_change_is_noticed(tmp_path):
    data = read(tmp_path, "id\n1\n2\n")
    assert not data.has_changed
    assert read_data_file("data", tmp_path, "csv", ",", ID) is data
    time.sleep(0.02)
    (tmp_path / "data").write_text("id\n1\n3\n")
    assert data.has_changed
    assert read_data_file("data", tmp_path, "csv", ",", ID).sha256 != data.sha256
    (tmp_path / "data").unlink()
    assert data.has_changed


FIELD = st.text(st.sampled_from('ab ,"\n;ü'), max_size=6)


@settings(deadline=None)
@given(
    st.integers(1, 4).flatmap(
        lambda width: st.lists(st.lists(FIELD, min_size=width, max_size=width), min_size=1, max_size=6)
    )
)
def test_every_row_is_found_where_pythons_csv_module_finds_it(rows):
    columns = [f"c{place}" for place in range(len(rows[0]))]
    text = io.StringIO(newline="")
    csv.writer(text).writerows([columns, *rows])
    content = text.getvalue().encode()
    found = scan(io.BytesIO(content), "data", "csv", ",", [])

    assert found.columns == tuple(columns)
    parsed = [csv_fields(content[a:b], ",") for a, b in zip(found.offsets, found.offsets[1:], strict=False)]
    assert parsed == rows
