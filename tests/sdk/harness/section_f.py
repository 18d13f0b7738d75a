"""The rows of section F of azure-wire.md for which a legacy client has an expectation: what Azure says to it, and what
keyswap may not change. `section_f.json` is the list; a row with an `answer` is one that the emulator gives on demand."""

import json
from pathlib import Path

from recorder import azure_answers, case

_ROWS = json.loads((Path(__file__).parent / "section_f.json").read_text())


def on_demand(plane, ask, classes, differences=None):
    """Registers a case for each answer that the plane gives on demand.

    ask: sends one request and repeats nothing
    classes: the exception's class by status, and "5xx"
    differences: by row, what else the case expects
    """
    for row in _ROWS:
        if row["plane"] == plane and "answer" in row:
            name, status = row["row"], row["status"]
            refused = classes.get(status) or classes["5xx"]
            more = {"refused": refused, "requests": 1, "row": name} | (differences or {}).get(name, {})

            @case(f"{name}: {row['condition']}", **more)
            def _(answer=row["answer"]):
                azure_answers(answer, plane=plane)
                ask()
