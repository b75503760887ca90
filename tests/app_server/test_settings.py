import pytest

from app_server.settings import Settings, read_settings


def test_flags_take_precedence_over_the_environment(monkeypatch):
    monkeypatch.setenv("APP_WORK_US", "50")
    monkeypatch.setenv("APP_ALLOC_KB", "8")

    assert read_settings([]) == Settings(work_us=50, alloc_kb=8)
    assert read_settings(["--work-us", "70"]) == Settings(work_us=70, alloc_kb=8)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--port", "65536"], "whole number from 0 to 65535"),
        (["--work-us", "-1"], "--work-us"),
        (["--alloc-kb", "many"], "not 'many'"),
        (["--sessions", "0"], "--sessions"),
        (["--what"], "--what"),
    ],
)
def test_the_error_of_a_wrong_flag_states_the_expected_value(flags, words, capsys):
    with pytest.raises(SystemExit) as exit_:
        read_settings(flags)

    assert exit_.value.code == 2
    assert words in capsys.readouterr().err


def test_a_wrong_environment_is_refused_like_a_wrong_flag(monkeypatch, capsys):
    monkeypatch.setenv("APP_WORK_US", "lots")

    with pytest.raises(SystemExit):
        read_settings([])

    assert "APP_WORK_US" in capsys.readouterr().err
