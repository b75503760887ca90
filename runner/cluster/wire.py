"""How messages between machines are written and read: one line of JSON each, with bounded members."""

from __future__ import annotations

from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct

from runner.cluster.authentication import NONCE_BYTES, SECRET_BYTES
from runner.cluster.facts import PORT_MAX
from runner.core.units import Seconds

Number: TypeAlias = Annotated[int, Meta(ge=0, lt=2**53)]
Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=128)]
Reason: TypeAlias = Annotated[str, Meta(max_length=2000)]
Port: TypeAlias = Annotated[int, Meta(ge=0, le=PORT_MAX)]
Period: TypeAlias = Annotated[Seconds, Meta(gt=0, le=1e8)]
Nonce: TypeAlias = Annotated[bytes, Meta(min_length=NONCE_BYTES, max_length=NONCE_BYTES)]
Proof: TypeAlias = Annotated[bytes, Meta(min_length=32, max_length=32)]
Secret: TypeAlias = Annotated[bytes, Meta(min_length=SECRET_BYTES, max_length=SECRET_BYTES)]


_Kind = TypeVar("_Kind")


class WireMessage(Struct, frozen=True, kw_only=True, tag_field="is", omit_defaults=True):
    """One line of JSON, whose member ``is`` tells which message it is."""


class MessageDecoder(Generic[_Kind]):
    """Reads messages of one kind.

    Args:
        kind: Their type, such as a union.
    """

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.json.Decoder[_Kind] = msgspec.json.Decoder(kind)

    def decode(self, line: bytes | Raw) -> _Kind:
        """Return the message in a line.

        Raises:
            msgspec.DecodeError: It is another one or none, or nested too deeply.
        """
        try:
            return self._decoder.decode(line)
        except RecursionError:
            raise msgspec.DecodeError("it is nested too deeply") from None


_ENCODER: Final = msgspec.json.Encoder()
_ANYTHING: Final[MessageDecoder[Raw]] = MessageDecoder(Raw)


def is_json(content: bytes) -> bool:
    """Return whether a message may carry this."""
    try:
        _ANYTHING.decode(content)
    except msgspec.DecodeError:
        return False
    return True


def encode(message: Struct) -> bytes:
    """Return a message as one line."""
    return _ENCODER.encode(message) + b"\n"


def raw(message: Struct) -> Raw:
    """Return a message as what another one carries."""
    return Raw(_ENCODER.encode(message))
