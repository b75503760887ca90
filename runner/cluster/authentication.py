"""Hub and agent prove to each other that they know the run's secret, without sending it.

Each side chooses a nonce, and sends an HMAC over both nonces, the run, the node and its own role, so that no
proof can be sent back or used for another connection.
"""

from __future__ import annotations

import hmac
import secrets
from enum import StrEnum
from typing import Final

from runner.core.units import Bytes, Seconds

SECRET_BYTES: Final[Bytes] = 32
NONCE_BYTES: Final[Bytes] = 32
PROVE_WITHIN_S: Final[Seconds] = 2


class Side(StrEnum):
    """Who proves that it knows the secret."""

    HUB = "hub"
    AGENT = "agent"


def new_secret() -> bytes:
    """Return a secret for one run."""
    return secrets.token_bytes(SECRET_BYTES)


def new_nonce() -> bytes:
    """Return a nonce for one connection."""
    return secrets.token_bytes(NONCE_BYTES)


def proof(secret: bytes, side: Side, *, run_id: str, node: str, nonces: tuple[bytes, bytes]) -> bytes:
    """Return what one side sends to prove that it knows the secret.

    Args:
        secret: Of the run.
        side: Who sends it.
        run_id: Of the run.
        node: The agent's node.
        nonces: The hub's and the agent's.
    """
    fields = (side.encode(), run_id.encode(), node.encode(), *nonces)
    text = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return hmac.digest(secret, b"loadproof cluster 1" + text, "sha256")


def proves(given: bytes, expected: bytes) -> bool:
    """Return whether a proof is the expected one, in a time that does not depend on where they differ."""
    return hmac.compare_digest(given, expected)
