"""The error of a measured offset is never larger than it says."""

import trio
import trio.lowlevel
from hypothesis import given
from hypothesis import strategies as st

from runner.cluster.clocks import FEWEST_ROUNDS, MOST_ROUNDS, combined, leg, measure
from runner.cluster.messages import Leg

_DELAYS = st.integers(0, 10**9)
_OFFSETS = st.integers(-(10**15), 10**15)


@given(offset=_OFFSETS, sent=st.integers(0, 10**15), there=_DELAYS, back=_DELAYS)
def test_a_leg_is_wrong_by_half_of_its_round_trip_at_most(offset, sent, there, back):
    one = leg(sent, sent + there + offset, sent + there + back)

    assert one.round_trip_ns == there + back
    assert 2 * abs(one.offset_ns - offset) <= one.round_trip_ns + 1


@given(first=_OFFSETS, second=_OFFSETS, delays=st.tuples(_DELAYS, _DELAYS, _DELAYS, _DELAYS))
def test_two_legs_state_the_error_of_both_and_that_between_nodes(first, second, delays):
    there, back, further, home = delays
    to_hub, to_agent = (
        leg(5, 5 + there + first, 5 + there + back),
        leg(7, 7 + further + second, 7 + further + home),
    )

    offset = combined(to_hub, to_agent, 99)

    assert abs(offset.offset_ns - (first + second)) <= offset.error_ns + 1
    assert abs((offset.offset_ns - offset.hub_offset_ns) - second) <= offset.node_error_ns
    assert offset.round_trip_ns == sum(delays)
    assert offset.to_runner_ns(offset.to_node_ns(123)) == 123


class Clock:
    """Round trips of given lengths on a clock of its own, which is 5,000 ns ahead."""

    def __init__(self, lengths_ns):
        self.lengths_ns, self.made = lengths_ns, 0

    async def round_trip(self):
        await trio.lowlevel.checkpoint()
        length = self.lengths_ns[min(self.made, len(self.lengths_ns) - 1)]
        self.made += 1
        return 0, length // 2 + 5_000, length


async def test_the_shortest_of_the_fewest_rounds_is_taken_if_it_is_short(autojump_clock):
    clock = Clock([900_000, 100_000, 800_000])

    assert await measure(clock.round_trip) == Leg(5_000, 100_000)
    assert clock.made == FEWEST_ROUNDS


async def test_longer_rounds_are_repeated_but_not_for_ever(autojump_clock):
    clock = Clock([900_000])

    assert await measure(clock.round_trip) == Leg(5_000, 900_000)
    assert clock.made == MOST_ROUNDS


async def test_slow_rounds_end_after_a_time_with_what_there_is(autojump_clock):
    async def slow():
        await trio.sleep(0.9)
        return 0, 1, 2

    async def never():
        await trio.sleep_forever()

    assert await measure(slow) == Leg(0, 2)
    assert trio.current_time() == 3
    assert await measure(never) is None
