"""``python -m lab ood`` and ``behave``: what they print and how they fail."""

import json

import pytest

from lab.cli.main import main


@pytest.fixture
def run(capsys):
    def call(*arguments):
        capsys.readouterr()
        status = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return status, out, err

    return call


def jsonl(path, *values):
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    return path


@pytest.mark.real
def test_ood_json_is_bound_and_holds_every_score_with_intervals(run, bench):
    status, out, err = run("ood", "--router", "lab-47", "--part", "held", "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["router_sha256"] == bench.router("lab-47").sha256
    assert report["precision"] == "fp32" and report["encoder_id"] and len(report["in_sha256"]) == len(report["out_sha256"]) == 64
    assert report["n_in"] == bench.router("lab-47").metrics["n"] and report["n_out"] > 100
    assert set(report["scores"]) == {
        "max_probability",
        "max_logit",
        "energy",
        "joint_energy",
        "mahalanobis",
        "relative_mahalanobis",
        "nearest",
        "knn",
    }
    for row in report["scores"].values():
        assert row["auroc_interval"][0] <= row["auroc"] <= row["auroc_interval"][1]
        assert row["fpr95_interval"][0] <= row["fpr95"] <= row["fpr95_interval"][1]
    assert report["best"] == max(report["scores"], key=lambda name: report["scores"][name]["auroc"])
    assert report["best"] in report["sentence"]


@pytest.mark.real
def test_ood_leaves_out_domains_that_the_router_lacks_and_lists_bad_lines(run, tmp_path, bench):
    outside = jsonl(tmp_path / "out.jsonl", *({"prompt": f"zorg {n} blatt"} for n in range(25)), {"prompt": ""})
    inside = jsonl(
        tmp_path / "in.jsonl",
        *({"prompt": f"docker image number {n}", "domain": "docker"} for n in range(25)),
        {"prompt": "AUTOSAR?", "domain": "autosar-cert"},
    )
    status, out, _ = run("ood", "--router", "v5-32", "--in", inside, "--out", outside)
    assert status == 0
    assert "25 in-domain and 25 out-of-domain prompts" in out
    assert "left out, domain unknown to the router: {'autosar-cert': 1}" in out
    assert "refused: 1 rows, first {'where': 'out.jsonl:26', 'reason': 'the prompt is empty'}" in out


def test_ood_says_what_is_wrong_with_its_input(run, tmp_path):
    few, empty = jsonl(tmp_path / "few.jsonl", {"prompt": "x"}), jsonl(tmp_path / "empty.jsonl", {"no": 1})
    for arguments, message in (
        (("--out", tmp_path / "none.jsonl"), "does not exist"),
        (("--out", tmp_path), "is a folder"),
        (("--out", empty), "holds no usable prompt (empty.jsonl:1: no prompt"),
        (("--out", few), "There are 1 out-of-domain prompts; under 20"),
        (("--out", few, "--part", "dev"), "No out-of-domain prompt is left by --part dev"),
        (("--in", few, "--side", "valid"), "No in-domain prompt is left by --side valid"),
        (("--router", "v6"), "There is no router 'v6'"),
    ):
        status, out, err = run("ood", *arguments)
        assert (status, out) == (1, ""), arguments
        assert err.startswith("Error: ") and message in err


@pytest.mark.real
def test_behave_json_and_table(run, bench):
    status, out, _ = run("behave", "--router", "v5-32", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["bound_to"]["router_sha256"] == bench.router("v5-32").sha256
    assert report["base_prompts"] == 2 * len(bench.router("v5-32").domains)
    assert sum(report["left_out"].values()) + report["base_prompts"] == 2 * len(bench.taxonomy.domains)
    for name, row in report["suites"].items():
        assert row["interval"][0] - 1e-9 <= row["flip_rate"] <= row["interval"][1] + 1e-9, name
        assert row["cost_flip_rate"] <= row["flip_rate"] and len(row["examples"]) <= 10
    status, table, _ = run("behave", "--router", "v5-32")
    assert status == 0
    assert [line.split()[0] for line in table.splitlines()[2 : 2 + len(report["suites"])]] == list(report["suites"])
    assert "two topics, n=" in table and "left out" in table


def test_behave_says_what_is_wrong(run):
    status, out, err = run("behave", "--router", "v6")
    assert (status, out) == (1, "")
    assert "There is no router 'v6'" in err
