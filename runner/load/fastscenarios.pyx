# cython: language_level=3, cdivision=True, auto_pickle=False
"""The hot loops of `ScenarioExchange` for plain HTTP, compiled; it and `UserExchange` document what they do.

Optional, as `runner.load.fastpath`. What happens rarely (new connections, failures, responses that are not
of the simplest form) is left to the methods of `ScenarioExchange`, and so is where a URL or a redirect leads.
Where that may be a server with TLS, `ScenarioTlsExchange` treats its connections.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.errno cimport errno
from libc.string cimport memcpy

import os
from collections import deque
from heapq import heappop, heappush

from runner.load.cookies import CookieJar
from runner.load.origins import REDIRECTS, Place, target_of, with_more_cookies
from runner.load.scenario_exchange import ScenarioExchange
from runner.load.scenario_order import MAX_EXECUTED
from runner.load.scenario_part import CannotRender
from runner.load.scenario_program import End, Pause, Send
from runner.load.scenario_user import NO_SLOT
from runner.load.user_exchange import AT_ONCE as _AT_ONCE
from runner.load.users import NEVER_NS as _NEVER_NS
from runner.load.users import NO_USER
from runner.load.walk import CannotGoOn, Walk
from runner.core.load_facts import UNFINISHED

from runner.load.fastcounts cimport (
    CONTROL_WORDS, EPOLLIN, IDLE, MAX_AT_ONCE, SENT, WAITING, FastConnection, FastPart, Head, ancillary,
    epoll_event, is_usual, nanoseconds, now, parse_head, receive, send_on, timespec, wait_for_events,
)

cdef int AT_ONCE = _AT_ONCE
cdef long long MOST_STEPS = MAX_EXECUTED
cdef long long NEVER_NS = _NEVER_NS

cdef enum Kind:
    SENDS
    PAUSES
    JUMPS
    ENDS


@cython.final
cdef class FastStep:
    """A `runner.load.scenario_part.StepPart`, and what is counted of it.

    Attributes:
        place: Where its request goes; None if that depends on the user.
        readable: Acceptable status codes and those of redirects, if responses have a body.
        head_end: Where cookies are inserted into its request; -1 if that depends on the user.
    """

    cdef FastPart counts
    cdef object place, name, readable
    cdef bint has_url, own_cookies, keeps_body
    cdef int follow
    cdef ssize_t head_end

    def __init__(self, part, place):
        step = part.step
        self.counts, self.place, self.name = FastPart(part), place, step.name
        self.readable = frozenset() if part.head_only else part.accepted | REDIRECTS if step.follow else part.accepted
        self.keeps_body = part.keeps_body
        self.has_url, self.own_cookies, self.follow = bool(step.url), step.own_cookies, step.follow
        self.head_end = part.content.index(b"\r\n\r\n") + 2 if part.render is None else -1


@cython.final
cdef class FastOperation:
    """An operation of `runner.load.scenario_program`.

    Attributes:
        step: Of which the request is sent.
        length_ns: How long every user waits; -1 if that depends on the user.
    """

    cdef object operation
    cdef Kind kind
    cdef FastStep step
    cdef long long length_ns

    def __init__(self, operation, steps):
        self.operation, self.length_ns = operation, -1
        if type(operation) is Send:
            self.kind, self.step = SENDS, steps[operation.step.request]
        elif type(operation) is Pause:
            self.kind = PAUSES
            if operation.step.low_ns == operation.step.high_ns:
                self.length_ns = operation.step.low_ns
        else:
            self.kind = ENDS if type(operation) is End else JUMPS


@cython.final
@cython.freelist(256)
cdef class FastUser:
    """`runner.load.scenario_user.ScenarioUser` with its numbers as C variables.

    Attributes:
        program: The same as `operations`.
        cookies: What the cookie jar knew when `cookie_line` was made, for the server `cookie_origin`.
    """

    cdef public object key, number, values, loops, operations, jar, connection, part, place, redirect
    cdef public object failure, reason
    cdef public dict connections
    cdef public bytes content
    cdef public long long due, ready, done, executed, steps
    cdef public int at, scenario, slot, hops, status
    cdef public bint measured, responded, cut_off
    cdef list program
    cdef object cookies, cookie_origin
    cdef bytes cookie_line

    def __init__(self, key, number, int scenario, operations, place, long long due, *, bint measured, int slot):
        self.at = self.executed = self.steps = 0
        self.number = number
        self.values, self.loops = {}, []
        self.key, self.scenario, self.operations, self.slot = key, scenario, operations, slot
        self.jar = CookieJar()
        self.connections = {}
        self.connection = self.part = self.redirect = None
        self.measured = measured
        self.due = self.ready = self.done = due
        self.content = b""
        self.place = place
        self.hops = self.status = 0
        self.failure = self.reason = ""
        self.responded = self.cut_off = False
        self.cookies = self.cookie_origin = None
        self.cookie_line = b""

    @property
    def position(self):
        """See `Walk.position`."""
        return (self.number << 20) + (self.executed & 0xFFFFF)

    cdef inline int count_step(self) except -1:
        if self.steps >= MOST_STEPS:
            Walk.count_step(self)
        self.steps += 1
        return 0


@cython.final
cdef class State:
    """What the hot loops need of a `ScenarioExchange`, as C variables.

    Attributes:
        begun: Users who are in flight since the exchange was told.
        mixed: Whether some connections may have TLS.
    """

    cdef object timeline, second, slots, over, pool, home, choices
    cdef list steps, programs, operations, pauses, under_way, backlogs
    cdef dict by_key, connections
    cdef bytearray space
    cdef bint paced, per_user, mixed
    cdef int epoll_fd
    cdef long long longest, begins, ends, measure, end, first, begun

    def __init__(self, exchange, *, bint mixed):
        self.timeline, self.slots, self.mixed = exchange._timeline, exchange.slots, mixed
        self.paced, self.per_user = self.slots is None, exchange._per_user
        self.steps = [FastStep(part, place) for part, place in zip(exchange.parts, exchange._places)]
        self.operations = exchange._programs
        self.programs = [[FastOperation(one, self.steps) for one in program] for program in exchange._programs]
        self.over, self.pool, self.pauses = exchange._over, exchange._pool, exchange._pauses
        self.under_way, self.backlogs, self.by_key = exchange._under_way, exchange._backlogs, exchange._by_key
        self.home, self.choices, self.first = exchange._home, exchange._choices, exchange._first
        self.connections, self.space = exchange._connections, exchange._buffer
        self.epoll_fd, self.longest = exchange.epoll.fileno(), exchange._timeout_ns

    cdef begin(self):
        """Follow the timeline."""
        timeline = self.timeline
        second = timeline.current
        if second is not self.second:
            self.hand_over()
            self.second = second
            for step, tally in zip(self.steps, second.parts):
                (<FastStep>step).counts.bind(tally)
        self.begins, self.ends = timeline.begins_ns, timeline.ends_ns
        self.measure, self.end = timeline.measure_ns, timeline.end_ns

    cdef hand_over(self):
        cdef FastStep step
        for step in self.steps:
            step.counts.hand_over()

    cdef inline int tell(self, exchange) except -1:
        """Tell the exchange how many users are in flight."""
        if self.begun:
            exchange.in_flight += self.begun
            self.begun = 0
        return 0


class FastScenarioExchange(ScenarioExchange):
    """`ScenarioExchange` over plain TCP with less CPU.

    Args:
        order: As for `ScenarioExchange`.
        timeline: Likewise.
        more: Of an exchange that also has connections with TLS.
    """

    leaves_unfolded = False

    def __init__(self, order, timeline, *more):
        super().__init__(order, timeline, *more)
        self._state = State(self, mixed=bool(more))

    def hand_over(self):
        """See `Exchange.hand_over`."""
        (<State>self._state).hand_over()

    def send_due(self, long long due, int count, bint measured):
        """See `UserExchange.send_due`."""
        cdef State state = self._state
        state.begin()
        for _ in range(count):
            key = self._take_key()
            start(self, state, key, state.choices[key], due, measured, NO_SLOT)
        go_on(self, state)

    def follow(self, long long instant):
        """See `UserExchange.follow`."""
        cdef State state = self._state
        cdef list pauses = state.pauses, ended = []
        cdef FastUser user
        cdef long long next_pause
        state.begin()
        if not state.paced:
            again, self._free_slots = self._free_slots, deque()
            self.begin_slots([*again, *state.slots.follow(instant)])
        while pauses and (<long long>(<tuple>pauses[0])[0]) <= instant - state.measure:
            ended.append(heappop(pauses))
        for pause_end, key in ended:
            user = state.by_key[key]
            user.ready = user.done = <long long>pause_end + state.measure
            advance(self, state, user)
        go_on(self, state)
        if self._free_slots and instant < state.end:
            return instant
        next_pause = <long long>(<tuple>pauses[0])[0] + state.measure if pauses else NEVER_NS
        return next_pause if state.paced else min(next_pause, <long long>state.slots.next_change_ns)

    def poll(self, double patience):
        """See `ScenarioExchange.poll`."""
        cdef State state = self._state
        cdef epoll_event ready[MAX_AT_ONCE]
        cdef int events = wait_for_events(state.epoll_fd, ready, patience)
        if events > 0:
            state.begin()
            read_all(self, state, ready, events)
            if self._resends or self._returning:
                self._reconnect()
            go_on(self, state)

    def _start(self, key, int scenario, long long due, bint measured, int slot):
        cdef State state = self._state
        state.begin()
        start(self, state, key, scenario, due, measured, slot)
        state.tell(self)

    def _advance(self, FastUser user):
        cdef State state = self._state
        state.begin()
        advance(self, state, user)
        state.tell(self)

    def _go_on(self):
        cdef State state = self._state
        state.begin()
        go_on(self, state)

    def _dispatch(self, FastUser user, part, bytes content):
        cdef State state = self._state
        dispatch(self, state, user, state.steps[part.index], content, -1)

    def _end(self, FastUser user, failure):
        cdef State state = self._state
        state.begin()
        end(self, state, user, failure)
        state.tell(self)

    def _new_connection(self, sock, part, content, due, started, *, measured, user):
        return self._new_plain_connection(sock, part, content, due, started, measured=measured, user=user)

    def _new_plain_connection(self, sock, part, content, due, started, *, measured, user):
        counts = (<FastStep>(<State>self._state).steps[part.index]).counts
        connection = FastConnection(sock, counts, content, due, started, measured=measured, user=user)
        self._by_key[user].connection = connection
        return connection


cdef int read_all(exchange, State state, epoll_event *ready, int events) except -1:
    """Read from all readable connections; see `Exchange.poll`."""
    cdef char *data = state.space
    cdef ssize_t size = len(state.space), count
    cdef long long stamp, first = 0
    cdef int completed = 0, number, index
    cdef size_t control[CONTROL_WORDS]
    cdef const timespec *stamped
    cdef FastConnection connection
    cdef FastPart part
    for index in range(events):
        known = state.connections.get(ready[index].data.fd)
        if type(known) is not FastConnection:
            if known is not None:
                exchange._handle(known, ready[index].events)
            continue
        connection = <FastConnection>known
        part = connection.counts
        if connection.state != SENT or ready[index].events != EPOLLIN:
            exchange._handle(connection, ready[index].events)
            part.follow_heads()
            continue
        count = receive(connection.fd, data, size, control, &stamped)
        if count < 0:
            number = errno
            exchange._read_failed(connection, OSError(number, os.strerror(number)))
            continue
        if stamped != NULL:
            stamp = nanoseconds(stamped)
            if state.begins <= stamp < state.ends and 0 <= stamp - connection.started <= state.longest:
                if is_usual(part, data, count) or is_read(exchange, state, connection, part, data, count, stamp):
                    if connection.state == SENT:
                        first = first or stamp
                        completed += 1
                        count_usual(state, connection, part, stamp)
                    continue
        connection.state = WAITING
        exchange._received(connection, count, ancillary(stamped), ready[index].events)
        part.follow_heads()
    if completed:
        state.begun -= completed
        exchange.freed_ns = first
    return 0


cdef int is_read(
    exchange, State state, FastConnection connection, FastPart part, const char *data, ssize_t count, long long stamp
) except -1:
    """Return whether a response is of the simplest form; if so, read what its step takes from it.

    One that turns out to be a failure is counted, and its connection is no longer `SENT`.
    """
    cdef Head head
    cdef FastStep step
    cdef bytes opening
    if not parse_head(data, count, &head):
        return False
    if not head.sets_cookie and head.status in part.accepted:
        return True
    step = state.steps[part.index]
    if head.status not in step.readable:
        return False
    opening = data[: head.size]
    failure = exchange._failure(connection, head.status, opening, data[head.size : count] if step.keeps_body else b"")
    if failure:
        part.part.heads.show(opening, count, head.status)
        connection.state = WAITING
        exchange._complete(connection, head.status, stamp, stamp, failure, True, EPOLLIN)
    return True


cdef inline int count_usual(State state, FastConnection connection, FastPart part, long long stamp) except -1:
    """See `ScenarioExchange._count_usual`; the connection is left to its user."""
    cdef FastUser user = state.by_key[connection.user]
    part.completed += 1
    if connection.measured:
        part.succeeded += 1
        part.durations.add(stamp - connection.started)
        if state.paced:
            part.response_times.add(stamp - connection.due)
    connection.state = IDLE
    user.connections[user.place[0]] = connection
    user.done, user.connection = stamp, None
    state.over.append(user)
    return 0


cdef int start(exchange, State state, key, int scenario, long long due, bint measured, int slot) except -1:
    """See `UserExchange._start`."""
    cdef FastUser user = FastUser(
        key, state.first + key, scenario, state.operations[scenario], state.home, due, measured=measured, slot=slot
    )
    user.program = state.programs[scenario]
    state.begun += 1
    state.under_way[scenario] += 1
    state.by_key[key] = user
    if measured:
        tally = state.second.scenarios[scenario]
        tally.scheduled += 1
        tally.sent += 1
        if state.paced:
            tally.dispatch_delay.add(now() - due)
    return advance(exchange, state, user)


cdef int advance(exchange, State state, FastUser user) except -1:
    """See `UserExchange._advance`."""
    try:
        return execute(exchange, state, user)
    except CannotGoOn as stop:
        exchange._stop(user, stop.failure, str(stop))
    return 0


cdef int execute(exchange, State state, FastUser user) except -1:
    """See `UserExchange._execute`."""
    cdef FastOperation operation
    cdef long long length_ns
    for _ in range(AT_ONCE):
        operation = <FastOperation>user.program[user.at]
        user.executed += 1
        if operation.kind == SENDS:
            user.count_step()
            user.at += 1
            return send_step(exchange, state, user, operation.step, operation.operation)
        if operation.kind == PAUSES:
            user.count_step()
            user.at += 1
            length_ns = operation.length_ns
            if length_ns < 0:
                length_ns = operation.operation.length_ns(user)
            heappush(state.pauses, (user.ready + length_ns - state.measure, user.key))
            return 0
        if operation.kind == ENDS:
            return end(exchange, state, user, "")
        user.at = operation.operation.follow(user)
    Walk.check_operations(user)
    heappush(state.pauses, (user.ready - state.measure, user.key))
    return 0


cdef int send_step(exchange, State state, FastUser user, FastStep step, operation) except -1:
    """See `ScenarioExchange._send_step`."""
    cdef FastPart counts = step.counts
    cdef bytes content = counts.content
    if step.has_url:
        exchange._send_step(user, operation)
        return 0
    user.part, user.hops = counts.part, step.follow
    if counts.render is not None:
        try:
            content = counts.render(user)
        except CannotRender as error:
            exchange._not_sent(user, counts.part, "extract_failed", f"{error} for the request {step.name}")
            return 0
    user.place = step.place if step.place is not None else Place(state.home[0], target_of(content))
    user.content = content
    return dispatch(exchange, state, user, step, content, step.head_end)


cdef int dispatch(exchange, State state, FastUser user, FastStep step, bytes content, ssize_t head_end) except -1:
    """See `ScenarioExchange._dispatch`; `head_end` is where the head ends, -1 if that is not known."""
    cdef FastPart counts = step.counts
    cdef FastConnection connection
    cdef long long started
    origin = user.place[0]
    if state.mixed and origin.secure:
        ScenarioExchange._dispatch(exchange, user, counts.part, content)
        return 0
    if user.jar.cookies:
        content = with_cookies(user, step, origin, content, head_end)
    started = now()
    user.failure = user.reason = ""
    user.responded = False
    if user.measured:
        counts.scheduled += 1
        counts.sent += 1
        if state.paced:
            counts.delays.add(started - user.ready)
    connection = user.connections.pop(origin, None)
    if connection is None:
        connection = exchange._from_pool(origin)
    if connection is None or connection.state != IDLE:
        exchange._connect(counts.part, content, user.ready, started, user.measured, user.key)
        return 0
    user.connection = connection
    connection.user = user.key
    connection.due, connection.started, connection.measured = user.ready, started, user.measured
    send_on(exchange, connection, counts, content)
    if exchange._resends:
        exchange._resend()
    return 0


cdef bytes with_cookies(FastUser user, FastStep step, origin, bytes content, ssize_t head_end):
    """Return a request with the cookies of its user."""
    jar = user.jar
    if step.own_cookies:
        header = jar.header(origin.host, user.place.path, secure=origin.secure, now_ns=now())
        return with_more_cookies(content, header)
    if not (jar.is_plain and user.cookies is jar.sent_last and user.cookie_origin is origin):
        header = jar.header(origin.host, user.place.path, secure=origin.secure, now_ns=now())
        user.cookie_line = b"Cookie: %b\r\n" % header.encode("latin-1") if header else b""
        user.cookies, user.cookie_origin = jar.sent_last, origin
    return inserted(content, user.cookie_line, head_end) if user.cookie_line else content


cdef bytes inserted(bytes content, bytes line, ssize_t head_end):
    """Return a request with another line at the end of its head."""
    cdef const char *data = content
    cdef ssize_t size = len(content), length = len(line)
    cdef char *target
    if head_end < 0:
        head_end = content.index(b"\r\n\r\n") + 2
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, size + length)
    target = PyBytes_AS_STRING(whole)
    memcpy(target, data, head_end)
    memcpy(target + head_end, <const char *>line, length)
    memcpy(target + head_end + length, data + head_end, size - head_end)
    return whole


cdef int go_on(exchange, State state) except -1:
    """See `UserExchange._go_on`."""
    cdef FastUser user
    over = state.over
    while over:
        user = over.popleft()
        state.begun += 1
        if user.cut_off or user.failure:
            end(exchange, state, user, UNFINISHED if user.cut_off else user.failure)
        elif user.redirect is not None:
            exchange._follow_redirect(user, user.redirect)
        else:
            user.ready = user.done
            advance(exchange, state, user)
    return state.tell(exchange)


cdef int end(exchange, State state, FastUser user, failure) except -1:
    """See `UserExchange._end`."""
    cdef long long done = user.done, duration = done - user.due, after = user.due - state.measure
    state.begun -= 1
    state.under_way[user.scenario] -= 1
    del state.by_key[user.key]
    second = state.second if state.begins <= done < state.ends else state.timeline.at(done)
    tally = second.scenarios[user.scenario]
    if not failure:
        tally.completed += 1
        if user.measured:
            tally.succeeded += 1
            tally.response_time.add(duration)
            state.backlogs[user.scenario].succeeded(after, duration, done - state.end)
    elif user.measured:
        tally.failures[failure] += 1
        state.backlogs[user.scenario].ended(after, duration)
    for origin, connection in user.connections.items():
        if state.per_user:
            exchange._close(connection)
        elif connection.state == IDLE:
            connection.user = NO_USER
            state.pool[origin].append(connection)
    if not state.paced:
        exchange._free_slot(state.slots, user)
    return 0
