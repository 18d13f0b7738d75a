"""One demo: an emulator and a gateway in front of it, on free ports, and the two doors to compare."""

import json
import os
import select
import subprocess
import tempfile
import urllib.request
from dataclasses import dataclass

from runner import processes
from runner.suites import REPOSITORY, Failed

READY_LIMIT = 1200  # seconds: the first start may have to build it


@dataclass(frozen=True)
class Door:
    name: str
    run: str
    environment: dict


class Demo:
    def __init__(self, command):
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
        with urllib.request.urlopen(self._facts["upstream"]["control"] + "/doors") as answer:
            azure = json.load(answer)
        direct = {plane: azure[plane]["keys_enabled"] for plane in ("openai", "search")}
        # Azure has no plain HTTP; there the same is done over TLS
        direct |= {"openai_plain": direct["openai"], "search_plain": direct["search"]}
        through = dict.fromkeys(["openai", "search"], self._facts["gateway"])
        through |= dict.fromkeys(["openai_plain", "search_plain"], self._facts["gateway_http"])
        return self._door("keys_enabled", direct), self._door("behind", through)

    def _door(self, journal, addresses):
        run = os.urandom(4).hex()
        keys, ca = self._facts["keys"], self._facts["ca"]
        told = addresses | {
            "openai_key": keys["openai"],
            "search_admin_key": keys["search_admin"],
            "search_query_key": keys["search_query"],
            "control": self._facts["upstream"]["control"],
            "journal": journal,
            "run": run,
        }
        environment = {f"SDK_{name.upper()}": value for name, value in told.items()}
        environment["NO_PROXY"] = "127.0.0.1"
        # requests, httpx and node each look at a variable of their own
        environment |= dict.fromkeys(["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"], ca)
        return Door(journal, run, environment)
