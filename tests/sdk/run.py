#!/usr/bin/env python3
"""The real client SDKs, unmodified and pinned, at Azure's own door and through keyswap.

Every suite runs twice with the same code: straight at the emulator with keys enabled (what a legacy
client used to get), then through keyswap to the emulator with keys disabled. Results and exceptions
must be equal. With --transparent nobody is told of keyswap: a hosts file leads Azure's own names to it.
"""

import argparse
import os
import shlex
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from runner import namespace, processes
from runner.comparison import Verdict, compare
from runner.demo import Demo
from runner.suites import REPOSITORY, Failed, all_suites
from runner.transparent import Transparent

DEMO = "cargo run --quiet --release --example demo -- --json"
AT_ONCE = os.cpu_count() or 1
PROGRAMS = [REPOSITORY / "target" / "debug" / name for name in ("keyswap", "azure-emulator")]


def main():
    options = parse_options()
    suites = [suite for suite in all_suites() if suite.name in (options.suite or [suite.name])]
    if options.list:
        print("\n".join(suite.name for suite in suites))
        return 0

    stage, at_once = partial(Demo, options.demo), AT_ONCE
    if options.transparent:
        # a websocket is opened as any request is sent; how that goes is the affair of a run without this
        suites = [suite for suite in suites if not suite.is_realtime]
        if not namespace.is_inside():
            # inside there is no network to install from
            for suite in suites:
                suite.install()
            return namespace.run_inside()
        # Azure's names and port 443 are there once
        stage, at_once = partial(Transparent, PROGRAMS), 1

    began, passed, failed = time.monotonic(), 0, 0
    with ThreadPoolExecutor(at_once) as pool:
        try:
            judged = pool.map(lambda suite: judge(suite, stage), suites)
            for suite, verdicts in zip(suites, judged, strict=True):
                report(suite, verdicts)
                passed += sum(verdict.passed for verdict in verdicts)
                failed += sum(not verdict.passed for verdict in verdicts)
        except BaseException:
            processes.stop_all()
            raise
    print(f"\n{len(suites)} suites in {time.monotonic() - began:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def judge(suite, stage):
    """Installs a suite, gives it an emulator and a gateway of its own, and compares the two runs."""
    try:
        suite.install()
        with stage(suite) as staged:
            direct, through = staged.doors()
            recordings = [suite.run(door.name, door.environment) for door in (direct, through)]
            return compare(*recordings, runs=(direct.run, through.run))
    except (Failed, OSError) as failure:
        return [Verdict("every case", "never began", [str(failure)])]


def report(suite, verdicts):
    print(f"\n{suite.name}")
    for verdict in verdicts:
        print(f"  {'ok  ' if verdict.passed else 'FAIL'}  {verdict.case:<60} {verdict.summary}")
        for line in verdict.complaints + verdict.remarks:
            print("        " + line.replace("\n", "\n        "))
    sys.stdout.flush()


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    option = parser.add_argument
    names = [suite.name for suite in all_suites()]
    option("--suite", action="append", choices=names, metavar="NAME", help="only this; repeatable")
    option("--list", action="store_true", help="print the suites' names and end")
    option("--transparent", action="store_true", help="through Azure's own names; needs root, and what is built")
    option("--demo", type=shlex.split, default=DEMO, metavar="CMD", help="default: %(default)s")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
