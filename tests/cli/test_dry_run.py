"""What a dry run says before anything runs."""

from __future__ import annotations

from tests.experiment.samples import MINIMAL, SCENARIOS


def test_a_dry_run_of_scenarios_says_what_users_do_and_how_long_they_may_go_on(cli):
    (cli.folder / "a.bin").write_bytes(b"a")
    spec = cli.folder / "shop.yaml"
    spec.write_text(SCENARIOS)

    shown = cli.in_process("execute", spec, "--dry-run")
    checked = cli.in_process("validate", spec)

    assert shown.returncode == 0, shown.stderr
    lines = shown.stdout.splitlines()
    assert lines[:2] == ["shop sends:", "     buy: 100 % of the users, 6 to 1,107 requests each"]
    assert "1 to 20 users/s for 10 s after 5 s of warm-up" in lines[-3]
    assert "50 users for 10 s" in lines[-2]
    assert lines[-1] == (
        "2 trials, about 27 s, and up to 20 s more for users who are under way when a stage ends"
    )
    assert checked.stdout.endswith("valid (1 configuration, 2 stages, 1 scenario)\n")


def test_a_dry_run_says_that_no_user_can_complete_because_of_the_pauses(cli):
    longest = "{choose: [{steps: [{pause: 16s}]}, {steps: [{pause: 8s}, {pause: 9s}]}]}"
    steps = f"[{{request: {{name: home}}}}, {{repeat: 2, steps: [{longest}]}}]"
    spec = cli.folder / "slow.yaml"
    spec.write_text(
        MINIMAL.replace("rps", "users_per_s") + f"load: {{scenarios: [{{name: slow, steps: {steps}}}]}}\n"
    )

    shown = cli.in_process("execute", spec, "--dry-run").stdout

    assert "     no user of slow can complete: its pauses take at least 32s, and users end 11s after" in shown
