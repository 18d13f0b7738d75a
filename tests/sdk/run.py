#!/usr/bin/env python3
"""The real client SDKs, unmodified and pinned, at Azure's own door and through keyswap.

Every suite runs twice with the same code: straight at the emulator with keys enabled (what a legacy
client used to get), then through keyswap to the emulator with keys disabled. Results and exceptions
must be equal. With --transparent nobody is told of keyswap: a hosts file leads Azure's own names to it.
"""

import argparse
import json
import os
import shlex
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from functools import partial
from pathlib import Path

from runner import namespace, processes, readme, rows
from runner.comparison import Verdict, compare
from runner.demo import Demo
from runner.suites import REPOSITORY, Failed, all_suites
from runner.transparent import BY_STACK, Transparent

DEMO = "cargo run --quiet --release --example demo -- --json"
BUILT = os.path.join(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"), "debug")
PROGRAMS = [os.path.join(BUILT, name) for name in ("keyswap", "azure-emulator")]

CORES = os.cpu_count() or 1
INSTALLING = threading.Semaphore(CORES)
RUNNING = threading.Semaphore(2 * CORES)  # half of them wait, as they were asked to
INSIDE_LIMIT = 900  # seconds


def main():
    options = parse_options()
    suites = [suite for suite in all_suites() if suite.name in (options.suite or [suite.name])]
    if options.list:
        print("\n".join(suite.name for suite in suites))
        return 0
    if options.inside:
        verdicts = judge(partial(Transparent, PROGRAMS), suites[0])
        print(json.dumps([asdict(verdict) for verdict in verdicts]))
        return 0

    if options.transparent:
        suites = [suite for suite in suites if suite.name in BY_STACK.values() or options.suite]
        judging = judge_inside
    else:
        judging = partial(judge, partial(Demo, options.demo))
    began, judged = time.monotonic(), {}
    with ThreadPoolExecutor(len(suites)) as pool:
        try:
            for suite, verdicts in zip(suites, pool.map(partial(install_and, judging), suites), strict=True):
                report(suite, verdicts)
                judged[suite] = verdicts
        except BaseException:
            processes.stop_all()
            raise
    failed = conclude(judged, options)
    print(f"\n{len(suites)} suites in {time.monotonic() - began:.0f} s")
    passed = sum(verdict.passed for verdicts in judged.values() for verdict in verdicts)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def install_and(judging, suite):
    """The suites wait for their turns: some install, some run."""
    try:
        with INSTALLING:
            suite.install()
        with RUNNING:
            return judging(suite)
    except (Failed, OSError) as failure:
        return [Verdict("every case", "never began", [str(failure)])]


def judge(stage, suite):
    """Gives a suite an emulator and a gateway of its own, and compares the two runs."""
    with stage(suite) as staged:
        direct, through = staged.doors()
        recordings = [suite.run(door.name, door.environment) for door in (direct, through)]
        return compare(*recordings, runs=(direct.run, through.run))


def judge_inside(suite):
    """The same, by this program once more, in a network of its own."""
    command = [sys.executable, __file__, "--inside", "--suite", suite.name]
    output, errors, end = namespace.run_inside(command, INSIDE_LIMIT)
    if end:
        raise Failed(f"{end}\n{(output + errors).strip()[-2000:]}")
    return [Verdict(**verdict) for verdict in json.loads(output)]


def report(suite, verdicts):
    print(f"\n{suite.name}")
    for verdict in verdicts:
        print(f"  {'ok  ' if verdict.passed else 'FAIL'}  {verdict.case:<60} {verdict.summary}")
        for line in verdict.complaints + verdict.remarks:
            print("        " + line.replace("\n", "\n        "))
    sys.stdout.flush()


def conclude(judged, options):
    """Compares or writes what is told of the whole; gives how much has failed."""
    failed = sum(not verdict.passed for verdicts in judged.values() for verdict in verdicts)
    if options.rows:
        options.rows.parent.mkdir(parents=True, exist_ok=True)
        options.rows.write_text(rows.table(judged))
    whole = not (options.suite or options.transparent or failed)
    if whole and options.bless:
        readme.bless(judged)
    elif whole and not readme.is_true(judged):
        print("\nFAIL  the README's table is not what was found; --bless writes it anew")
        failed += 1
    return failed


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    names = [suite.name for suite in all_suites()]
    option("--suite", action="append", choices=names, metavar="NAME", help="only this; repeatable")
    option("--list", action="store_true", help="print the suites' names and end")
    option("--transparent", action="store_true", help="through Azure's own names; needs root, and what is built")
    option("--inside", action="store_true", help=argparse.SUPPRESS)
    option("--rows", type=Path, metavar="FILE", help="write section F, by SDK, as a table")
    option("--bless", action="store_true", help="write the README's table from what was found")
    option("--demo", type=shlex.split, default=DEMO, metavar="CMD", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
