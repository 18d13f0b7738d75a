"""Section F by SDK: what each SDK makes of each row, and where keyswap is different on purpose."""

import json

from runner.suites import SOURCES

ROWS = SOURCES / "harness" / "section_f.json"


def table(judged):
    """The table in Markdown, for each plane; a number in a cell is the reason for a difference, listed below."""
    rows, reasons, text = json.loads(ROWS.read_text()), [], ""
    for plane in ("openai", "search"):
        mine = [row for row in rows if row["plane"] == plane]
        shown = {
            suite: cells
            for suite, verdicts in judged.items()
            if (cells := _cells(mine, verdicts, reasons))
        }
        text += "| row | condition | " + " | ".join(suite.name for suite in shown) + " |\n"
        text += "|---" * (2 + len(shown)) + "|\n"
        for row in mine:
            cells = [cells.get(row["row"], "") for cells in shown.values()]
            text += f"| {row['row']} | {row['condition']} | " + " | ".join(cells) + " |\n"
        text += "\n"
    return text + "".join(f"[{number}] {reason}\n" for number, reason in enumerate(reasons, 1))


def _cells(rows, verdicts, reasons):
    """By row, what came of its cases; the surfaces of one SDK are one cell."""
    wanted, cells = {row["row"] for row in rows}, {}
    for verdict in verdicts:
        if verdict.row in wanted:
            cells.setdefault(verdict.row, {})[_cell(verdict, reasons)] = None
    return {row: "<br>".join(found) for row, found in cells.items()}


def _cell(verdict, reasons):
    if not verdict.passed:
        return f"**{verdict.summary}**"
    if verdict.difference is None:
        return verdict.summary
    if verdict.difference not in reasons:
        reasons.append(verdict.difference)
    return f"{verdict.summary} [{reasons.index(verdict.difference) + 1}]"
