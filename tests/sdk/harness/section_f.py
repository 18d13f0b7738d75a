"""The rows of section F of azure-wire.md for which a legacy client has an expectation: what Azure says to it, and what
keyswap may not change. `section_f.json` is the list; a row with an `answer` is one that the emulator gives on demand."""

import json
from pathlib import Path

from recorder import azure_answers

_ROWS = json.loads((Path(__file__).parent / "section_f.json").read_text())


def on_demand(plane, register, classes, differences=None):
    """Registers a case for each answer that the plane gives on demand.

    register: takes a name, what to do before the request, and what is expected
    classes: the exception's class by status, and "5xx"
    differences: by row, what else the case expects
    """
    for row in _ROWS:
        if row["plane"] == plane and "answer" in row:
            name, status = row["row"], row["status"]
            expected = {"refused": classes.get(status) or classes["5xx"], "requests": 1, "row": name}
            expected |= (differences or {}).get(name, {})

            def prepare(answer=row["answer"]):
                azure_answers(answer, plane=plane)

            register(f"{name}, {row['condition']}", prepare, **expected)
