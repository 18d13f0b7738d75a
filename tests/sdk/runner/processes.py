"""Every process that the runner starts: in a group of its own, ended by that group's id at the latest
when the runner ends, however it ends."""

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import threading

_started = set()
_closed = False
_lock = threading.Lock()
GRACE = 10  # seconds between asking and forcing


def start(command, **options):
    with _lock:
        if _closed:
            raise InterruptedError("the runner is ending")
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, text=True, start_new_session=True, **options
        )
        _started.add(process)
    return process


def run(command, limit, **options):
    """Runs a command to its end or its limit. Gives its output, its errors, and how it went wrong, or None.

    The output goes through files: what a killed process had said by then is not lost.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        process = start(command, stdout=output, stderr=errors, **options)
        try:
            status = process.wait(limit)
            end = None if status == 0 else f"ended with status {status}"
        except subprocess.TimeoutExpired:
            end = f"killed after {limit} s"
        finally:
            stop(process, patiently=False)
        for file in (output, errors):
            file.seek(0)
        return output.read(), errors.read(), end


def stop(process, patiently=True):
    """Ends a process and its group, which may outlive it."""
    if patiently and process.poll() is None:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    _signal(process, signal.SIGKILL)
    process.wait()
    with _lock:
        _started.discard(process)


def _signal(process, number):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def stop_all():
    """Ends everything, and lets nothing new begin: other threads may be between two processes."""
    global _closed
    with _lock:
        _closed = True
        left = list(_started)
    for process in left:
        stop(process)


atexit.register(stop_all)
for number in (signal.SIGINT, signal.SIGTERM):
    signal.signal(number, lambda number, _: sys.exit(f"ended by {signal.Signals(number).name}"))
