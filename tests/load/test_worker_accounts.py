"""Whatever happens to the workers, every planned request is in exactly one count."""

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from runner.cluster.heartbeat import AGENT_WAS_SILENT
from runner.core import histogram
from runner.core.load_facts import ConnectionCounts, DropCauses, LoadSecond
from runner.load import merge, worker_losses, worker_notes
from runner.load.merge import Collector, merged, sum_of
from runner.load.messages import WireHistogram, WorkerEnd, WorkerSecond, decode_progress, encode
from runner.load.scenario_accounts import _with_unsent
from runner.load.tally import LATENCIES, Latency, Tally
from runner.load.worker_accounts import Account, connections

EMPTY = b'"duration":["","",0,0]'
END = WorkerEnd(peak_rss_kib=20_000)
values_ns = st.lists(st.integers(-1000, 70_000_000_000), max_size=30)


def reported(tally: Tally, *, cpu_s=0.0, in_flight=0) -> WorkerSecond:
    """The message as the runner reads it."""
    return decode_progress(encode(tally.message(cpu_s=cpu_s, in_flight=in_flight)))


def second(index: int, *, scheduled=0, dropped=0, succeeded=0, failed=0, under_way=0) -> WorkerSecond:
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

    assert merged([reported(tally)]).duration == histogram.of(max(v, 0) for v in values)


@pytest.mark.parametrize("many_bytes", [0, 1 << 30], ids=["many", "few"])
@given(workers=st.lists(values_ns, min_size=1, max_size=4))
def test_merging_workers_neither_loses_nor_invents_a_value(many_bytes, workers):
    reports = []
    for values in workers:
        tally = Tally(3)
        for name in LATENCIES:
            for value in values:
                getattr(tally, name).add(value)
        reports.append(reported(tally, cpu_s=1, in_flight=2))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merge, "_MANY_BYTES", many_bytes)
        whole = merged(reports)

    everything = histogram.of(max(value, 0) for values in workers for value in values)
    assert all(getattr(whole, name) == everything for name in LATENCIES)
    assert (whole.index, whole.cpu_s, whole.in_flight) == (3, len(workers), 2 * len(workers))


@pytest.mark.parametrize("number", [1, 255, 256, 65_535, 65_536, 2**40])
def test_counts_of_any_width_are_read_as_they_were_sent(number):
    sent = reported(Tally(0))
    duration = WireHistogram.of({3: 1, 5: number}, 7, 6)

    read = decode_progress(encode(replace(sent, duration=duration)))

    assert sum_of([read.duration] * 2) == histogram.Histogram({3: 2, 5: 2 * number}, 14, 6)


@pytest.mark.parametrize(
    ("part", "damaged"),
    [
        (b'"succeeded":3', b'"succeeded":-3'),
        (b'"succeeded":3', b'"succeeded":"3"'),
        (b'"cpu_s":0.5', b'"cpu_s":-0.5'),
        (b'"index":0', b'"index":1000000000000'),
        (b'"failures":{"timeout":0}', b'"failures":{"timeout":-1}'),
        (EMPTY, b'"duration":["AFw=","AQ==",0,0]'),  # bucket 23,552
        (EMPTY, b'"duration":["AQACAA==","AQ==",0,0]'),  # two buckets, one count
        (EMPTY, b'"duration":["AQ==","",0,0]'),  # half a bucket
        (EMPTY, b'"duration":["","AQ==",0,0]'),  # a count of nothing
        (EMPTY, b'"duration":["AQA=","AQ==",-1,0]'),
        (b'"type":"second"', b'"type":"ready"'),
        (b"}\n", b"\n"),
    ],
)
def test_a_malformed_message_is_refused(part, damaged):
    line = encode(second(0, scheduled=3, succeeded=3))
    assert part in line

    with pytest.raises(ValueError):
        decode_progress(line.replace(part, damaged))


@given(st.permutations([(worker, index) for worker in range(3) for index in range(-1, 3)]))
def test_a_second_is_complete_once_every_worker_has_passed_it(order):
    collector = Collector(3)
    position, complete = {0: -1, 1: -1, 2: -1}, []
    for worker, _ in order:
        complete += collector.add(worker, second(position[worker], scheduled=1))
        position[worker] += 1
        assert [whole.index for whole in complete] == list(range(-1, min(position.values())))

    assert all(whole.scheduled == 3 for whole in complete)


def test_a_worker_that_ended_is_not_waited_for():
    collector = Collector(2)
    assert collector.add(0, second(0, scheduled=1)) == []

    assert [whole.scheduled for whole in collector.end(1)] == [1]


@st.composite
def broken_stages(draw):
    """Accounts of workers, some dead, and the seconds they reported."""
    seconds, accounts = {}, []
    for number in range(draw(st.integers(1, 4))):
        account = Account(f"generator worker {number + 1}", planned=0)
        for index in range(draw(st.integers(0, 3))):
            counts = draw(st.tuples(*[st.integers(0, 50)] * 4))
            dropped, succeeded, failed, under_way = counts
            report = second(
                index,
                scheduled=sum(counts),
                dropped=dropped,
                succeeded=succeeded,
                failed=failed,
                under_way=under_way,
            )
            account.add(report)
            seconds.setdefault(index, []).append(report)
        dead = draw(st.booleans())
        account.planned = account.scheduled + (draw(st.integers(0, 100)) if dead else 0)
        if not dead:
            finish_what_is_under_way(account, seconds)
            account.end = END
        accounts.append(account)
    return accounts, [merged(reports) for _, reports in sorted(seconds.items())]


def finish_what_is_under_way(account: Account, seconds: dict) -> None:
    """A worker that lives receives all its responses, the last ones in the drain."""
    under_way = account.scheduled - account.ended
    late = replace(second(5), succeeded=under_way)
    account.add(late)
    seconds.setdefault(5, []).append(late)


@given(broken_stages())
def test_the_counts_add_up_to_the_schedule_whichever_worker_died(stage):
    accounts, seconds = stage

    corrected = worker_losses.with_lost(seconds, accounts, 3)

    def total(name):
        return sum(getattr(whole, name) for whole in corrected)

    planned = sum(account.planned for account in accounts)
    failed = sum(sum(whole.failures.values()) for whole in corrected)
    assert total("scheduled") == planned
    assert total("sent") + total("dropped") == planned
    assert total("sent") == total("succeeded") + failed
    assert all(whole.sent >= 0 and whole.dropped >= 0 for whole in corrected)
    known = sum(whole.dropped for whole in seconds)
    assert total("dropped") == known + worker_losses.drop_causes(accounts).total


def test_nothing_changes_when_no_worker_died():
    seconds = [LoadSecond(0, scheduled=3, sent=3, succeeded=3)]
    account = Account("generator worker 1", planned=3, end=END)

    assert worker_losses.with_lost(seconds, [account], 1) == seconds


def test_what_was_under_way_when_a_stage_was_cut_short_counts_as_dropped_also_of_each_part():
    of_a = LoadSecond(0, scheduled=4, sent=4, succeeded=1, failures={"timeout": 1})
    of_b = LoadSecond(1, scheduled=3, sent=2, dropped=1)
    seconds = [
        LoadSecond(0, scheduled=4, sent=4, succeeded=1, failures={"timeout": 1}, parts={"a": of_a}),
        LoadSecond(1, scheduled=3, sent=2, dropped=1, parts={"b": of_b}),
    ]

    corrected = worker_losses.ended_unknown(seconds, ["a", "b"])

    assert worker_losses.without_end(seconds) == 4
    assert worker_losses.without_end(corrected) == 0
    assert [(one.sent, one.dropped) for one in corrected] == [(2, 2), (0, 3)]
    parts = {name: [one.parts[name] for one in corrected] for name in ("a", "b")}
    assert [(one.sent, one.dropped) for one in parts["a"]] == [(2, 2), (0, 0)]
    assert [(one.sent, one.dropped) for one in parts["b"]] == [(0, 0), (0, 3)]


def test_each_cause_of_dropped_requests_is_counted_by_the_worker_that_knows_it():
    living = Account("generator worker 1", planned=1000, scheduled=1000, ended=1000)
    living.end = replace(END, too_late=545)
    dead = Account("generator worker 2", planned=1000, scheduled=600, ended=590)

    causes = worker_losses.drop_causes([living, dead])

    assert causes == DropCauses(too_late=545, not_offered=400, unknown_end=10)


def test_of_a_worker_out_of_reach_nothing_is_known_of_what_it_did_not_report():
    lost = Account("generator worker 1 on node-2", planned=1000, scheduled=600, ended=590)
    lost.is_out_of_reach = True

    assert worker_losses.drop_causes([lost]) == DropCauses(unknown_end=410)


def test_users_are_counted_where_users_come_due():
    dead = Account("generator worker 1", planned=50, scheduled=600, ended=590, has_users=True)
    dead.users_scheduled, dead.users_ended = 30, 21

    assert worker_losses.drop_causes([dead]) == DropCauses(not_offered=20, unknown_end=9)


def lost(**fields) -> str:
    account = Account("generator worker 1", planned=1000, scheduled=600, ended=590, seconds=6, **fields)
    return " ".join(worker_losses.losses([account]))


def test_a_killed_worker_is_distinguished_from_a_hung_one():
    assert lost(died=True, status=-9) == (
        "generator worker 1 was ended by signal 9 after 6 s; 410 of its 1,000 requests are lost"
    )
    assert lost(died=True, status=1).startswith("generator worker 1 exited with status 1 after 6 s")
    assert lost(status=-9).startswith("generator worker 1 stopped responding after 6 s")
    silent = lost(died=True, status=AGENT_WAS_SILENT)
    assert silent.startswith("generator worker 1 stopped because its agent or the hub was silent after 6 s")
    unreadable = lost(died=True, status=0, fault="sent an unreadable message")
    assert unreadable.startswith("generator worker 1 sent an unreadable message after 6 s; 410 of its 1,000")


def test_a_stalled_worker_is_named_with_the_effect():
    sentence = lost(end=replace(END, longest_stall_ns=2_000_000_000))

    assert sentence == (
        "generator worker 1 did not run for 2.0 s; about 333 of its 1,000 requests were sent late or dropped"
    )
    unsent = lost(end=replace(END, longest_stall_ns=2_000_000_000, too_late=321))
    assert unsent.endswith(" did not run for 2.0 s; 321 of its 1,000 requests were too late to be sent")


def test_a_short_stall_is_no_loss():
    assert lost(end=replace(END, longest_stall_ns=300_000_000)) == ""


def notes(**changes) -> str:
    account = Account("generator worker 1", planned=1, end=replace(END, **changes))
    return " | ".join(worker_notes.notes([account]))


def test_connections_are_counted_over_all_workers():
    ends = [replace(END, opened=3, closed_by_server=1, unasked=2), replace(END, opened=4)]
    accounts = [Account("generator worker", planned=1, end=end) for end in ends]

    assert connections(accounts) == ConnectionCounts(opened=7, closed_by_server=1, unasked=2)


def test_notes_mention_only_what_happened():
    assert notes() == "a generator worker used at most 20 MiB of memory"
    assert "the wall clock was adjusted by 5.0 ms" in notes(clock_shift_ns=5_000_000)
    assert "12 requests found their keep-alive connection closed by the server" in notes(resent=12)
    assert "the generator had to close 7 connections" in notes(closed_first=7)
    assert notes(opened=12_345, closed_by_server=12_000).startswith(
        "TCP connections opened, the warm-up included: 12,345; the server closed 12,000 | "
    )
    assert (
        "3 requests found their keep-alive connection closed by the server before they arrived; they "
        in notes(stale=3)
    )
    assert notes(faults={"a NUL in the head": 2, "no status line of HTTP/1": 1_000}).startswith(
        "1,002 protocol failures: no status line of HTTP/1 (1,000); a NUL in the head (2) | "
    )
    assert "the generator had to close 7 connections that the server left open" in notes(closed_first=7)


def test_the_clock_is_named_and_compared_with_the_kernels():
    def clock(**changes):
        account = Account("generator worker 1", planned=1, end=replace(END, **changes))
        return worker_notes.clock([account])

    assert clock() == (
        "the kernel timestamps responses when they arrive (SO_TIMESTAMPNS); "
        "everything else is read from CLOCK_REALTIME"
    )
    assert "except 9 reads without a timestamp" in clock(unstamped=9)
    assert "connect times differ by +15 µs from the kernel's round-trip time (TCP_INFO, 45 µs)" in clock(
        handshakes=[(60_000, 45_000)] * 3
    )
    late = [(1_016_000_000, 1_000_000)] * 4
    assert clock(handshakes=[*late, (13_000_000, 11_000_000)]).endswith(
        "; connect times differ by +2,000 µs from the kernel's round-trip time (TCP_INFO, 11,000 µs), "
        "of one connection; the connect times of 4 of 5 connections are not compared, because they are 1 s "
        "longer or more, as when a SYN was sent again"
    )
    assert "differ" not in clock(handshakes=late)


def test_users_who_would_have_come_due_in_a_dead_worker_complete_the_shares_of_the_scenarios():
    """Every second user may be one of every second scenario: what a worker lost has other shares."""
    known = LoadSecond(
        0, scenarios={"buy": LoadSecond(0, scheduled=732), "look": LoadSecond(0, scheduled=500)}
    )
    dead = SimpleNamespace(planned=1000, users_scheduled=232)
    users = _with_unsent([known], [dead], {"buy": 0.75, "look": 0.25})[-1].scenarios
    assert {name: (one.scheduled, one.dropped) for name, one in users.items()} == {
        "buy": (1500, 768),
        "look": (500, 0),
    }
