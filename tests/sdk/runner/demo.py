"""One demo: an emulator and a gateway in front of it, on free ports, and the two doors to compare."""

import json
import select
import subprocess
import tempfile

from runner import doors, processes
from runner.suites import REPOSITORY, Failed

READY_LIMIT = 1200  # seconds: the first start may have to build it


class Demo:
    def __init__(self, command, suite):
        self._command = command

    def __enter__(self):
        self._errors = tempfile.TemporaryFile("w+")
        self._process = processes.start(
            self._command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=self._errors
        )
        try:
            self._facts = self._announcement()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        processes.stop(self._process)
        self._process.stdout.close()
        self._errors.close()

    def _announcement(self):
        readable, _, _ = select.select([self._process.stdout], [], [], READY_LIMIT)
        line = self._process.stdout.readline() if readable else ""
        try:
            return json.loads(line)
        except ValueError:
            self._errors.seek(0)
            raise Failed(f"the demo did not start: {line}{self._errors.read()[-2000:]}") from None

    def doors(self):
        """The door where keys are still enabled, and keyswap."""
        azure, keys = doors.azure_at(self._facts["upstream"]["control"]), self._facts["keys"]
        direct = doors.keys_enabled(azure) | {"limited_key": keys["openai"], "nobody": self._facts["nobody"]}
        through = dict.fromkeys(["openai", "search", "nobody"], self._facts["gateway"])
        through |= dict.fromkeys(["openai_plain", "search_plain"], self._facts["gateway_http"])
        through["limited_key"] = keys["limited"]
        trust = doors.trusting(self._facts["ca"]) | {"NO_PROXY": "127.0.0.1"}
        stranded = {"stranded_key": keys["stranded"]}
        return (
            doors.make("keys_enabled", direct, keys, azure, trust, **stranded),
            doors.make("behind", through, keys, azure, trust, **stranded),
        )
