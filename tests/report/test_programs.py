"""What people read about programs outside the experiment."""

from __future__ import annotations

from msgspec.structs import replace

from runner.core.observed_facts import KERNEL_THREADS
from runner.core.observed_results import ProgramUsage
from runner.core.results import ConfigurationResults
from runner.core.stage_results import Stage
from runner.report.programs import offers, programs_outside, terminal_lines
from tests.analyze.facts import HEALTHY, results_of
from tests.analyze.stages import stage

REDIS = ProgramUsage("redis-server", (812,), 0.99, 0.99, serves=True, port=6379)
BUILD = ProgramUsage("cc1", (7, 8, 9, 10), 1.7, 0.9)
QUIET = ProgramUsage("cron", (3,), 0.03, 0.03)
KERNEL = ProgramUsage(KERNEL_THREADS, (2,), 0.3, 0.2)


def _stage(name: str, *programs: ProgramUsage) -> Stage:
    return stage(name=name, programs=programs)


def _configurations(*stages: Stage) -> list[ConfigurationResults]:
    return [replace(results_of(HEALTHY).configurations[0], stages=stages)]


def test_a_table_has_each_program_once_with_its_cores_in_every_stage() -> None:
    table = programs_outside([_stage("100 RPS", QUIET, BUILD), _stage("200 RPS", REDIS, KERNEL)])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert rows[0] == ["Program", "100 RPS", "200 RPS"]
    assert rows[2:] == [
        ["cc1 (pids 7, 8, 9 and 1 more)", "1.70, one thread full", "–"],
        ["redis-server (pid 812), which served the app", "–", "0.99, one thread full"],
        ["threads of the kernel", "–", "0.30"],
        ["cron (pid 3)", "0.03", "–"],
    ]
    assert programs_outside([_stage("100 RPS")]) == ""


def test_a_program_that_serves_the_app_is_offered_with_what_to_write() -> None:
    (offer,) = offers([_stage("100 RPS", REDIS, BUILD), _stage("200 RPS", REDIS)])
    assert offer.startswith("redis-server (pid 812) served this app's connections; to observe it, add it")
    assert "    redis: {port: 6379}\n" in offer


def test_a_program_at_a_unix_socket_is_found_again_by_its_name() -> None:
    odd = ProgramUsage('my "db" #1', (5,), 0.5, serves=True, port=0)
    (offer,) = offers([_stage("100 RPS", odd)])
    assert r'    my--db---1: {name: "my \"db\" #1"}' in offer


def test_markup_in_a_programs_name_is_shown_as_it_is() -> None:
    table = programs_outside([_stage("100 RPS", ProgramUsage("<b>|`x`*y*", (5,), 0.5))])
    assert "<b>" not in table
    assert len(table.splitlines()[2].replace("\\|", "").strip("|").split("|")) == 2


def test_a_terminal_names_the_busiest_programs_once_and_not_those_that_hardly_matter() -> None:
    stages = (_stage("100 RPS", QUIET, BUILD, KERNEL, REDIS), _stage("200 RPS", BUILD))
    lines = list(terminal_lines(_configurations(*stages)))
    offer = "redis-server (pid 812) served this app's connections; to observe it, add it under topology.watch"
    assert lines == [
        "Other programs on this host used up to: cc1 (pids 7, 8, 9 and 1 more) 1.70 cores, one thread full.",
        f"{offer}: watch: {{redis: {{port: 6379}}}}",
    ]
    assert list(terminal_lines(_configurations(_stage("100 RPS", QUIET, KERNEL)))) == []
