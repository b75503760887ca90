"""Tear-down waits for abandoned calls that may still make something, and for no others."""

import threading

import trio

from runner.stack.docker.engine import Engine


async def test_a_call_that_changes_nothing_is_not_waited_for():
    engine, answered = Engine(None, "unix:///nowhere"), threading.Event()
    try:
        with trio.move_on_after(0.05):
            await engine.look(answered.wait)
        assert engine.pending == 0

        with trio.move_on_after(0.05):
            await engine.call(answered.wait)
        assert engine.pending == 1
    finally:
        answered.set()
