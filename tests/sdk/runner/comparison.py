"""Two recordings of one suite, at the door where keys are enabled and through keyswap, side by side."""

import itertools
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Normalisation:
    pattern: str
    replacement: str
    reason: str


# What may differ between the doors. Each entry weakens the test: add one only for a difference that was seen.
NORMALISATIONS = [
    Normalisation(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "ID", "each request has an id of its own"),
    Normalisation(r"(127\.0\.0\.1|localhost):\d+", "HOST", "the two doors are two ports of this machine"),
    Normalisation(r"contoso\.(openai\.azure\.com|search\.windows\.net)", "HOST", "or one is Azure's own name"),
]

LONGEST = 300  # characters of a value in the report
MOST = 5  # differences of one case in the report


@dataclass
class Verdict:
    """What came of one case; `difference` is the reason of one that is there on purpose."""

    case: str
    summary: str
    complaints: list = field(default_factory=list)
    remarks: list = field(default_factory=list)
    difference: str | None = None
    row: str | None = None
    realtime: bool = False
    operations: list = field(default_factory=list)

    @property
    def passed(self):
        return not self.complaints


def compare(direct, through, runs):
    """One verdict a case; `runs` are the unique names that the two runs were given."""
    verdicts = [_compare_case(name, direct, through, runs) for name in direct.names or through.names]
    endings = list(_endings(direct, through))
    if endings or not verdicts:
        verdicts.insert(0, Verdict("the suite itself", "did not end well", endings or ["it has no cases"]))
    return verdicts


def _compare_case(name, direct, through, runs):
    at_azure, at_keyswap = direct.cases.get(name), through.cases.get(name)
    if not (at_azure and at_keyswap):
        return Verdict(name, "", ["was not finished at both doors"])
    expected = at_keyswap["expected"]
    verdict = Verdict(
        name,
        _summary(at_keyswap["outcome"]),
        row=expected["row"],
        realtime=expected["realtime"],
        operations=at_keyswap["operations"],
    )
    verdict.complaints += [f"keys enabled: {complaint}" for complaint in _unexpected(at_azure, True, 0)]
    by_keyswap = _unexpected(at_keyswap, expected["forwarded"], expected["replayed"])
    verdict.complaints += [f"keyswap: {complaint}" for complaint in by_keyswap]
    if verdict.complaints:
        return verdict

    outcomes = (_normal(line["outcome"], runs) for line in (at_azure, at_keyswap))
    differences = list(itertools.islice(_differences(*outcomes, "outcome"), MOST))
    if at_azure["requests"] != at_keyswap["requests"]:
        differences.append(_difference(at_azure["requests"], at_keyswap["requests"], "requests"))
    if expected["differs"] and differences:
        verdict.difference = expected["differs"]
        verdict.remarks = [f"on purpose: {verdict.difference}", *differences]
    elif expected["differs"]:
        verdict.complaints = [f"there is no difference any more, which was: {expected['differs']}"]
    else:
        verdict.complaints = differences
    return verdict


def _unexpected(line, reaches_azure, replayed):
    """How one door's outcome differs from what the case itself expects."""
    expected, outcome = line["expected"], line["outcome"]
    if outcome.get("error", {}).get("class") != expected["refused"]:
        yield f"expected {expected['refused'] or 'a value'}, got {_short(outcome)}"
    if expected["requests"] not in (None, line["requests"]):
        yield f"expected requests: {expected['requests']}, the SDK sent {line['requests']}"
    arrivals = line["requests"] if reaches_azure and expected["alive"] else 0
    if not arrivals <= line["arrived"] <= arrivals + replayed:
        yield f"expected at Azure: {arrivals} requests, there arrived {line['arrived']}"
    if line["leaked"]:
        yield f"a client's credential arrived at Azure: {', '.join(line['leaked'])}"


def _differences(direct, through, place):
    if isinstance(direct, dict) and isinstance(through, dict):
        for key in direct | through:
            yield from _differences(direct.get(key), through.get(key), f"{place}.{key}")
    elif isinstance(direct, list) and isinstance(through, list) and len(direct) == len(through):
        for index, (one, other) in enumerate(zip(direct, through, strict=True)):
            yield from _differences(one, other, f"{place}[{index}]")
    elif direct != through:
        yield _difference(direct, through, place)


def _difference(direct, through, place):
    return f"{place}: {_short(direct)} at keys enabled, {_short(through)} at keyswap"


def _normal(value, runs):
    if isinstance(value, dict):
        return {key: _normal(inner, runs) for key, inner in value.items()}
    if isinstance(value, list):
        return [_normal(inner, runs) for inner in value]
    if not isinstance(value, str):
        return value
    for run in runs:
        value = value.replace(run, "RUN")
    for rule in NORMALISATIONS:
        value = re.sub(rule.pattern, rule.replacement, value)
    return value


def _short(value):
    text = repr(value)
    return text if len(text) <= LONGEST else text[:LONGEST] + "…"


def _summary(outcome):
    error = outcome.get("error")
    if error is None:
        return "works"
    parts = [error["class"], error.get("status"), error.get("code")]
    return " ".join(str(part) for part in parts if part not in (None, ""))


def _endings(direct, through):
    for door, recording in (("keys enabled", direct), ("keyswap", through)):
        if recording.end:
            yield f"{door}: {recording.end}\n{recording.errors.strip()}".strip()
