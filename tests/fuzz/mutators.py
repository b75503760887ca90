"""Mutations of text, of bytes and of JSON: small changes after which an input is often still read."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator, Sequence
from random import Random
from typing import Any

CANARY = "zqx"
"""Part of each hostile text and of no other: what is made from the text must not have it in markup."""
HOSTILE = (
    "<zqx onzqx=1>", "</td></table><zqx>", '"><img src=zqx onerror=zqx>', "[zqx](http://zqx.example)",
    "![zqx](http://zqx.example/)", "<http://zqx.example>", "javascript:zqx", "`zqx` ``zqx``",
    "|zqx|\n|-|\n", "\n\n# zqx\n\n<zqx>", "--><zqx>", "]]><zqx>", "&lt;zqx&gt;", "=zqx()", "+zqx", "-zqx",
    "@zqx", "\t=zqx", "\r=zqx", "zqx\x00", "zqx\x1b[31m", "zqx\u202e", "zqx\\", "zqx\ud7ff\U0010ffff",
    "{{zqx}}", "{zqx}", "%szqx", "zqx"*400,
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 0.5, -0.0, 1e-9, 99.9, 100, 1e3, 65535, 2**31, 2**53, 2**63-1, 2**64, -(2**63), 1e15,
    1e18, 1e300, 5e-324,
)  # fmt: skip
_MAX_STEPS = 4


def mutate_bytes(data: bytes, random: Random, tokens: Sequence[bytes]) -> bytes:
    """Return the data after one to four changes of bytes, lines or tokens."""
    for _ in range(random.randint(1, _MAX_STEPS)):
        data = _byte_step(data, random, tokens)
    return data


def _byte_step(data: bytes, random: Random, tokens: Sequence[bytes]) -> bytes:
    begin, end = sorted(random.randint(0, len(data)) for _ in range(2))
    end = min(end, begin + random.choice((1, 4, 16, 64)))
    match random.randrange(7):
        case 0 | 1 as replaced:
            return data[:begin] + random.choice(tokens) + data[end if replaced else begin :]
        case 2:
            return data[:begin] + data[end:]
        case 3:
            return data[:end] + data[begin:end] * random.choice((1, 2, 50)) + data[end:]
        case 4:
            return data[:begin] + random.randbytes(1) + data[begin + 1 :]
        case 5:
            return data[:begin] + str(random.choice(NUMBERS)).encode() + data[end:]
    return _swap_lines(data, random)


def _swap_lines(data: bytes, random: Random) -> bytes:
    lines = data.splitlines(keepends=True)
    if lines:
        lines.insert(random.randrange(len(lines)), lines.pop(random.randrange(len(lines))))
    return b"".join(lines)


def mutate_json(data: bytes, random: Random) -> bytes:
    """Return a document with one to four of its values changed; bytes where it is no JSON."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        return mutate_bytes(
            data, random, [b"{", b"}", b"[", b"]", b'"', b",", b":", b"null", b"NaN", b"\\ud800"]
        )
    for _ in range(random.choice((1, 1, 1, 2, _MAX_STEPS))):
        value = _json_step(value, random)
    return json.dumps(value).encode()


def _json_step(value: Any, random: Random) -> Any:
    """Return the value with one part changed, mostly one that has no parts itself."""
    places = list(_places(value))
    leaves = [(holder, key) for holder, key in places if not isinstance(holder[key], dict | list)]
    if not leaves:
        return random.choice((None, [value], {"a": value}))
    holder, key = random.choice(places if random.random() < 0.15 else leaves)
    if random.random() < 0.1:
        _without_or_twice(holder, key, random)
    else:
        holder[key] = _replaced(holder[key], random)
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every part as the mapping or list it is in, and its key or index there."""
    inside = [value]
    while inside:
        holder = inside.pop()
        for key in (
            list(holder)
            if isinstance(holder, dict)
            else range(len(holder) if isinstance(holder, list) else 0)
        ):
            yield holder, key
            inside.append(holder[key])


def _without_or_twice(holder: Any, key: Any, random: Random) -> None:
    if isinstance(holder, list):
        holder[key : key + 1] = holder[key : key + 1] * random.choice((0, 2, 3))
        return
    item = holder.pop(key)
    if random.random() < 0.8:
        holder[random.choice((*HOSTILE, f"{key}{CANARY}"))] = item


def _replaced(value: Any, random: Random) -> Any:
    if isinstance(value, str) and value.startswith("HIST") and random.random() < 0.8:
        return _changed_histogram(value, random)
    same_kind = random.random() < 0.8
    if isinstance(value, bool) or (value is None and same_kind):
        return random.choice((True, False, None, 0, 1.5, "text", [], {}))
    if isinstance(value, int | float) and same_kind:
        return _number(value, random)
    if isinstance(value, str) and same_kind:
        return random.choice((random.choice(HOSTILE), value + random.choice(HOSTILE), ""))
    return random.choice((None, True, 0, -1, 1.5, "", "zqx", [], {}, [value], {"a": value}))


def _number(value: float, random: Random) -> float:
    number = random.choice((*NUMBERS, value + 1, value - 1, -value, value * 2, value / 3))
    if random.random() < 0.7:
        number = abs(number)
    return round(number) if isinstance(value, int) else float(number)


def _changed_histogram(text: str, random: Random) -> str:
    """Change an encoded histogram below its compression: its header or a bucket."""
    raw = base64.b64decode(text)
    plain = bytearray(zlib.decompress(raw[8:]))
    for _ in range(random.randint(1, 3)):
        plain[random.randrange(random.choice((40, len(plain))))] = random.choice((0, 1, 2, 127, 128, 255))
    packed = zlib.compress(bytes(plain) + random.choice((b"", b"\x02", b"\xff" * 9)))
    return base64.b64encode(raw[:4] + len(packed).to_bytes(4, "big") + packed).decode()
