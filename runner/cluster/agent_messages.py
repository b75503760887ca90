"""What the runner tells an agent and what an agent reports: the content of `Down` and `Up`."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Raw

from runner.cluster.lines import MAX_LINE
from runner.cluster.wire import MessageDecoder, Name, Number, Reason, WireMessage, is_json
from runner.core.units import Bytes

Kind: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]

PIECE_BYTES: Final[Bytes] = 512 * 1024
"""The input of a process is sent in pieces of at most this size, each after the one before has been taken."""
QUOTED_BYTES: Final[Bytes] = 4096
"""How much of a line that is no JSON is reported."""


def json_content(content: bytes | Raw) -> Raw:
    """Return JSON that a message may carry.

    Raises:
        ValueError: It is longer than a line may be, contains the end of a line, or is no JSON.
    """
    content = bytes(content)
    if len(content) > MAX_LINE:
        raise ValueError(f"a message of {len(content):,} bytes is longer than {MAX_LINE:,}")
    if b"\n" in content:
        raise ValueError("a message contains the end of a line")
    if not is_json(content):
        raise ValueError("a message is no JSON, or nested too deeply")
    return Raw(content)


class StartProcess(WireMessage, frozen=True, kw_only=True, tag="start"):
    """Start a process; answered with `ProcessStarted` or `ProcessEnded`.

    Attributes:
        process: Number that the runner gives it, never used before.
        module: Which the agent must know.
    """

    process: Number
    module: Name


class ProcessInput(WireMessage, frozen=True, kw_only=True, tag="input"):
    """Bytes for a process's standard input; answered with `InputTaken`."""

    process: Number
    data: bytes


class EndProcess(WireMessage, frozen=True, kw_only=True, tag="end"):
    """Close a process's input, and kill it if it does not exit within half a second."""

    process: Number


class Ask(WireMessage, frozen=True, kw_only=True, tag="ask"):
    """A question, answered with any number of `AskItem`, then `AskAnswer` or `AskFailed`."""

    ask: Number
    kind: Kind
    payload: Raw


class Tell(WireMessage, frozen=True, kw_only=True, tag="tell"):
    """A further message to who answers a question."""

    ask: Number
    payload: Raw


class CancelAsk(WireMessage, frozen=True, kw_only=True, tag="cancel"):
    """The runner no longer wants an answer."""

    ask: Number


AgentOrder: TypeAlias = StartProcess | ProcessInput | EndProcess | Ask | Tell | CancelAsk

# agent -> runner


class ProcessStarted(WireMessage, frozen=True, kw_only=True, tag="started"):
    """A process runs, with this id on its node."""

    process: Number
    pid: Annotated[int, Meta(ge=1, le=2**31)]


class InputTaken(WireMessage, frozen=True, kw_only=True, tag="taken"):
    """A process has read its input so far, or its pipe holds it."""

    process: Number


class ProcessLine(WireMessage, frozen=True, kw_only=True, tag="line"):
    """A line of a process's standard output that is JSON."""

    process: Number
    line: Raw


class ProcessGarbage(WireMessage, frozen=True, kw_only=True, tag="garbage"):
    """The beginning of a line that is no JSON."""

    process: Number
    line: Annotated[bytes, Meta(max_length=QUOTED_BYTES)]


class ProcessEnded(WireMessage, frozen=True, kw_only=True, tag="ended"):
    """A process has ended, or could not be started.

    Attributes:
        status: Exit status, negative for a signal; None if it never ran.
        error: Why it could not be started or was ended; empty if it ended by itself.
    """

    process: Number
    status: Annotated[int, Meta(ge=-255, le=255)] | None = None
    error: Reason = ""


class AskItem(WireMessage, frozen=True, kw_only=True, tag="item"):
    """One of a stream of answers."""

    ask: Number
    item: Raw


class AskAnswer(WireMessage, frozen=True, kw_only=True, tag="answer"):
    """The last answer."""

    ask: Number
    answer: Raw


class AskFailed(WireMessage, frozen=True, kw_only=True, tag="unanswered"):
    """There is no answer."""

    ask: Number
    reason: Reason


AgentReport: TypeAlias = (
    ProcessStarted
    | InputTaken
    | ProcessLine
    | ProcessGarbage
    | ProcessEnded
    | AskItem
    | AskAnswer
    | AskFailed
)

AGENT_ORDER: Final[MessageDecoder[AgentOrder]] = MessageDecoder(AgentOrder)
AGENT_REPORT: Final[MessageDecoder[AgentReport]] = MessageDecoder(AgentReport)
