"""Runs the cases of one Python suite at one door and prints one JSON line for each.

The first line names all cases, so that a suite that is killed half-way is missed by name. What a
case returns, or the exception that it raises, is its outcome; comparing is the runner's work.
"""

import asyncio
import inspect
import io
import json
import os
import time
import urllib.request
import wave
from dataclasses import dataclass, fields


@dataclass
class Door:
    """Where the SDK is sent and with which keys. Every suite is told by environment variables `SDK_...`."""

    openai: str
    search: str
    openai_plain: str  # the same without TLS
    search_plain: str
    openai_key: str
    search_admin_key: str
    search_query_key: str
    control: str  # the emulator's control port
    journal: str  # which of the emulator's doors this door's requests arrive at
    run: str  # unique, for the names of things that a case creates
    openai_token: str  # an Entra token of the client's own
    tokens_pass: str = ""  # keyswap passes such tokens on
    nobody: str = ""  # where nobody listens, or where keyswap forwards to nobody
    stranded_key: str = ""  # the key for that, of either plane
    limited_key: str = ""  # a key that keyswap grants inference alone


_told = {field.name: os.environ.get("SDK_" + field.name.upper()) for field in fields(Door)}
door = Door(**{name: value for name, value in _told.items() if value})

WRONG_KEY = "0123456789abcdef0123456789abcdef"


def nearly(key):
    """All of a key but its last letter."""
    return key[:-1] + ("0" if key[-1] != "0" else "1")


NEARLY_THE_KEY = nearly(door.openai_key)
AT_KEYSWAP = door.journal == "behind"

_cases = {}
_sent_at = []


def case(name, **expected):
    """Registers a case, with what it expects at this door.

    refused: the class of the exception that it must end in
    requests: how many it may cost
    forwarded: false where keyswap answers by itself and Azure may see nothing
    alive: false where nobody is there to be asked
    replayed: how often keyswap may send a request once more by itself
    differs: the reason, where keyswap is different on purpose
    row: which row of section F it shows
    realtime: whether it speaks over a websocket
    """
    assert expected.keys() <= _EXPECTATIONS.keys(), expected
    expected = _EXPECTATIONS | expected

    def register(function):
        assert name not in _cases, f"two cases are called {name}"
        _cases[name] = (function, expected)
        return function

    return register


_EXPECTATIONS = {
    "refused": None,
    "requests": None,
    "forwarded": True,
    "alive": True,
    "replayed": 0,
    "differs": None,
    "row": None,
    "realtime": False,
}


def azure_answers(answer, plane="openai", **details):
    """The emulator's next answer, instead of the right one; `answer` is one of its names (`A1.12`)."""
    _control("POST", "/next", {"at": plane, "answer": answer, **details})


def request_sent(*_hook_arguments):
    """The suites hang this into whatever their SDK offers where one HTTP request leaves."""
    _sent_at.append(time.monotonic())


def pauses():
    """The seconds between the requests of this case."""
    return [later - earlier for earlier, later in zip(_sent_at, _sent_at[1:])]


def recording(seconds=10):
    """A WAV file of some 300 kB, as if somebody had recorded it."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes((7 * n) % 251 for n in range(2 * 16_000 * seconds)))
    file.name = "recording.wav"
    file.seek(0)
    return file


def run(describe):
    """Runs all cases in order; `describe` lists what an application can see of the suite's exceptions."""
    _print({"cases": list(_cases)})
    for name, (function, expected) in _cases.items():
        _control("DELETE", "/next")
        _control("DELETE", "/journal")
        _sent_at.clear()
        outcome = _outcome(function, describe)
        requests = len(_sent_at)
        arrived = [entry for entry in _control("GET", "/journal") if entry["door"] == door.journal]
        _print(
            {
                "case": name,
                "outcome": outcome,
                "requests": requests,
                "arrived": len(arrived),
                "leaked": [entry["violation"] for entry in arrived if entry["violation"]],
                "operations": sorted({entry["operation"] for entry in arrived if entry["completed"]}),
                "expected": expected,
            }
        )


def _outcome(function, describe):
    try:
        value = asyncio.run(function()) if inspect.iscoroutinefunction(function) else function()
        return {"value": value}
    except Exception as error:
        return {"error": {"class": type(error).__name__, **describe(error)}}


def _control(method, path, message=None):
    body = None if message is None else json.dumps(message).encode()
    with urllib.request.urlopen(urllib.request.Request(door.control + path, body, method=method)) as answer:
        return json.loads(answer.read() or "null")


def _print(line):
    print(json.dumps(line, default=str), flush=True)
