"""The differences between groups, as tables."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from likeness.evaluation.recognition.groups.differential import Differential, Estimate
from likeness.evaluation.recognition.performance import GroupRates
from likeness.evaluation.report.page import percent


def print_differentials(
    console: Console, whole: GroupRates, groups: Sequence[GroupRates], differences: Sequence[Differential]
) -> None:
    """Print for each group its error rates as ratios, then its failures, scores and times (ISO/IEC 19795-10)."""
    ratios = Table(
        "within",
        "FMR, x all",
        "x best",
        "FNMR, x all",
        "x best",
        "at most 25 % worse",
        title=f"ratios at level {differences[0].level}, to all photos (95 %) and to the best group",
        box=box.SIMPLE_HEAD,
    )
    scores = Table(
        "within",
        "photos",
        "FTA",
        "genuine scores",
        "impostor scores",
        "time of a photo",
        title="failures to acquire, shift of the mean scores (95 %), median time",
        box=box.SIMPLE_HEAD,
    )
    scores.add_row(
        whole.group,
        f"{whole.photos:,}",
        percent(whole.failure_to_acquire.value),
        f"mean {whole.genuine_score.value:.3f}",
        f"mean {whole.impostor_score.value:.3f}",
        _milliseconds(whole.median_seconds),
    )
    for group, of in zip(groups, differences, strict=True):
        name = escape(f"{of.label}: {of.group}")
        ratios.add_row(
            name,
            _estimate(of.fmr, ".2g"),
            f"{of.fmr_to_best.value:.2g}" if of.fmr_to_best else "-",
            _estimate(of.fnmr, ".2g"),
            f"{of.fnmr_to_best.value:.2g}" if of.fnmr_to_best else "-",
            of.similarity,
        )
        scores.add_row(
            name,
            f"{group.photos:,}",
            percent(group.failure_to_acquire.value),
            _estimate(of.genuine_shift, "+.3f"),
            _estimate(of.impostor_shift, "+.3f"),
            _milliseconds(of.median_seconds),
        )
    console.print(ratios)
    console.print(scores)


def _estimate(estimate: Estimate | None, form: str) -> str:
    return f"{estimate.value:{form}} ({estimate.low:{form}} - {estimate.high:{form}})" if estimate else "-"


def _milliseconds(seconds: float | None) -> str:
    return "from a cache" if seconds is None else f"{1000 * seconds:.0f} ms"
