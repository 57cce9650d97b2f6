"""README says only what is true."""

from __future__ import annotations

import json
import re
import shlex

import pytest

from lab.cli.main import parser
from lab.home import PROJECT
from lab.selector.card import ranged

README = (PROJECT / "README.md").read_text()
COMMANDS = sorted({line.split("#")[0].strip() for line in README.splitlines() if re.match(r"(\.venv/bin/)?python -m lab ", line)})


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_of_the_readme_is_understood(line):
    words = shlex.split(line)
    assert parser().parse_args(words[words.index("lab") + 1 :]).run


@pytest.mark.parametrize("name", ["v5-32", "v9-47", "lab-47"])
def test_the_figures_of_the_readme_are_those_of_the_shipped_metrics(name):
    metrics = json.loads((PROJECT / "models" / "routers" / name / "metrics.json").read_text())
    row = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    for key in ("top1", "top3", "macro_f1"):
        low, high = metrics["intervals"][key]
        assert f"{metrics[key]:.1%} [{low:.1%}, {high:.1%}]" in row
    assert f"{metrics['ece']:.3f}" in row and f"{metrics['n']:,}" in row


def test_what_a_plain_gateway_loses_is_what_was_measured():
    alone = json.loads((PROJECT / "models" / "routers" / "lab-47" / "metrics.json").read_text())["head_alone"]
    for key in ("top1", "macro_f1"):
        low, high = alone["intervals"][key]
        assert f"{alone[key]:.1%} [{low:.1%}, {high:.1%}]" in README


@pytest.mark.parametrize("name", ["mmlu-pro-small", "mmlu-pro-large"])
def test_the_figures_of_the_selectors_are_those_of_their_judgement(name):
    report = json.loads((PROJECT / "models" / "selectors" / name / "report.json").read_text())
    rows = {row["strategy"]: row for row in report["rows"]}
    line = next(line for line in README.splitlines() if line.startswith(f"| `{name}` |"))
    for strategy in (f"Always {report['best_single'][0]}", "Domain oracle", "guarded-knn", "Oracle"):
        assert ranged(rows[strategy], "quality", "") in line
    assert ranged(rows["guarded-knn"], "gain", "+") in line and f"{report['n']:,} queries" in README


def test_both_commands_that_do_all_are_named():
    assert "make run" in README and "make test" in README


def test_every_file_that_the_readme_links_exists():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if "://" not in target:
            assert (PROJECT / target).exists(), target
