"""Evidence for an auditor: what was measured, with which packs and settings, and what standards ask for.

A bundle has a document (`evidence.json`, and the same as a page), copies of the reports that it rests on, and a JWS
over the SHA-256 of each of these files. Each requirement is met, not met, or not measured. It is met only if the whole
95 % interval of its rate is within the bound. Where the interval reaches beyond the bound but the rate does not, too
little was measured. A group of people is judged by the ratio of its rates to those of all people, as `evaluate` does.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from likeness.errors import SetupError
from likeness.evaluation.recognition.groups.differential import SIMILAR, Similarity, judge, ratio
from likeness.evaluation.recognition.rates import Rate
from likeness.evaluation.report.numbers import JUDGED_LEVEL
from likeness.web.pages import load_page

_SIMULATED = "Presentation attacks were only simulated here. A laboratory must measure real ones."
ReportJson = Mapping[str, Any]


class RequirementVerdict(StrEnum):
    """Whether a requirement is met."""

    MET = "met"
    NOT_MET = "not met"
    NOT_MEASURED = "not measured"


_SIMILARITY = {
    Similarity.MET: RequirementVerdict.MET,
    Similarity.NOT_MET: RequirementVerdict.NOT_MET,
    Similarity.TOO_FEW: RequirementVerdict.NOT_MEASURED,
}


@dataclass(frozen=True, slots=True)
class RequirementFinding:
    """One requirement of a standard, and what was measured of it."""

    standard: str
    requirement: str
    verdict: RequirementVerdict
    bound: float | None = None
    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reports:
    """The reports of other commands: `evaluate`, `evaluate-liveness`, and `gallery fpir`. Each may be missing."""

    evaluation: ReportJson | None = None
    liveness: ReportJson | None = None
    fpir: ReportJson | None = None


def read_report(content: bytes, member: str, command: str) -> ReportJson:
    """Read the report of a command, which has this member. Raises SetupError."""
    try:
        report = json.loads(content)
    except ValueError as error:
        raise SetupError(f"the report of `likeness {command}` is not JSON: {error}") from error
    if not isinstance(report, dict) or member not in report:
        raise SetupError(f"this is no report of `likeness {command} --json`: it has no {member!r}")
    return report


def find(reports: Reports) -> list[RequirementFinding]:
    """Compare reports with the requirements. Raises SetupError for a damaged report."""
    try:
        return [*_of_recognition(reports.evaluation), *_of_search(reports.fpir), *_of_attacks(reports.liveness)]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise SetupError(f"a report is damaged, or of another version: {error!r}") from error


def bundle(
    document: Mapping[str, Any], findings: Sequence[RequirementFinding], attached: Mapping[str, bytes]
) -> dict[str, bytes]:
    """Give the files of the bundle by name, without the signature. ``attached`` are the reports, by file name."""
    whole = {
        **document,
        "reports": {name: _digest(content) for name, content in attached.items()},
        "findings": [asdict(finding) for finding in findings],
    }
    page = load_page("likeness.evaluation.report", "evidence.html").render(evidence=whole)
    return {"evidence.json": json.dumps(whole, indent=2).encode() + b"\n", "evidence.html": page.encode(), **attached}


def digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Give the SHA-256 of each file, which the signature covers."""
    return {name: _digest(content) for name, content in files.items()}


def _of_recognition(report: ReportJson | None) -> list[RequirementFinding]:
    levels = (report["levelsInForce"] or report["levels"]) if report else []
    at_level = next((each for each in levels if each["level"] == JUDGED_LEVEL), None)
    groups = report["groups"] if report else []
    nist, level = "NIST SP 800-63A-4, 3.11", f"at level {JUDGED_LEVEL}"
    return [
        _bounded(nist, f"FMR of 1:1 {level}: 1 in 10,000 or better", 1e-4, at_level and at_level["fmr"]),
        _bounded(nist, f"FNMR of 1:1 {level}: 1 in 100 or better", 1e-2, at_level and at_level["fnmr"]),
        *_of_groups(nist, at_level, groups),
        RequirementFinding(
            "ISO/IEC 19795-1",
            "Error rates, failures to acquire and their uncertainty are reported for a stated data set",
            RequirementVerdict.MET if report else RequirementVerdict.NOT_MEASURED,
            note=f"{report['dataSet']['name']}, {report['dataSet']['people']} people" if report else "",
        ),
        RequirementFinding(
            "ISO/IEC 19795-10",
            "Error rates are reported within demographic groups",
            RequirementVerdict.MET if groups else RequirementVerdict.NOT_MEASURED,
            note=", ".join(f"{group['label']}: {group['group']}" for group in groups),
        ),
    ]


def _of_groups(standard: str, of_all: ReportJson | None, groups: Sequence[ReportJson]) -> list[RequirementFinding]:
    """Judge each group by the worse of its two ratios to all people."""
    requirement = f"FMR and FNMR of 1:1 at level {JUDGED_LEVEL} in each group: at most 25 % worse than of all people"
    if of_all is None or not groups:
        return [RequirementFinding(standard, requirement, RequirementVerdict.NOT_MEASURED, SIMILAR)]
    findings = []
    for group in groups:
        own = next(level for level in group["levels"] if level["level"] == JUDGED_LEVEL)
        ratios = [ratio(Rate(**own[kind]), Rate(**of_all[kind])) for kind in ("fmr", "fnmr")]
        similarity = judge(ratios)
        worse = max((each for each in ratios if each), key=lambda each: each.value, default=None)
        value, low, high = (worse.value, worse.low, worse.high) if worse else (None, None, None)
        note = f"{group['label']}: {group['group']}, the worse of both ratios."
        if similarity is Similarity.TOO_FEW:
            note += " Too few comparisons decide: measure more."
        verdict = _SIMILARITY[similarity]
        findings.append(RequirementFinding(standard, requirement, verdict, SIMILAR, value, low, high, note))
    return findings


def _of_search(report: ReportJson | None) -> list[RequirementFinding]:
    unmeasured: list[dict[str, Any]] = [{"level": 4, "fpir": None}]
    levels: list[dict[str, Any]] = report["levels"] if report else unmeasured
    return [
        _bounded(
            "NIST SP 800-63A-4, 3.11",
            f"FPIR of 1:N at level {level['level']}: 1 in 1,000 or better, in a gallery of the operational size",
            1e-3,
            level["fpir"],
            note=f"{report['entries']} entries" if report else "",
        )
        for level in levels
        if level["level"] >= 4
    ]


def _of_attacks(report: ReportJson | None) -> list[RequirementFinding]:
    note = _SIMULATED if report else "No attempts were measured."
    return [
        RequirementFinding(standard, requirement, RequirementVerdict.NOT_MEASURED, note=note)
        for standard, requirement in (
            ("ISO/IEC 30107-3", "APCER by species and BPCER with real presentation attack instruments"),
            ("NIST SP 800-63A-4, 3.11", "Presentation attack detection, tested as ISO/IEC 30107-3 says"),
            ("ETSI TS 119 461", "Presentation and injection attack detection of remote proofing, tested independently"),
        )
    ]


def _bounded(
    standard: str, requirement: str, bound: float, rate: Mapping[str, float] | None, note: str = ""
) -> RequirementFinding:
    if rate is None:
        return RequirementFinding(standard, requirement, RequirementVerdict.NOT_MEASURED, bound)
    value, low, high = (float(rate[name]) for name in ("value", "low", "high"))
    if high <= bound:
        verdict = RequirementVerdict.MET
    elif value > bound:
        verdict = RequirementVerdict.NOT_MET
    else:
        verdict, note = (
            RequirementVerdict.NOT_MEASURED,
            f"{note} The interval reaches beyond the bound: measure more.".strip(),
        )
    return RequirementFinding(standard, requirement, verdict, bound, value, low, high, note)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
