"""What was lost with workers that died, hung or did not run for a while, in words and in counts.

Every planned request ends in exactly one count, including those of a worker that died before it counted them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from runner.cluster.heartbeat import AGENT_WAS_SILENT
from runner.core.load_facts import DropCauses, LoadSecond, PartFacts
from runner.core.units import NS_PER_S, Nanoseconds, Seconds
from runner.load.worker_accounts import Account

_REPORTED_STALL_NS: Final[Nanoseconds] = 500_000_000
"""From this on, a pause of a worker is long enough to make its stage invalid; our own bound."""


def losses(accounts: Sequence[Account]) -> tuple[str, ...]:
    """Return one sentence for each worker that died, hung or did not run for a while, with the effect."""
    return tuple(sentence for account in accounts if (sentence := _loss(account)))


def _loss(account: Account) -> str:
    due, ended, what = account.due
    if account.end is None:
        return (
            f"{account.name} {_ending(account)} after {account.seconds} s; "
            f"{due - ended:,} of its {due:,} {what} are lost"
        )
    stall_ns = account.end.longest_stall_ns
    if stall_ns < _REPORTED_STALL_NS:
        return ""
    taken_up = "sent" if what == "requests" else "started"
    if too_late := account.end.too_late:
        effect = f"{too_late:,} of its {due:,} {what} were too late to be {taken_up}"
    else:
        late = min(due, round(stall_ns / NS_PER_S * due / max(1, account.seconds)))
        effect = f"about {late:,} of its {due:,} {what} were {taken_up} late or dropped"
    return f"{account.name} did not run for {stall_ns / NS_PER_S:.1f} s; {effect}"


def _ending(account: Account) -> str:
    status = account.status
    if account.fault:
        return account.fault
    if not account.died or status is None:
        return "stopped responding"
    if status == AGENT_WAS_SILENT:
        return "stopped because its agent or the hub was silent"
    return f"was ended by signal {-status}" if status < 0 else f"exited with status {status}"


def longest_stall_s(accounts: Sequence[Account]) -> Seconds:
    """Return the longest time in which a worker did not run; 0 if it was too short to be reported."""
    longest_ns = max((account.end.longest_stall_ns for account in accounts if account.end), default=0)
    return round(longest_ns / NS_PER_S, 3) if longest_ns >= _REPORTED_STALL_NS else 0.0


def drop_causes(accounts: Sequence[Account]) -> DropCauses:
    """Return how many requests, or users of scenarios, were dropped although there was room for them.

    A worker that is out of reach may have gone on: of what it has not reported, nothing is known.
    """
    dead = [account for account in accounts if account.end is None]
    due = [account.users_scheduled if account.has_users else account.scheduled for account in dead]
    ended = [account.users_ended if account.has_users else account.ended for account in dead]
    not_due = [max(0, one.planned - came) for one, came in zip(dead, due, strict=True)]
    not_offered = sum(count for one, count in zip(dead, not_due, strict=True) if not one.is_out_of_reach)
    return DropCauses(
        too_late=sum(account.end.too_late for account in accounts if account.end),
        not_offered=not_offered,
        unknown_end=max(0, sum(due) - sum(ended)) + sum(not_due) - not_offered,
    )


def with_lost(
    seconds: Sequence[LoadSecond], accounts: Sequence[Account], length: Seconds
) -> list[LoadSecond]:
    """Count the lost requests of dead workers as dropped.

    These are requests that were never sent, and requests that were under way and whose end is unknown.
    The latter are taken back from `sent`, from the last second backwards.
    """
    dead = [account for account in accounts if account.end is None]
    unsent = sum(max(0, account.planned - account.scheduled) for account in dead)
    unknown = sum(account.scheduled - account.ended for account in dead)
    corrected = with_unknown(seconds, unknown)
    if unsent:
        index = seconds[-1].index + 1 if seconds else math.ceil(length)
        corrected.append(LoadSecond(index, scheduled=unsent, dropped=unsent))
    return corrected


def with_unknown(seconds: Sequence[LoadSecond], unknown: int) -> list[LoadSecond]:
    """Count some of what was sent as dropped, from the last second backwards."""
    corrected: list[LoadSecond] = []
    for second in reversed(seconds):
        here = min(second.sent, unknown)
        unknown -= here
        corrected.append(replace(second, sent=second.sent - here, dropped=second.dropped + here))
    corrected.reverse()
    return corrected


def without_end(seconds: Sequence[LoadSecond]) -> int:
    """Return how much was sent and did not end."""
    return sum(one.sent - one.succeeded - sum(one.failures.values()) for one in seconds)


def ended_unknown(seconds: Sequence[LoadSecond], names: Iterable[str]) -> list[LoadSecond]:
    """Count requests as dropped that were sent and did not end: all of them, and those of each part."""
    corrected = with_unknown(seconds, without_end(seconds))
    for name in names:
        known = [one.parts.get(name, LoadSecond(one.index)) for one in corrected]
        own = with_unknown(known, without_end(known))
        corrected = [
            replace(one, parts={**one.parts, name: requests})
            for one, requests in zip(corrected, own, strict=True)
        ]
    return corrected


def with_lost_parts(seconds: Sequence[LoadSecond], parts: Mapping[str, PartFacts]) -> tuple[LoadSecond, ...]:
    """Count what dead workers lost of each request of a mix as dropped, in the last second."""
    lost = {name: part.planned - _ended(seconds, name) for name, part in parts.items()}
    if not seconds or not any(count > 0 for count in lost.values()):
        return tuple(seconds)
    last = seconds[-1]
    after = {
        name: replace(
            part, scheduled=part.scheduled + max(0, lost[name]), dropped=part.dropped + max(0, lost[name])
        )
        for name in lost
        for part in (last.parts.get(name, LoadSecond(last.index)),)
    }
    return (*seconds[:-1], replace(last, parts=after))


def _ended(seconds: Sequence[LoadSecond], name: str) -> int:
    own = [second.parts[name] for second in seconds if name in second.parts]
    return sum(part.succeeded + part.dropped + sum(part.failures.values()) for part in own)
