"""Whatever becomes of the workers, every planned request is in exactly one count."""

import json

from hypothesis import given
from hypothesis import strategies as st

from runner.core import histogram
from runner.core.facts import LoadSecond
from runner.load import worker_accounts
from runner.load.merge import Collector, merged
from runner.load.tally import LATENCIES, Latency, Tally
from runner.load.worker_accounts import Account

ENDING = {
    "unstamped": 0,
    "resent": 0,
    "closed_first": 0,
    "handshakes": [],
    "longest_stall_ns": 0,
    "clock_shift_ns": 0,
    "peak_rss_kib": 20_000,
}
values_ns = st.lists(st.integers(-1000, 70_000_000_000), max_size=30)


def reported(tally: Tally, **extra) -> dict:
    """What the runner reads of it."""
    return json.loads(tally.line(**extra))


def line(index: int, *, scheduled=0, dropped=0, succeeded=0, failed=0, under_way=0) -> dict:
    tally = Tally(index)
    tally.scheduled, tally.dropped, tally.succeeded = scheduled, dropped, succeeded
    tally.sent = succeeded + failed + under_way
    tally.failures["timeout"] = failed
    return reported(tally, cpu_s=0.5, in_flight=under_way)


@given(values_ns)
def test_what_a_worker_counts_is_the_histogram_of_its_values(values):
    latency = Latency()
    for value in values:
        latency.add(value)

    tally = Tally(0)
    tally.duration = latency

    assert merged([reported(tally, cpu_s=0, in_flight=0)]).duration == histogram.of(max(v, 0) for v in values)


@given(st.lists(values_ns, min_size=1, max_size=4))
def test_merging_workers_loses_no_value_and_invents_none(workers):
    lines = []
    for values in workers:
        tally = Tally(3)
        for name in LATENCIES:
            for value in values:
                getattr(tally, name).add(value)
        lines.append(reported(tally, cpu_s=1, in_flight=2))

    second = merged(lines)

    everything = histogram.of(max(value, 0) for values in workers for value in values)
    assert all(getattr(second, name) == everything for name in LATENCIES)
    assert (second.index, second.cpu_s, second.in_flight) == (3, len(workers), 2 * len(workers))


@given(st.permutations([(worker, index) for worker in range(3) for index in range(-1, 3)]))
def test_a_second_is_whole_once_every_worker_has_passed_it(order):
    collector = Collector(3)
    position, whole = {0: -1, 1: -1, 2: -1}, []
    for worker, _ in order:
        whole += collector.line(worker, line(position[worker], scheduled=1))
        position[worker] += 1
        assert [second.index for second in whole] == list(range(-1, min(position.values())))

    assert all(second.scheduled == 3 for second in whole)


def test_a_worker_that_ended_is_not_waited_for():
    collector = Collector(2)
    assert collector.line(0, line(0, scheduled=1)) == []

    assert [second.scheduled for second in collector.end(1)] == [1]


@st.composite
def broken_stages(draw):
    """Accounts of workers, some dead, and the seconds they reported."""
    seconds, accounts = {}, []
    for number in range(draw(st.integers(1, 4))):
        account = Account(f"generator worker {number + 1}", planned=0)
        for index in range(draw(st.integers(0, 3))):
            counts = draw(st.tuples(*[st.integers(0, 50)] * 4))
            dropped, succeeded, failed, under_way = counts
            told = line(
                index,
                scheduled=sum(counts),
                dropped=dropped,
                succeeded=succeeded,
                failed=failed,
                under_way=under_way,
            )
            account.take(told)
            seconds.setdefault(index, []).append(told)
        dead = draw(st.booleans())
        account.planned = account.scheduled + (draw(st.integers(0, 100)) if dead else 0)
        if not dead:
            finish_what_is_under_way(account, seconds)
            account.ending = dict(ENDING)
        accounts.append(account)
    return accounts, [merged(lines) for _, lines in sorted(seconds.items())]


def finish_what_is_under_way(account: Account, seconds: dict) -> None:
    """A worker that lives sees all its answers, the last ones in the drain."""
    under_way = account.scheduled - account.ended
    late = line(5) | {"succeeded": under_way}
    account.take(late)
    seconds.setdefault(5, []).append(late)


@given(broken_stages())
def test_the_counts_add_up_to_the_schedule_whoever_died(stage):
    accounts, seconds = stage

    told = worker_accounts.with_lost(seconds, accounts, 3)

    def total(name):
        return sum(getattr(second, name) for second in told)

    planned = sum(account.planned for account in accounts)
    failed = sum(sum(second.failures.values()) for second in told)
    assert total("scheduled") == planned
    assert total("sent") + total("dropped") == planned
    assert total("sent") == total("succeeded") + failed
    assert all(second.sent >= 0 and second.dropped >= 0 for second in told)


def test_nothing_changes_when_nobody_died():
    seconds = [LoadSecond(0, scheduled=3, sent=3, succeeded=3)]
    account = Account("generator worker 1", planned=3, ending=dict(ENDING))

    assert worker_accounts.with_lost(seconds, [account], 1) == seconds


def lost(**fields) -> str:
    account = Account("generator worker 1", planned=1000, scheduled=600, ended=590, seconds=6, **fields)
    return " ".join(worker_accounts.losses([account]))


def test_a_worker_that_was_killed_is_told_from_one_that_hung():
    assert lost(died=True, status=-9) == (
        "generator worker 1 ended by signal 9 after 6 s; 410 of its 1,000 requests are lost"
    )
    assert lost(died=True, status=1).startswith("generator worker 1 ended with status 1 after 6 s")
    assert lost(status=-9).startswith("generator worker 1 stopped answering after 6 s")


def test_a_worker_that_stood_still_is_named_with_what_it_cost():
    sentence = lost(ending=ENDING | {"longest_stall_ns": 2_000_000_000})

    assert sentence == (
        "generator worker 1 stood still for 2.0 s; about 333 of its 1,000 requests were sent late or dropped"
    )


def test_a_hiccup_is_no_loss():
    assert lost(ending=ENDING | {"longest_stall_ns": 300_000_000}) == ""


def notes(**ending) -> str:
    account = Account("generator worker 1", planned=1, ending=ENDING | ending)
    return " | ".join(worker_accounts.notes([account]))


def test_what_a_reader_should_know_is_said_only_when_it_happened():
    assert notes() == "a generator worker used at most 20 MiB of memory"
    assert "the wall clock was moved by 5.0 ms" in notes(clock_shift_ns=5_000_000)
    assert "12 requests met a kept connection that the server had closed" in notes(resent=12)
    assert "7 connections had to be closed by the generator" in notes(closed_first=7)


def test_the_clock_is_named_and_held_against_the_kernels():
    def said(**ending):
        return worker_accounts.clock([Account("generator worker 1", planned=1, ending=ENDING | ending)])

    assert said() == "answers by the kernel's receive stamps (SO_TIMESTAMPNS), all else by CLOCK_REALTIME"
    assert "but for 9 reads that had none" in said(unstamped=9)
    assert "connect times are +15 µs against the kernel's own round-trip time (TCP_INFO, 45 µs)" in said(
        handshakes=[[60_000, 45_000]] * 3
    )
