"""Every command that the documentation shows works, in the order of its page."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click
import pytest

from runner.cli.main import app
from tests.docs.console import PAGES, ROOT, Command, commands, inline, name_of
from tests.docs.places import PREPARE, Runs, measure, run, runner_words, shorten, surroundings

TIMEOUT_S: Final = 120
JUDGED: Final = {"execute": {0, 4, 99}, "compare": {0, 4, 99}}
"""Exit codes of commands whose result depends on how busy the machine is."""
ELSEWHERE: Final = {
    r"make (run|test)": "infra/ci/bare",
    r"docker (swarm|node) ": "tests/swarm",
    r"runner doctor --swarm": "tests/swarm",
    r"pipx install ": "tests/infra/test_wheel.py",
    r"infra/runner-image/build|alias loadproof=|loadproof ": "tests/infra/test_runner_image.py",
}
"""Commands that need the network, other machines or the whole repository, and what runs them."""
NEEDS_A_SHELL: Final = re.compile(r"[^\w\s./:=@,%+'\"-]")
"""Signs that a shell may do something with; other command lines of `runner` need none."""
SERVES: Final = re.compile(r"^runner serve\b")


def where_else(command: Command) -> str | None:
    return next((place for pattern, place in ELSEWHERE.items() if re.match(pattern, command.text)), None)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> Runs:
    return measure(tmp_path_factory.mktemp("runs"))


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=name_of)
def test_the_commands_of_a_page_work(page, runs, tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    environment = surroundings(tmp_path)
    PREPARE.get(name_of(page), lambda _folder, _runs: None)(place, runs)
    for command in commands(page):
        if where_else(command):
            continue
        if SERVES.match(command.text):
            check_that_it_serves(command, place, environment)
        else:
            check(command, place, environment)
        for specification in place.glob("*.yaml"):
            if not specification.is_symlink():
                shorten(specification)


def check(command: Command, place: Path, environment: dict[str, str]) -> None:
    words = ["bash", "-c", command.text]
    if command.text.startswith("runner ") and not NEEDS_A_SHELL.search(command.text):
        words = runner_words(shlex.split(command.text)[1:])
    done = run(words, cwd=place, env=environment, timeout_s=TIMEOUT_S)
    word = command.text.split()[1] if command.text.startswith("runner ") else ""
    assert done.returncode in JUDGED.get(word, {0}), f"{command.page}: {command.text}\n{done.stderr}"
    if len(command.output) == 1 and "…" not in command.output[0]:
        assert done.stdout.splitlines() == list(command.output), command.text


def check_that_it_serves(command: Command, place: Path, environment: dict[str, str]) -> None:
    words = ["bash", "-c", f"exec {command.text} --port 0"]
    with subprocess.Popen(
        words, cwd=place, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout
        try:
            url = next(iter(_urls(process.stdout)))
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
                assert response.status == 200
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(TIMEOUT_S)


def _urls(lines) -> Iterator[str]:
    for line in lines:
        if found := re.search(r"http://\S+", line):
            yield found.group()


def test_what_is_tested_elsewhere_is_in_the_documentation_and_exists():
    shown = [command for page in PAGES for command in commands(page)]
    for pattern, place in ELSEWHERE.items():
        assert any(re.match(pattern, command.text) for command in shown), f"no page shows {pattern}"
        assert (ROOT / place).exists()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_commands_and_options_in_sentences_exist(page):
    shown = [command.text for command in commands(page)] + inline(page)
    for text in shown:
        if text.startswith("runner "):
            assert unknown_words(text) == [], f"{name_of(page)}: {text}"


def unknown_words(text: str) -> list[str]:
    """Return the command or the options of a command line that `runner` does not have."""
    words = re.split(r" (?:--|\|\|) ", text)[0].split()[1:]
    group: click.Command = app
    context = click.Context(app)
    while isinstance(group, click.Group) and words:
        alternatives, *words = words
        found = [group.get_command(context, name) for name in re.split(r"[|/]", alternatives)]
        if any(one is None for one in found):
            return [] if alternatives.startswith(("-", "…")) else [alternatives]
        group = found[0] or group
    known = {option for one in group.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    options = [re.split(r"[=|,`]", word)[0] for word in words if re.match(r"--?[a-z]", word)]
    return [option for option in options if option not in known]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files_and_headings(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


def anchors(file: Path) -> set[str]:
    """Return the names that a Markdown page's headings have on the web."""
    headings = re.findall(r"(?m)^#+ (.+)$", file.read_text())
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
