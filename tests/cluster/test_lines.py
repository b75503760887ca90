"""Lines from outside are bounded, and a cancelled sender leaves no half line."""

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from runner.cluster.lines import HalfLine, LineReader, LineTooLong, LineWriter, Outbox


class Pieces(trio.abc.ReceiveStream):
    """A stream that arrives in given pieces."""

    def __init__(self, pieces):
        self._pieces = [piece for piece in pieces if piece]

    async def receive_some(self, max_bytes=None):
        await trio.lowlevel.checkpoint()
        return self._pieces.pop(0) if self._pieces else b""

    async def aclose(self):
        self._pieces = []


async def _lines(reader):
    lines = []
    while (line := await reader.line()) is not None:
        lines.append(line)
    return lines


@given(lines=st.lists(st.binary(max_size=9).filter(lambda line: b"\n" not in line)), cut=st.integers(1, 7))
def test_lines_do_not_depend_on_how_they_arrive(lines, cut):
    text = b"".join(line + b"\n" for line in lines)
    pieces = [text[begin : begin + cut] for begin in range(0, len(text), cut)]

    assert trio.run(_lines, LineReader(Pieces(pieces), 9)) == lines


@pytest.mark.parametrize("pieces", [[b"12345\n"], [b"123", b"456"], [b"1234\n12345\n"]])
async def test_a_line_may_not_be_longer_than_allowed(pieces):
    reader = LineReader(Pieces(pieces), 4)

    with pytest.raises(LineTooLong, match="a line of more than 4 bytes"):
        await _lines(reader)


async def test_an_end_in_the_middle_of_a_line_is_an_error():
    with pytest.raises(HalfLine):
        await _lines(LineReader(Pieces([b"12\n3"])))


async def test_a_cancelled_sender_of_an_outbox_leaves_lines_whole():
    ours, theirs = trio.testing.lockstep_stream_one_way_pair()
    outbox = Outbox(LineWriter(ours).send)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(outbox.run)
        with trio.move_on_after(0.01):
            await outbox.send(b"first\n")  # taken over: its sender may go
            await outbox.send(b"never\n")
        reader = LineReader(theirs)
        nursery.start_soon(outbox.send, b"second\n")
        assert [await reader.line(), await reader.line()] == [b"first", b"second"]
        nursery.cancel_scope.cancel()


async def test_an_outbox_whose_other_side_is_gone_takes_no_more():
    ours, theirs = trio.testing.memory_stream_one_way_pair()
    outbox = Outbox(LineWriter(ours).send)
    await theirs.aclose()

    with pytest.RaisesGroup(trio.BrokenResourceError):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(outbox.run)
            await outbox.send(b"first\n")
            await trio.sleep_forever()
    with pytest.raises(trio.BrokenResourceError):
        await outbox.send(b"second\n")
