# SPDX-License-Identifier: BSD-3-Clause
"""Several processes that serve at one address, and the parent that looks after them.

The interpreter answers calls on about one processor. More processes use more: all listen at the same port
(``SO_REUSEPORT``), and the operating system gives each new connection to one of them. The parent answers no calls. It
starts the others, starts again one that ends or falls silent, passes on signals, and shows the figures of all.
"""

from __future__ import annotations

__all__ = ["ServingProcess", "run_processes"]

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import FrameType
from typing import Any, Generic, TypeVar

from .metrics import ServiceMetrics, scraped, served_metrics
from .process import ServiceSettings, configure_logs, one_line_errors, tracing_of
from .process_figures import ProcessFigures
from .shared_ports import held_addresses

_LOGGER = logging.getLogger(__name__)
Settings = TypeVar("Settings", bound=ServiceSettings)

_BEAT_SECONDS = 5.0
_SILENT_SECONDS = 60.0
"""Without a word for so long a process is ended: it hangs, as a whole."""
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 1.0, 30.0
_SOUND_SECONDS = 60.0
"""A process that served for so long is started again after the first pause, however often others ended before."""
_LOOK_SECONDS = 1.0
_SPARE_SECONDS = 10.0
"""How much longer than drain and grace together the end of a process may take."""
_LOOPBACK = "127.0.0.1"
_ADDRESSES = ("address", "machine_address", "health_address")


@dataclass(frozen=True, slots=True)
class ServingProcess:
    """What a process that serves knows of itself; by default it is the only one.

    Attributes
    ----------
    announce
        Is given a line for standard output as soon as the process answers.
    number
        Its number among all, from 0.
    tell_metrics
        Is given the port at which its figures are; `None` if they are for others than the parent.
    """

    announce: Callable[[str], None]
    number: int = 0
    tell_metrics: Callable[[int], None] | None = None

    @property
    def is_first(self) -> bool:
        """Whether it does what only one of all is to do."""
        return self.number == 0

    @contextmanager
    def figures(self, metrics: ServiceMetrics | None, settings: ServiceSettings) -> Iterator[None]:
        """Answer scrapes meanwhile: of everybody who may, or of the parent."""
        if metrics is None or settings.metrics_port is None:
            yield
        elif self.tell_metrics is None:
            with served_metrics(metrics.registry, settings.metrics_host, settings.metrics_port):
                yield
        else:
            with scraped(metrics.registry, _LOOPBACK, 0) as port:
                self.tell_metrics(port)
                yield


def run_processes(
    service: str,
    settings: Settings,
    serve: Callable[[Settings, ServingProcess], None],
    announce: Callable[[str], None],
) -> None:
    """Serve in as many processes as the settings say; with one, in this process.

    Parameters
    ----------
    service
        Its name in traces.
    serve
        A function of a module other than the program, since other processes import it. It returns after SIGTERM.

    Raises
    ------
    ConfigurationError
        Raised if an address cannot be bound.
    SystemExit
        Raised with code 1 if a process could not begin, or did not end in order.
    """
    if settings.processes == 1:
        with tracing_of(service):
            serve(settings, ServingProcess(announce))
        return
    addresses = {name: getattr(settings, name) for name in _ADDRESSES if getattr(settings, name)}
    with held_addresses(addresses) as held:
        _Parent(service, settings.model_copy(update=dict(held)), serve, announce).run()


@dataclass(slots=True)
class _Member:
    """A process that runs, as its parent sees it; times are of the monotonic clock."""

    number: int
    process: SpawnProcess
    pipe: Connection
    begun: float
    heard: float
    serves: bool = False


@dataclass(slots=True)
class _Parent(Generic[Settings]):
    service: str
    settings: Settings
    serve: Callable[[Settings, ServingProcess], None]
    announce: Callable[[str], None]
    members: dict[int, _Member] = field(default_factory=dict)
    # Of those that ended: how often without a sound life in between, and when each is started again.
    failures: Counter[int] = field(default_factory=Counter)
    due: dict[int, float] = field(default_factory=dict)
    lines: Counter[str] = field(default_factory=Counter)
    signals: list[int] = field(default_factory=list)
    stopping_until: float | None = None
    clean: bool = True
    figures: ProcessFigures = field(default_factory=ProcessFigures)

    def run(self) -> None:
        """Look after the processes until all have ended because this one was told to stop."""
        listening, waking = multiprocessing.Pipe(duplex=False)

        def note(number: int, _: FrameType | None) -> None:
            self.signals.append(number)
            waking.send_bytes(b"signal")

        port = self.settings.metrics_port
        registry = None if port is None else self.figures.registry
        previous = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            with served_metrics(registry, self.settings.metrics_host, port):
                # The others begin when it serves, so that what is wrong is said once.
                self.due = {0: time.monotonic()}
                while self.due or self.members:
                    self.step(listening)
        finally:
            for member in self.members.values():
                member.process.kill()
            for number, handler in previous.items():
                signal.signal(number, handler)
        if not self.clean:
            sys.exit(1)

    def step(self, waking: Connection) -> None:
        """Start what is due, wait a little for news, and see to them."""
        now = time.monotonic()
        for number in [number for number, when in self.due.items() if when <= now]:
            del self.due[number]
            self.start(number)
        sources: list[Any] = [waking]
        for member in self.members.values():
            sources += [member.pipe, member.process.sentinel]
        if waking in wait(sources, _LOOK_SECONDS):
            waking.recv_bytes()
        while self.signals:
            self.stop(self.signals.pop(0))
        for member in list(self.members.values()):
            self.hear(member)
            if member.process.exitcode is not None:
                self.bury(member)
            else:
                self.end_if_late(member)

    def start(self, number: int) -> None:
        """Start a process, in an interpreter of its own: threads and channels of gRPC do not survive a fork."""
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(
            target=_serve_as_member, args=(self.service, self.settings, self.serve, number, theirs)
        )
        process.start()
        theirs.close()
        now = time.monotonic()
        self.members[number] = _Member(number, process, ours, now, now)

    def hear(self, member: _Member) -> None:
        """Take what a process has said."""
        with suppress(EOFError, OSError):
            while member.pipe.poll():
                kind, what = member.pipe.recv()
                member.heard = time.monotonic()
                if kind == "metrics":
                    self.figures.ports[member.number] = what
                elif kind == "line":
                    self.take_line(member, what)

    def take_line(self, member: _Member, line: str) -> None:
        """Announce what all have said: then each connection finds somebody."""
        if not member.serves:
            member.serves = True
            _LOGGER.info("process %d serves, with pid %s", member.number, member.process.pid)
            if not self.lines and self.stopping_until is None:
                self.due |= dict.fromkeys(range(1, self.settings.processes), time.monotonic())
        self.lines[line] += 1
        if self.lines[line] == self.settings.processes:
            self.announce(line)

    def stop(self, number: int) -> None:
        """Pass on a signal, and start nothing any more; a second one hurries those that wait."""
        self.due.clear()
        if self.stopping_until is None:
            seconds = self.settings.drain_seconds + self.settings.grace_seconds + _SPARE_SECONDS
            self.stopping_until = time.monotonic() + seconds
        for member in self.members.values():
            if member.process.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(member.process.pid, number)

    def end_if_late(self, member: _Member) -> None:
        """End a process that is silent, or that does not stop."""
        now = time.monotonic()
        silent = now - member.heard > _SILENT_SECONDS
        if silent or (self.stopping_until is not None and now > self.stopping_until):
            why = "was silent for too long" if silent else "did not stop in time"
            _LOGGER.error("process %d %s, and is ended", member.number, why)
            member.heard = now
            member.process.kill()

    def bury(self, member: _Member) -> None:
        """Forget a process that has ended, and decide what that means."""
        number, code = member.number, member.process.exitcode
        del self.members[number]
        self.figures.ports.pop(number, None)
        member.pipe.close()
        if self.stopping_until is not None:
            self.clean &= code in (0, -signal.SIGTERM, -signal.SIGINT)
        elif not member.serves and not self.figures.restarts[number]:
            # It has said why, and nobody waits for an answer yet.
            self.clean = False
            self.stop(signal.SIGTERM)
        else:
            sound = member.serves and time.monotonic() - member.begun > _SOUND_SECONDS
            self.failures[number] = 0 if sound else self.failures[number] + 1
            pause = min(_FIRST_PAUSE_SECONDS * 2 ** max(self.failures[number] - 1, 0), _LONGEST_PAUSE_SECONDS)
            self.due[number] = time.monotonic() + pause
            self.figures.restarts[number] += 1
            _LOGGER.error("process %d ended with code %s; it is started again in %g s", number, code, pause)


def _serve_as_member(
    service: str,
    settings: Settings,
    serve: Callable[[Settings, ServingProcess], None],
    number: int,
    pipe: Connection,
) -> None:
    """Serve in a process of its own that tells its parent how it is."""
    # Ctrl-C in a terminal is for the parent, which passes it on once.
    os.setpgid(0, 0)
    configure_logs(settings.log_format)
    lock = threading.Lock()

    def tell(kind: str, what: object = None) -> None:
        with lock, suppress(OSError):
            pipe.send((kind, what))

    threading.Thread(target=_keep_in_touch, args=(tell,), name="beats", daemon=True).start()
    own = ServingProcess(lambda line: tell("line", line), number, lambda port: tell("metrics", port))
    with tracing_of(service):
        one_line_errors(serve)(settings, own)


def _keep_in_touch(tell: Callable[[str], None]) -> None:
    """Tell the parent that this process lives, and stop as if told to when the parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    while not wait([parent.sentinel], _BEAT_SECONDS):
        tell("beat")
    _LOGGER.error("the parent of this process is gone, so it stops")
    os.kill(os.getpid(), signal.SIGTERM)
