"""The alert rules and the dashboard speak of the metrics that a server gives, and of all of them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

import likeness.app  # its modules make the metrics
from likeness.kit.metrics import METRICS, Times

assert likeness.app
REPOSITORY = Path(__file__).resolve().parents[2]
RULES = yaml.safe_load((REPOSITORY / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
DASHBOARD = json.loads((REPOSITORY / "deploy" / "grafana" / "likeness.json").read_text())
OPERATIONS = (REPOSITORY / "docs" / "operations.md").read_text()
NAME = re.compile(r"\b(?:likeness|process)_[a-z_]+")
LABEL = re.compile(r"(\w+)(?:=~?|!=)\"([^\"]*)\"")


def expressions() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel.get("targets", ()))


def metric_of(name: str) -> str:
    """Give the metric that a line in the text format is of."""
    bare = re.sub(r"_(bucket|sum|count)$", "", name)
    return bare if isinstance(METRICS.get(bare), Times) else name


def metrics_in(text: str) -> set[str]:
    return {metric_of(name) for name in NAME.findall(text)}


def test_rules_and_dashboard_name_every_metric_and_no_other() -> None:
    assert set().union(*map(metrics_in, expressions())) == set(METRICS)


def test_the_docs_name_every_metric_and_no_other() -> None:
    chapter = OPERATIONS.split("\n## Metrics\n")[1].split("\n## ")[0]
    assert metrics_in(chapter) == set(METRICS)


def test_the_labels_are_those_of_the_metrics() -> None:
    for expression in expressions():
        for selector in re.finditer(r"\b((?:likeness|process)_[a-z_]+)\{([^}]*)\}", expression):
            metric = METRICS[metric_of(selector[1])]
            for label, value in LABEL.findall(selector[2]):
                assert label in {*metric.labels, "instance"}
                known = metric.labels.get(label, ())
                assert not known or value in known, (expression, value)
        for label in re.findall(r"(?:by|without) \(([\w, ]+)\)", expression):
            known_labels = {"le"}.union(*(METRICS[name].labels for name in metrics_in(expression)))
            assert set(label.split(", ")) <= known_labels, expression


def test_each_rule_says_how_bad_it_is_and_what_to_do() -> None:
    names = [rule["alert"] for rule in RULES]
    assert len(set(names)) == len(names) > 10
    for rule in RULES:
        assert set(rule) - {"for"} == {"alert", "expr", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert all(text.endswith(".") for text in rule["annotations"].values())


def test_the_panels_fit_on_the_page() -> None:
    taken: set[tuple[int, int]] = set()
    panels: list[dict[str, Any]] = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken
        taken |= cells
