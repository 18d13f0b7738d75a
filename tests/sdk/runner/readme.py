"""The table of SDKs in the repository's README is what a run of all suites found."""

from runner.suites import REPOSITORY

README = REPOSITORY / "README.md"
BEGIN = "<!-- The SDKs. Written by a run of all of them: python3 tests/sdk/run.py --bless -->\n"
END = "<!-- end of the SDKs -->\n"


def is_true(judged):
    _, written, _ = _parts()
    return written == _section(judged)


def bless(judged):
    before, _, after = _parts()
    README.write_text(before + BEGIN + _section(judged) + END + after)


def _parts():
    before, _, rest = README.read_text().partition(BEGIN)
    written, _, after = rest.partition(END)
    return before, written, after


def _section(judged):
    text = "\n| client | runs on | operations | cases | realtime | differences |\n|---|---|---|---|---|---|\n"
    reasons = []
    for suite, verdicts in judged.items():
        text += "| " + " | ".join(_row(suite, verdicts, reasons)) + " |\n"
    return text + "\n" + "".join(f"{number}. {reason}\n" for number, reason in enumerate(reasons, 1)) + "\n"


def _row(suite, verdicts, reasons):
    client = ", ".join(f"{name} {version}" for name, version in suite.packages.items())
    operations = {operation for verdict in verdicts for operation in verdict.operations}
    differences = dict.fromkeys(verdict.difference for verdict in verdicts if verdict.difference)
    reasons += [reason for reason in differences if reason not in reasons]
    numbers = ", ".join(str(number) for number in sorted(reasons.index(reason) + 1 for reason in differences))
    realtime = "yes" if any(verdict.realtime for verdict in verdicts) else ""
    return [client, suite.runtime, str(len(operations)), str(len(verdicts)), realtime, numbers]
