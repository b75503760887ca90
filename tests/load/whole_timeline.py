"""A timeline of one second that never ends, for tests that look at counts and not at when."""

from runner.load.timeline import Timeline

_NEVER_NS = 2**62


class WholeTimeline(Timeline):
    """Counts all in its current second, however long that takes on a busy machine."""

    __slots__ = ()

    def advance(self, now_ns: int) -> None:
        super().advance(now_ns)
        self.ends_ns = _NEVER_NS

    def _index(self, instant_ns: int) -> int:
        return 0
