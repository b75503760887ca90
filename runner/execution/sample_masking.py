"""Prepares what the service sent for files and the terminal: secrets masked, on one line, printable, short.

Secrets are masked in the text as it was received, before anything of it is replaced or cut off.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from runner.core.load_facts import MAX_SAMPLE, LoadFacts, LoadSecond, ResponseSample
from runner.core.masking import mask_secrets, without_escapes


def with_masked_samples(load: LoadFacts, secrets: Mapping[str, str]) -> LoadFacts:
    """Return the facts with samples and sentences that may be stored and shown.

    Args:
        load: What an engine returned.
        secrets: Name to value of what is masked.
    """
    return replace(
        load,
        seconds=tuple(_masked(second, secrets) for second in load.seconds),
        lost_workers=tuple(mask_secrets(sentence, secrets) for sentence in load.lost_workers),
        notes=tuple(mask_secrets(sentence, secrets) for sentence in load.notes),
    )


def _masked(second: LoadSecond, secrets: Mapping[str, str]) -> LoadSecond:
    parts = second.parts
    if any(part.samples for part in parts.values()):
        parts = {name: _masked(part, secrets) for name, part in parts.items()}
    elif not second.samples:
        return second
    samples = tuple(presentable(sample, secrets) for sample in second.samples)
    return replace(second, samples=samples, parts=parts)


def presentable(sample: ResponseSample, secrets: Mapping[str, str]) -> ResponseSample:
    """Return a sample whose texts may be stored and shown; see `with_masked_samples`."""
    headers = tuple((name, _printable(value, secrets)) for name, value in sample.headers)
    return replace(
        sample,
        headers=headers,
        body=_printable(sample.body, secrets),
        failed_checks=_printable(sample.failed_checks, secrets),
    )


def _printable(text: str, secrets: Mapping[str, str]) -> str:
    words = " ".join(without_escapes(mask_secrets(text, secrets)).split())[:MAX_SAMPLE]
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
