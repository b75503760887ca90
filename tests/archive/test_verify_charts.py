"""Charts are drawn again and compared byte for byte; files that are not charts are always refused."""

import itertools
import json

import pytest

from runner.archive.svg import fault_of_svg
from runner.archive.verify import verify

CHART = "charts/why-light.svg"


def test_the_charts_of_a_real_run_are_verified(files):
    assert CHART in files
    assert "svg" not in "\n".join(verify(files, "run.zip").unverified)


def test_charts_that_the_library_could_not_draw_are_named_as_not_verified(files, monkeypatch):
    monkeypatch.setattr("runner.archive.verify_charts.draw", lambda charts: {})

    assert "vl-convert-python could not draw all of them here" in "\n".join(verify(files, "r").unverified)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_a_chart_with_another_number_is_detected(files, theme):
    name = f"charts/why-{theme}.svg"
    changed = files[name].replace(b"4,000", b"9,000", 1)
    assert changed != files[name]

    found = verify(files | {name: changed}, "run.zip")

    assert f"{name} is not what the archive's own data give" in found.explained


def test_the_chart_of_another_stage_and_one_that_no_run_draws_are_detected(files):
    swapped = verify(files | {CHART: files["charts/over-time-light.svg"]}, "run.zip")
    added = verify(files | {"charts/proof-light.svg": files[CHART]}, "run.zip")

    assert f"{CHART} is not what" in "\n".join(swapped.explained)
    assert "charts/proof-light.svg: the archive's own data give no such chart" in added.explained


def inside(files, text: bytes) -> bytes:
    return files[CHART].replace(b"</svg>", text + b"</svg>")


ACTIVE = {
    "script": b"<script>document.title='9,000 RPS'</script>",
    "handler": b'<g onclick="alert(1)"/>',
    "handler in capitals": b'<g ONLOAD="alert(1)"/>',
    "link": b'<a href="http://x.example"><text>x</text></a>',
    "image": b'<image xmlns:xlink="x" xlink:href="http://x.example/y.png"/>',
    "reference": b'<rect fill="url(http://x.example/#a)"/>',
    "style": b"<style>*{background:url(//x.example)}</style>",
    "style attribute": b'<g style="background:url(//x.example)"/>',
    "foreign object": b"<foreignObject><body/></foreignObject>",
    "animation": b'<set attributeName="href" to="javascript:alert(1)"/>',
    "processing instruction": b"<?php x ?>",
    "no end": b"<g>",
}


@pytest.mark.parametrize(
    ("name", "version"), list(zip(ACTIVE, itertools.cycle(["same", "other"]), strict=False))
)
def test_a_picture_that_acts_or_loads_is_wrong_for_any_version(files, name, version):
    software = json.loads(files["software.json"])
    if version == "other":
        software["packages"]["vl-convert-python"] = "0.0.1"
    changed = {CHART: inside(files, ACTIVE[name]), "software.json": json.dumps(software).encode()}

    found = verify(files | changed, "run.zip")

    assert f"{CHART} is no chart of a run: it " in "\n".join(found.wrong)


def test_entities_and_huge_text_are_refused_at_once():
    bomb = b'<!DOCTYPE svg [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><svg>&b;</svg>'

    assert fault_of_svg(bomb) == "it contains a document type"
    assert fault_of_svg(b"\0" * 100) == "it is no SVG"
    assert fault_of_svg(b"<svg>" * 200_000) == "it is no SVG"


@pytest.mark.parametrize(
    ("made_by", "here", "reason"),
    [
        ("1.0", None, "vl-convert-python is not installed here"),
        (None, "1.0", "the archive does not say which vl-convert-python drew them"),
        ("1.0", "2.0", "vl-convert-python 1.0 drew them, and 2.0 is installed here"),
    ],
)
def test_charts_that_cannot_be_drawn_as_then_are_named_as_not_verified(
    files, monkeypatch, made_by, here, reason
):
    monkeypatch.setattr("runner.archive.verify_charts.library_version", lambda: here)
    packages = {"vl-convert-python": made_by} if made_by else {}
    changed = files | {"software.json": json.dumps({"packages": packages}).encode()}
    changed[CHART] = changed[CHART].replace(b"4,000", b"9,000", 1)

    found = verify(changed, "run.zip")

    assert CHART not in "\n".join((*found.wrong, *found.explained))
    (phrase,) = (phrase for phrase in found.unverified if "charts/" in phrase)
    pictures = [name for name in files if name.startswith("charts/")]
    assert phrase.endswith(f"and {len(pictures) - 3} more: {reason}")
