"""Transparent mode: an emulator under Azure's own names, keyswap in front of it by DNS, and clients that changed nothing.

What a person would do, in the same order: `keyswap cert` makes an authority and certificates, `keyswap serve` shows
them, and the SDK's environment is what `keyswap env` prints for it, all of it and nothing else.
"""

import hashlib
import json
import select
import subprocess
import tempfile
import urllib.parse
from pathlib import Path

from runner import doors, processes
from runner.namespace import OPENAI, SEARCH, be_azure, leave, name_server
from runner.suites import Failed

READY_LIMIT = 60  # seconds

# What a name that leads elsewhere and an authority of one's own mean to an SDK is the affair of its HTTP stack: one suite
# for each, with all its cases.
BY_STACK = {
    "requests and aiohttp, told in their own ways": "py-openai-0.28",
    "httpx, websockets": "py-openai-2",
    "httpx2": "py-openai-3",
    "azure-core": "py-search-12",
    "node:https": "js-openai-4",
    "undici, native websockets": "js-openai-7",
    "azure's pipeline": "js-search-13",
}

SETTINGS = """
keys = "keys.toml"
[listen]
https = "127.0.0.1:443"
[tls]
directory = "tls"
[admin]
address = "127.0.0.1:0"
[egress]
ca = "emulator.pem"
resolver = "{resolver}"
[guessing]
free = 100000
[identities.app]
kind = "client-secret"
authority = "{authority}"
tenant = "{tenant}"
client_id = "{client_id}"
secret_file = "secret"
[resources.contoso]
endpoint = "https://contoso.openai.azure.com"
identity = "app"
client_tokens = "pass"
[resources.contoso-search]
endpoint = "https://contoso.search.windows.net"
identity = "app"
"""

CLIENT = """
[clients.{name}]
keys = [{{ id = "{name}", sha256 = "{digest}" }}]
grants = [{{ resource = "{resource}", allow = {allow} }}]
"""


class Transparent:
    def __init__(self, programs, suite):
        self._suite = suite
        self._keyswap, self._emulator = programs

    def __enter__(self):
        self._started, self._listeners = [], []
        self._directory = tempfile.TemporaryDirectory()
        self._home = Path(self._directory.name)
        try:
            self._azure = self._start([self._emulator, "--json", "--image-wait", "1"], lambda line: "openai" in line)
            for plane, name in (("openai", OPENAI), ("search", SEARCH)):
                port = urllib.parse.urlsplit(self._azure[plane]["behind"]).port
                self._listeners.append(be_azure(name, port))
            self._write_files()
            self._run("cert", "ca", "--out", "ca", OPENAI, SEARCH)
            self._run("cert", "leaf", "--ca", "ca", "--out", "tls", OPENAI, SEARCH)
            serve = [self._keyswap, "serve", "--log", "json", "--requests", "off"]
            self._start(serve, lambda line: line.get("message") == "serving")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for process in reversed(self._started):
            processes.stop(process)
            process.stdout.close()
        for listener in self._listeners:
            leave(listener)
        self._directory.cleanup()

    def doors(self):
        """The door where keys are still enabled, and keyswap at Azure's own names."""
        azure, keys = self._azure, self._azure["keys"]
        through = dict.fromkeys(["openai", "openai_plain"], f"https://{OPENAI}")
        through |= dict.fromkeys(["search", "search_plain"], f"https://{SEARCH}")
        direct = doors.trusting(str(self._home / "emulator.pem")) | {"NO_PROXY": "127.0.0.1"}
        told = self._environment() | {"NO_PROXY": f"{OPENAI},{SEARCH},127.0.0.1"}
        return (
            doors.make("keys_enabled", doors.keys_enabled(azure), keys, azure, direct, tokens_pass="yes"),
            doors.make("behind", through, keys, azure, told, tokens_pass="yes"),
        )

    def _environment(self):
        """What `keyswap env` prints for the suite's SDK, as a shell understands it."""
        lines = self._run("env", "--for", self._suite.client, "--ca", "ca/ca.pem")
        shell = ["env", "-i", "sh", "-c", 'eval "$1"; env', "sh", lines]
        told = subprocess.run(shell, capture_output=True, text=True, check=True).stdout
        pairs = (line.partition("=") for line in told.splitlines())
        return {name: value for name, _, value in pairs if name not in ("PWD", "SHLVL", "_")}

    def _write_files(self):
        app, keys = self._azure["app"], self._azure["keys"]
        settings = SETTINGS.format(
            resolver=name_server(),
            authority=self._azure["entra"],
            tenant=app["tenant"],
            client_id=app["client_id"],
        )
        clients = [
            ("chat", keys["openai"], "contoso", ["openai", "realtime-secrets"]),
            ("indexer", keys["search_admin"], "contoso-search", ["search-admin"]),
            ("finder", keys["search_query"], "contoso-search", ["search-query"]),
        ]
        digest = lambda key: hashlib.sha256(key.encode()).hexdigest()
        files = {
            "keyswap.toml": settings,
            "keys.toml": "".join(
                CLIENT.format(name=name, digest=digest(key), resource=resource, allow=json.dumps(allow))
                for name, key, resource, allow in clients
            ),
            "secret": app["secret"],
            "emulator.pem": self._azure["ca_pem"],
        }
        for name, text in files.items():
            (self._home / name).write_text(text)

    def _run(self, *arguments):
        done = subprocess.run([self._keyswap, *arguments], cwd=self._home, capture_output=True, text=True)
        if done.returncode:
            raise Failed(f"keyswap {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def _start(self, command, is_ready):
        """Starts a program and waits for the JSON line that says that it is ready."""
        merged = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = processes.start(command, cwd=self._home, **merged)
        self._started.append(process)
        told = ""
        while select.select([process.stdout], [], [], READY_LIMIT)[0]:
            line = process.stdout.readline()
            told += line
            if not line:
                break
            if line.startswith("{") and is_ready(json.loads(line)):
                return json.loads(line)
        raise Failed(f"{command[0]} did not start: {told[-2000:]}")
