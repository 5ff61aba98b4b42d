# SPDX-License-Identifier: BSD-3-Clause
"""A process that has everything imported and forks what tests want to run: a service begins in hundredths of a second.

It reads requests from its standard input, one JSON object a line, and answers each with one line:

* ``{"program": …, "argument": …, "environment": {…}, "log": …}`` starts a process and answers ``{"pid": …}``;
* ``{"wait": pid}`` answers ``{"code": …}`` when that process has ended: its exit code, or minus its signal.

When its input ends, so do it and all its processes, for which nobody else would answer.
"""

from __future__ import annotations

__all__ = ["JOBS_VARIABLE", "main"]

import ctypes
import gc
import importlib
import json
import os
import signal
import sys
import traceback
from typing import Any, NoReturn

from .warming import warm

JOBS_VARIABLE = "BUTLER_TEST_JOBS"
_SERVICES = {"registry": "butler_registry.__main__", "datastore": "butler_datastore.__main__"}
_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)


def main() -> None:
    """Serve until the input ends."""
    jobs = os.environ[JOBS_VARIABLE]
    for module in (*_SERVICES.values(), jobs):
        importlib.import_module(module)
    warm()
    # Children look at none of this again, so their collector need not copy its pages.
    gc.collect()
    gc.freeze()
    _answer({"ready": True})
    for line in sys.stdin:
        request = json.loads(line)
        if "wait" in request:
            _, status = os.waitpid(request["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            answer = {"pid": _fork(request, jobs)}
        _answer(answer)


def _answer(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def _fork(request: dict[str, Any], jobs: str) -> int:
    pid = os.fork()
    if pid == 0:
        _become(request, jobs)
    return pid


def _become(request: dict[str, Any], jobs: str) -> NoReturn:
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        os.setsid()
        nothing = os.open(os.devnull, os.O_RDONLY)
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        for source, target in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.environ.update(request["environment"])
        program = request["program"]
        if program in _SERVICES:
            importlib.import_module(_SERVICES[program]).main(["serve"], standalone_mode=False)
        else:
            importlib.import_module(jobs).run(program, request["argument"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
        sys.stderr.write(f"{end.code}\n")
    except Exception:  # noqa: BLE001 - this is where a program ends
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
