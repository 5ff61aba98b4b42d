# SPDX-License-Identifier: BSD-3-Clause
"""Random requests to every method of a service: such as might be meant, and such as are no messages at all.

Whole messages are made once and then damaged, spliced and sent again in ever new ways: to make one takes longer than a
service takes to refuse it.
"""

from __future__ import annotations

__all__ = ["Findings", "Fuzzer"]

import random
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

TEXTS: Sequence[str] = (
    *("", "main", "run1", "run2", "note", "calexp", "blob", "Cam1", "Cam1-R1", "r", "chain", "tagged"),
    *("instrument", "detector", "visit", "exposure", "skymap", "tract", "StructuredDataDict", "Bytes"),
    *("*", "**", "run*", "u/**", "[a-", "a,b", "../../etc/passwd", "/etc/passwd", "file:///etc/passwd"),
    *("a\0b", "a\nb", "\u202e", "é" * 300, "x" * 70_000, "'; DROP TABLE dataset; --", "{}", "%s", "$1", "-1"),
    *("detector > 1", "visit IN (1..1000000000:2)", "(" * 3_000, "NOT " * 3_000 + "TRUE", "a = b = c"),
    *("instrument = 'Cam1' AND detector IN (1, 2)", "visit.region OVERLAPS POINT(nan, 91)", "1 / 0 = 1"),
    *('{"version": 1}', '{"default": true}', "[" * 5_000, '{"a":' * 2_000, "null", "1e999", "9" * 5_000),
    *("T'2020-01-01'", "(T'2020-01-01', T'2019-01-01')", "GLOB(run, '*')", ":bind", "detector.nothing"),
)
NUMBERS: Sequence[int] = (
    0,
    1,
    2,
    3,
    7,
    100,
    -1,
    255,
    2**16,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63 - 1,
    -(2**63),
)
FRACTIONS: Sequence[float] = (0.0, -0.0, 1.5, float("nan"), float("inf"), -float("inf"), 1e308, 5e-324)
_MOST_VALUES = 4
_DEPTH = 5
_THREADS = 8
_CHANNELS = 4
_SECONDS = 60.0
_ENDLESS_SECONDS = 0.2
_FRESH = 0.1
_DAMAGED = 0.85
_MOST_KEPT = 400
_ENDLESS = ("WatchDatasets", "Transact")
_FAULTS = (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL, grpc.StatusCode.DATA_LOSS)


@dataclass(slots=True)
class Findings:
    """What became of the requests.

    Attributes
    ----------
    codes
        How many ended with which status.
    faults
        Method, status and request of those that a service did not foresee.
    """

    codes: Counter[str] = field(default_factory=Counter)
    faults: list[tuple[str, str, str]] = field(default_factory=list)


class Fuzzer:
    """Makes requests, and sends them.

    Parameters
    ----------
    known
        Bytes that mean something to the service: grants, ids.
    """

    def __init__(self, methods: Sequence[MethodDescriptor], known: Sequence[bytes], seed: int) -> None:
        self._methods = methods
        self._known = [*known, b"", bytes(16), b"\xff" * 16, uuid.UUID(int=seed).bytes * 2, b"x" * 1000]
        self._seed = seed
        self._made: dict[str, list[bytes]] = {}

    def run(self, address: str, number: int, progress: Callable[[int], None] = lambda _: None) -> Findings:
        """Send a number of requests."""
        findings, lock = Findings(), threading.Lock()
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
        channels = [grpc.insecure_channel(address, options) for _ in range(_CHANNELS)]

        def work(thread: int) -> None:
            random_ = random.Random(f"{self._seed}/{thread}")
            for turn in range(thread, number, _THREADS):
                method = self._drawn(random_)
                request = self.request(method.input_type, random_)
                code, details = _call(channels[thread % _CHANNELS], method, request, random_)
                with lock:
                    findings.codes[code.name] += 1
                    if code in _FAULTS:
                        findings.faults.append((method.full_name, f"{code.name} {details}", request.hex()))
                progress(turn)

        with ThreadPoolExecutor(_THREADS) as pool:
            for each in [pool.submit(work, thread) for thread in range(_THREADS)]:
                each.result()
        for channel in channels:
            channel.close()
        return findings

    def request(self, kind: Descriptor, random_: random.Random) -> bytes:
        """Return the bytes of a request, six in seven of them damaged."""
        made = self._made.setdefault(kind.full_name, [])
        if not made or random_.random() < _FRESH:
            raw = self._message(kind, random_, _DEPTH).SerializeToString()
            # Threads may overwrite each other's; nothing depends on it.
            if len(made) < _MOST_KEPT:
                made.append(raw)
            else:
                made[random_.randrange(_MOST_KEPT)] = raw
        else:
            raw = random_.choice(made)
        if random_.random() >= _DAMAGED:
            return raw
        return _damaged(raw, random_.choice(made), random_)

    def _drawn(self, random_: random.Random) -> MethodDescriptor:
        method = random_.choice(self._methods)
        # They last as long as they may.
        if method.name in _ENDLESS and random_.random() < 0.9:
            return random_.choice(self._methods)
        return method

    def _message(self, kind: Descriptor, random_: random.Random, depth: int) -> Message:
        message: Any = message_factory.GetMessageClass(kind)()
        plausible = random_.random() < 0.8
        for each in kind.fields:
            if each.name == "repository":
                setattr(message, each.name, "main" if plausible else random_.choice(TEXTS))
            elif random_.random() < (0.7 if each.containing_oneof is None else 0.3):
                self._fill(message, each, random_, depth)
        return message  # type: ignore[no-any-return]

    def _fill(self, message: Any, each: FieldDescriptor, random_: random.Random, depth: int) -> None:
        if each.message_type is not None and depth == 0:
            return
        number = random_.choice((0, 1, 1, 2, _MOST_VALUES)) if each.is_repeated else 1
        if each.message_type is not None and each.message_type.GetOptions().map_entry:
            key, value = each.message_type.fields
            for _ in range(number):
                name = self._value(key, random_)
                if value.message_type is not None:
                    part = self._message(value.message_type, random_, depth - 1)
                    getattr(message, each.name)[name].CopyFrom(part)
                else:
                    getattr(message, each.name)[name] = self._value(value, random_)
        elif each.message_type is not None:
            parts = [self._message(each.message_type, random_, depth - 1) for _ in range(number)]
            if each.is_repeated:
                getattr(message, each.name).extend(parts)
            else:
                getattr(message, each.name).CopyFrom(parts[0])
        elif each.is_repeated:
            getattr(message, each.name).extend(self._value(each, random_) for _ in range(number))
        else:
            setattr(message, each.name, self._value(each, random_))

    def _value(self, each: FieldDescriptor, random_: random.Random) -> Any:
        kind = each.cpp_type
        if kind == FieldDescriptor.CPPTYPE_STRING:
            if each.type == FieldDescriptor.TYPE_BYTES:
                return random_.choice(self._known) if random_.random() < 0.8 else random_.randbytes(20)
            return random_.choice(TEXTS)
        if kind == FieldDescriptor.CPPTYPE_BOOL:
            return random_.random() < 0.5
        if kind in (FieldDescriptor.CPPTYPE_DOUBLE, FieldDescriptor.CPPTYPE_FLOAT):
            return random_.choice(FRACTIONS)
        if kind == FieldDescriptor.CPPTYPE_ENUM:
            assert each.enum_type is not None
            numbers = [value.number for value in each.enum_type.values]
            return random_.choice([*numbers, 77])
        low, high = _BOUNDS[kind]
        return min(max(random_.choice(NUMBERS), low), high)


_BOUNDS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def _damaged(raw: bytes, other: bytes, random_: random.Random) -> bytes:
    """Return what was a message, perhaps with a part of another one."""
    damaged = bytearray(raw)
    for _ in range(random_.choice((1, 1, 2, 8))):
        place = random_.randrange(len(damaged) + 1)
        match random_.randrange(7):
            case 0:
                damaged[place : place + 1] = random_.randbytes(1)
            case 1:
                del damaged[place:]
            case 2:
                damaged[place:place] = random_.randbytes(random_.randrange(1, 9))
            case 3:
                damaged += damaged[place : place + 200]
            case 4:
                # A length that is not true.
                damaged[place:place] = b"\xff\xff\xff\xff\x0f"
            case 5:
                begin = random_.randrange(len(other) + 1)
                damaged[place:place] = other[begin : begin + random_.randrange(1, 200)]
            case _:
                del damaged[place : place + random_.randrange(1, 9)]
    return bytes(damaged)


def _call(
    channel: grpc.Channel, method: MethodDescriptor, request: bytes, random_: random.Random
) -> tuple[grpc.StatusCode, str]:
    number = random_.choice((1, 1, 1, 1, 1, 1, 1, 0, 2, 3))
    seconds = _ENDLESS_SECONDS if method.name in _ENDLESS else _SECONDS
    # On the wire one request is the same, whatever the method; a stream of them costs this process a thread.
    sends = "unary" if number == 1 else "stream"
    gives = "stream" if method.server_streaming else "unary"
    make: Any = getattr(channel, f"{sends}_{gives}")
    call: Any = make(f"/{method.containing_service.full_name}/{method.name}")
    try:
        answer = call(request if number == 1 else iter([request] * number), timeout=seconds)
        if method.server_streaming:
            for _ in answer:
                pass
    except grpc.RpcError as error:
        failed: Any = error
        return failed.code(), failed.details() or ""
    return grpc.StatusCode.OK, ""
