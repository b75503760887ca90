"""Prepares what the service sent for files and the terminal: secrets masked, on one line, printable, short.

Secrets are masked in the text as it was received, before anything of it is replaced or cut off.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec.structs import replace

from runner.core.facts import LoadFacts, LoadSecond, ResponseSample
from runner.stack.secrets import mask_secrets

_SHOWN_CHARACTERS: Final = 200


def with_masked_samples(load: LoadFacts, secrets: Mapping[str, str]) -> LoadFacts:
    """Return the facts with samples that may be stored and shown.

    Args:
        load: What an engine returned.
        secrets: Name to value of what is masked.
    """
    return replace(load, seconds=tuple(_masked(second, secrets) for second in load.seconds))


def _masked(second: LoadSecond, secrets: Mapping[str, str]) -> LoadSecond:
    if not second.samples:
        return second
    return replace(second, samples=tuple(_presentable(sample, secrets) for sample in second.samples))


def _presentable(sample: ResponseSample, secrets: Mapping[str, str]) -> ResponseSample:
    headers = tuple((name, _printable(value, secrets)) for name, value in sample.headers)
    return replace(sample, headers=headers, body=_printable(sample.body, secrets))


def _printable(text: str, secrets: Mapping[str, str]) -> str:
    words = " ".join(mask_secrets(text, secrets).split())[:_SHOWN_CHARACTERS]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
