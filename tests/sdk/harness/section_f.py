"""The rows of section F of azure-wire.md for which a legacy client has an expectation: what Azure says to it, and
what keyswap may not change. `section_f.json` is the list. A row with an `answer` is one that the emulator gives on
demand; one with a `fault` is what Azure says to keyswap alone, whose token or role it is: no legacy client expects it.
"""

import json
from pathlib import Path

from recorder import AT_KEYSWAP, azure_answers

_ROWS = json.loads((Path(__file__).parent / "section_f.json").read_text())


OWN = "who refuses keyswap's own identity does not refuse the client's key"


def on_demand(plane, register, classes):
    """Registers a case for each answer that the plane gives on demand.

    register: takes a name, what to do before the request, and what is expected
    classes: the exception's class by row, by status, and "5xx"
    """
    for row in _ROWS:
        if row["plane"] == plane and "answer" in row:
            expected = {"refused": _class(classes, row, row["status"]), "requests": 1}
            register(_name(row), _prepared(plane, row["answer"]), **expected, row=row["row"])


def own_faults(plane, register, classes):
    """Registers a case for each fault of keyswap's own identity: no SDK repeats it, and each shows the cure."""
    for row in _ROWS:
        if row["plane"] == plane and "fault" in row:
            status = row["keyswap" if AT_KEYSWAP else "azure"]
            expected = {"refused": _class(classes, row, status), "requests": 1, "replayed": row.get("replayed", 0)}
            register(_name(row), _prepared(plane, row["fault"]), **expected, differs=OWN, row=row["row"])


def _name(row):
    return f"{row['row']}, {row['condition']}"


def _class(classes, row, status):
    return classes.get(row["row"]) or classes.get(status) or classes["5xx"]


def _prepared(plane, answer):
    return lambda: azure_answers(answer, plane=plane, times=9)
