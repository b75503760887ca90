"""HTTP responses: refused, or parsed the same in whatever pieces they arrive.

The first two bytes of an input say how it is read; the others are the response.
"""

from random import Random

from runner.load.response_parser import Response
from runner.load.tolerant_parser import ProtocolFault
from tests.fuzz.mutators import mutate_bytes
from tests.fuzz.target import Target
from tests.load.test_response_parser import WHOLE

NEEDLE = b"hello"
TOKENS = [
    b"HTTP/1.1 ", b"HTTP/1.0 ", b"HTTP/2 ", b"200", b"204", b"304", b"100 Continue", b"101", b"099",
    b"1000", b"\r\n", b"\n", b"\r", b"\r\n\r\n", b"\n\n", b"Content-Length: 5\r\n", b"Content-Length:",
    b"5, 5", b"-1", b"+5", b"0x5", b"99999999999999999999", b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip, chunked\r\n", b"identity", b"Connection: close\r\n",
    b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\n", b"hello", b"5\r\nhello\r\n", b"0\r\n\r\n",
    b"0;x=y\r\n", b"ffffffffffffffff\r\n", b"00000000000000000005", b';ext="a"', b" ", b"\t", b" \r\n ",
    b":", b"\x00", b"\xff", b"X: "+b"a"*9000+b"\r\n",
]  # fmt: skip


def seeds():
    return (bytes((way, 7)) + data for data, _, _ in WHOLE.values() for way in range(4))


def check(data: bytes) -> None:
    if len(data) < 2:
        return
    way, seed, response = data[0], data[1], data[2:]
    whole = parsed(way, [response])
    random = Random(seed)
    cuts = sorted(random.randint(0, len(response)) for _ in range(random.randint(1, 6)))
    some = [response[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(response)], strict=True)]
    assert parsed(way, some) == whole, f"another response in pieces: {some}"
    if len(response) <= 512:
        single = [bytes((byte,)) for byte in response]
        assert parsed(way, single) == whole, "another response byte by byte"


def parsed(way: int, pieces: list[bytes]) -> object:
    """Return what is known of a response after these pieces; `protocol` of data that are none."""
    response = Response(head_only=bool(way & 1), keep=bool(way & 2))
    try:
        for piece in filter(None, pieces):
            response.feed(memoryview(piece))
            if response.complete:
                break
    except ProtocolFault:
        return "protocol"
    finally:
        response.release()
    complete = response.complete
    ends = response.close()
    return (complete, ends, response.status, bytes(response.body) if ends else None)


def mutate(data: bytes, random: Random) -> bytes:
    way = bytes((random.randrange(4), random.randrange(256))) if random.random() < 0.3 else data[:2]
    return way + mutate_bytes(data[2:], random, TOKENS)


TARGET = Target(seeds, check, mutate, max_bytes=80 * 1024)
