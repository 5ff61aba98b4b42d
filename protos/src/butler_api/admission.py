# SPDX-License-Identifier: BSD-3-Clause
"""Who may have how much of a service at the same time, and how long the service waits for anybody.

Threads are what a service can run out of. So nobody holds more than a share of those of any kind, whatever they send,
and who sends nothing, or takes nothing, loses the thread after a time.
"""

from __future__ import annotations

__all__ = ["Admission", "Lane", "Places", "StallWatch"]

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NamedTuple, Protocol, TypeVar

import grpc

from butler_model.errors import InvalidRequestError, OverloadedError
from butler_model.repository import Limits

from .caller import arriving
from .rates import CallerRates

_Message = TypeVar("_Message")

MESSAGE_SECONDS = 20.0
"""How long a call may take to bring its request."""
UPLOAD_SECONDS = 120.0
"""How long an upload may pause."""
TAKE_SECONDS = 600.0
"""How long a client may take to accept a message of a stream; it may work on what it got meanwhile."""
_RECEIVERS_PER_WORKER = 8
_PRESSED_SECONDS = 2.0
_LOOK_SECONDS = 0.5
_LIMITS = Limits()


class Places:
    """A number of places, of which nobody has more than a share. Safe to use from many threads.

    Parameters
    ----------
    what
        What the places are for, for messages.
    room
        Number of places.
    share
        Most that one caller has.
    """

    def __init__(self, what: str, room: int, share: int) -> None:
        self._what = what
        self._free = room
        self._share = max(1, share)
        self._held: Counter[str] = Counter()
        self._queue: deque[tuple[str, threading.Event]] = deque()
        self._lock = threading.Lock()

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a place."""
        return len(self._queue)

    @contextmanager
    def held(self, key: str, seconds: float | None = 0.0) -> Iterator[None]:
        """Hold a place.

        Parameters
        ----------
        key
            Whose place it is.
        seconds
            How long to wait for one; `None` for as long as it takes.

        Raises
        ------
        OverloadedError
            Raised if there is none in that time.
        """
        self._take(key, seconds)
        try:
            yield
        finally:
            self._give(key)

    def _take(self, key: str, seconds: float | None) -> None:
        with self._lock:
            if self._is_free_for(key):
                self._grant(key)
                return
            at_share = self._held[key] >= self._share
            turn = threading.Event()
            if seconds != 0:
                self._queue.append((key, turn))
        if seconds != 0 and turn.wait(seconds):
            return
        with self._lock:
            if turn.is_set():
                return
            if seconds != 0:
                self._queue.remove((key, turn))
        reason = f"you have {self._share} already, the most for one caller" if at_share else "all are taken"
        raise OverloadedError(
            f"There is no place for another call of this kind ({self._what}): {reason}; try again in a second."
        )

    def _give(self, key: str) -> None:
        with self._lock:
            self._free += 1
            self._held[key] -= 1
            if not self._held[key]:
                del self._held[key]
            # A place that is given back makes room for one at most.
            for number, (waiting_key, turn) in enumerate(self._queue):
                if self._is_free_for(waiting_key):
                    del self._queue[number]
                    self._grant(waiting_key)
                    turn.set()
                    return

    def _is_free_for(self, key: str) -> bool:
        return self._free > 0 and self._held.get(key, 0) < self._share

    def _grant(self, key: str) -> None:
        self._free -= 1
        self._held[key] += 1


class Lane(ThreadPoolExecutor):
    """Threads for calls of one kind, of which nobody holds more than a share.

    Parameters
    ----------
    share
        Most threads that one caller holds; the others answer those that are refused.

    Attributes
    ----------
    places
        Who holds them.
    waiting
        Number of calls that wait for a thread.
    """

    def __init__(self, name: str, threads: int, share: int) -> None:
        super().__init__(threads, thread_name_prefix=name)
        self.places = Places(name, threads, share)
        self.waiting = 0
        self._count_lock = threading.Lock()

    def submit(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a call in a thread."""
        self._count(1)
        return super().submit(self._run, call, *args, **kwargs)

    def _run(self, call: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        self._count(-1)
        return call(*args, **kwargs)

    def _count(self, change: int) -> None:
        with self._count_lock:
            self.waiting += change


class _Cancellable(Protocol):
    def cancel(self) -> Any: ...


class _Waiting(NamedTuple):
    """A call in which something has to come or go."""

    begun: float
    seconds: float
    context: _Cancellable
    lane: Lane | None

    def is_over(self, now: float) -> bool:
        pressed = self.lane is not None and self.lane.waiting > 0
        return now - self.begun > (min(self.seconds, _PRESSED_SECONDS) if pressed else self.seconds)


class StallWatch:
    """Cancels calls in which nothing comes or goes for too long."""

    def __init__(self) -> None:
        self._waiting: dict[object, _Waiting] = {}
        self._stopped = threading.Event()
        self._start_lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def begin(self, context: _Cancellable, seconds: float, lane: Lane | None = None) -> object:
        """Return what ends the watch of a call that is cancelled otherwise.

        Parameters
        ----------
        seconds
            When it is cancelled.
        lane
            Whose thread waits for it; two seconds have to do once others wait for such a thread.
        """
        if self._thread is None:
            self._start()
        token = object()
        self._waiting[token] = _Waiting(time.monotonic(), seconds, context, lane)
        return token

    def end(self, token: object) -> None:
        """Watch no longer."""
        self._waiting.pop(token, None)

    def each(
        self, messages: Iterator[_Message], context: _Cancellable, lane: Lane, *, pause_seconds: float
    ) -> Iterator[_Message]:
        """Yield messages, of which the first has to come soon, and the next ones in time."""
        urgent: Lane | None = lane
        seconds = MESSAGE_SECONDS
        while True:
            token = self.begin(context, seconds, urgent)
            try:
                message = next(messages, None)
            finally:
                self.end(token)
            if message is None:
                return
            yield message
            seconds, urgent = pause_seconds, None

    def stop(self) -> None:
        """Watch nothing any more."""
        self._stopped.set()

    def _start(self) -> None:
        with self._start_lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._look, name="stall-watch", daemon=True)
                self._thread.start()

    def _look(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            now = time.monotonic()
            for token, waiting in tuple(self._waiting.items()):
                if waiting.is_over(now) and self._waiting.pop(token, None) is not None:
                    waiting.context.cancel()


class Admission:
    """What a server lets in, in all and of each caller.

    Parameters
    ----------
    workers
        Number of calls that are answered at the same time. Eight times as many are received, so that who sends
        slowly keeps no worker.
    max_waiting
        Calls that may wait; further ones are refused.
    identify
        Given a method and a context, says whose call it is; `AuthenticationError`. If `None`, each connection is
        somebody.
    limits
        How many calls one caller may have worked on at once, and how much it may ask for in a second.

    Attributes
    ----------
    lane
        Where calls are received.
    rates
        What each caller asks for.
    """

    def __init__(
        self,
        workers: int,
        max_waiting: int,
        identify: Callable[[str, grpc.ServicerContext], str] | None,
        limits: Limits = _LIMITS,
    ) -> None:
        threads = workers * _RECEIVERS_PER_WORKER
        self.lane = Lane("calls", threads, threads * 3 // 4)
        self.watch = StallWatch()
        self.rates = CallerRates(limits.calls_per_second, limits.bytes_per_second)
        self._work = Places("work", workers, min(limits.caller_calls, workers * 3 // 4))
        self._counts = self.rates.are_limited
        self._max_waiting = max_waiting
        self._identify = identify

    @property
    def is_overloaded(self) -> bool:
        """Whether a call would have to wait for too long."""
        return self.waiting >= self._max_waiting

    @property
    def waiting(self) -> int:
        """Number of calls that wait for a thread to receive them, or to be worked on."""
        return self.lane.waiting + self._work.waiting

    def key_of(self, method: str, context: grpc.ServicerContext) -> str:
        """Return under what a call is counted, before anything of it is read.

        Raises
        ------
        AuthenticationError
            Raised if nobody knows from whom it is.
        RateLimitedError
            Raised if it comes too early.
        """
        peer = context.peer()
        arriving(peer)
        key = peer if self._identify is None else self._identify(method, context)
        if self._counts:
            self.rates.begin(key)
        return key

    def counted(self, key: str, message: bytes) -> bytes:
        """Count the request or the response of a call, and return it."""
        if self._counts:
            self.rates.moved(key, len(message))
        return message

    def paced(self, key: str, messages: Iterator[bytes], *, are_calls: bool = False) -> Iterator[bytes]:
        """Yield the messages of a stream no faster than the caller may send or have them."""
        if not self._counts:
            yield from messages
            return
        for message in messages:
            self.rates.pace(key, len(message), calls=int(are_calls))
            yield message

    def working(self, lane: Lane, key: str) -> AbstractContextManager[None]:
        """Hold a worker, once one is free, for a call that was received; those of other lanes need none."""
        return self._work.held(key, None) if lane is self.lane else nullcontext()

    def only_message(
        self, messages: Iterator[_Message], context: _Cancellable, lane: Lane, method: str
    ) -> _Message:
        """Return the one request of a call without a stream of them."""
        token = self.watch.begin(context, MESSAGE_SECONDS, lane)
        try:
            message = next(messages, None)
        finally:
            self.watch.end(token)
        if message is None:
            raise InvalidRequestError(f"A call of {method} brings one request; none came.", method=method)
        return message

    def taken(self, responses: Iterator[_Message], context: _Cancellable) -> Iterator[_Message]:
        """Yield responses, each of which the client has to take in time."""
        for response in responses:
            token = self.watch.begin(context, TAKE_SECONDS)
            try:
                yield response
            finally:
                self.watch.end(token)
