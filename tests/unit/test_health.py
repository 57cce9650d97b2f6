"""Health of a corpus: each kind of trouble is found, and clean text is not accused (lab.corpus.health)."""

import json

import pytest

from lab.corpus.health import LISTED, examine, mojibake, special_token, tokenizer_mark
from lab.corpus.read import read_upload

LONG = "comment regler la boucle de courant du moteur quand la tension de la carte baisse et que le filtre laisse passer tout le bruit"
CLEAN = [
    {"prompt": "How do I list the files of a folder by size in a terminal?", "domain": "shell", "lang": "en"},
    {"prompt": "What does set -o pipefail change in a script?", "domain": "shell", "lang": "en"},
    {"prompt": "Quelle est la différence entre une thermistance CTN et une sonde Pt100 ?", "domain": "electronics-hw", "lang": "fr"},
    {"prompt": "Pourquoi le condensateur de découplage doit-il être près du circuit ?", "domain": "electronics-hw", "lang": "fr"},
]
TROUBLE = {
    "refused": ([{"prompt": ""}, ["no"]], 2, "error"),
    "mojibake": (
        [
            {"prompt": "La tempÃ©rature du capteur est affichÃ©e en degrÃ©s", "lang": "fr"},
            {"prompt": "l’heure d’été", "lang": "fr"},
            {"prompt": "lâ€™heure du serveur", "lang": "fr"},
        ],
        2,
        "error",
    ),
    "tokenizer_marks": (
        [{"prompt": "HowĠdoĠIĠflash this board", "lang": "en"}, {"prompt": "line oneĊline two of the message", "lang": "en"}],
        2,
        "error",
    ),
    "special_tokens": (
        [
            {"prompt": "why does my model print <|endoftext|> in the middle", "lang": "en"},
            {"prompt": "what is the [CLS] token for", "lang": "en"},
        ],
        2,
        "warning",
    ),
    "exact_duplicates": (
        [
            {"prompt": "restart the nginx service please"},
            {"prompt": "  restart the nginx service please\r\n"},
            {"prompt": "restart the nginx service please"},
        ],
        1,
        "warning",
    ),
    "conflicting_duplicates": (
        [{"prompt": "restart the nginx service please"}, {"prompt": "restart the nginx service please", "domain": "devops"}],
        1,
        "error",
    ),
    "near_duplicates": ([{"prompt": f"{LONG} a"}, {"prompt": f"{LONG} b"}], 1, "warning"),
    "near_duplicates_across_domains": ([{"prompt": f"{LONG} a"}, {"prompt": f"{LONG} b", "domain": "power"}], 1, "error"),
    "near_duplicates_across_splits": ([{"prompt": f"{LONG} a", "split": "train"}, {"prompt": f"{LONG} b", "split": "test"}], 1, "error"),
    "language_differs": ([{"prompt": "Quelle est la capitale de la Mongolie, et combien d'habitants a-t-elle ?", "lang": "en"}], 1, "info"),
    "over_gateway_length": ([{"prompt": "How does this work? " * 60, "lang": "en"}], 1, "info"),
    "low_support": ([{"prompt": "Which way is north in Ulaanbaatar?", "domain": "general", "lang": "en"}], 1, "warning"),
}
ALONG = {"near_duplicates_across_splits": {"near_duplicates"}}
"""Other kinds that a trouble brings with it."""


def health_of(values, min_support=1):
    data = b"".join(
        json.dumps(value if isinstance(value, list) else {"domain": "shell"} | value, ensure_ascii=False).encode() + b"\n"
        for value in values
    )
    return examine(read_upload(data, "x.jsonl"), min_support)


def counts(health):
    return {finding.kind: finding.count for finding in health.findings if finding.count}


def test_clean_rows_have_no_finding():
    health = health_of(CLEAN)
    assert counts(health) == {}
    assert health.healthy
    assert (health.rows, health.refused) == (4, 0)


@pytest.mark.parametrize("kind", TROUBLE)
def test_each_kind_of_trouble_is_found_counted_and_shown(kind):
    rows, count, severity = TROUBLE[kind]
    health = health_of([*CLEAN, *rows], min_support=2 if kind == "low_support" else 1)
    finding = next(one for one in health.findings if one.kind == kind)
    assert (finding.count, finding.severity) == (count, severity)
    assert len(finding.examples) == count
    assert all(example["what"] for example in finding.examples)
    assert set(counts(health)) == {kind} | ALONG.get(kind, set())
    assert health.healthy == (severity != "error")


def test_the_table_above_knows_every_kind_that_is_looked_for():
    assert {finding.kind for finding in health_of(CLEAN).findings} == set(TROUBLE)


def test_an_example_says_where():
    finding = next(one for one in health_of([*CLEAN, {"prompt": "cassÃ© en deux", "lang": "fr"}]).findings if one.kind == "mojibake")
    assert finding.examples == [{"where": "x.jsonl:5", "domain": "shell", "what": "Ã©", "text": "cassÃ© en deux"}]


def test_many_examples_are_counted_and_the_first_ones_listed():
    finding = next(one for one in health_of([{"prompt": f"cassÃ© {n}"} for n in range(LISTED + 10)]).findings if one.kind == "mojibake")
    assert (finding.count, len(finding.examples)) == (LISTED + 10, LISTED)


def test_a_text_that_fits_the_gateway_after_preparation_is_not_called_too_long():
    assert "over_gateway_length" not in counts(
        health_of([{"prompt": "a line\r\n" * 130, "lang": "en"}])
    )  # 1 038 characters as written, 909 prepared


@pytest.mark.parametrize(
    "text",
    [
        "ça coûte 30 € à Ångström",
        "naïve café — “quoted” … l’été",
        "SÃO PAULO e João",
        "À propos",
        "日本語のテキスト",
        "x² ± 3 µm, 5 Ω",
        "🙂 emoji 👩‍🔬",
        "¿Cuál es? ¡Sí!",
        "Größe",
    ],
)
def test_well_decoded_text_is_not_called_mojibake(text):
    assert mojibake(text) is None


@pytest.mark.parametrize("text", ["tempÃ©rature", "lâ€™heure", "50Â\u00a0%", "caf\ufffd", "ï»¿{}", "GrÃ¶ÃŸe", "Ã  la carte"])
def test_badly_decoded_text_is_called_mojibake(text):
    assert mojibake(text)


@pytest.mark.parametrize(
    ("test", "marked", "clean"),
    [
        (tokenizer_mark, "▁hello", "_hello G C"),
        (special_token, "text </s>", "a < b and </span> # ## title"),
        (special_token, "token ##ing", "C## is no language"),
    ],
)
def test_marks_of_tokenizers_and_models(test, marked, clean):
    assert test(marked)
    assert test(clean) is None


def test_lengths_and_domains_are_counted():
    health = health_of([{"prompt": "x" * n + f" {n}", "domain": "a" if n < 8 else "b"} for n in range(1, 11)])
    assert health.per_domain == {"a": 7, "b": 3}
    assert health.length_characters == {"min": 3, "p10": 4, "median": 8, "p90": 13, "p99": 13, "max": 13}


def test_an_empty_reading_is_examined_without_error():
    assert examine(read_upload(b"", "x.jsonl")).length_characters == {}


@pytest.fixture(scope="module")
def shipped(bench):
    return examine(bench.corpus)


def test_the_shipped_corpus_is_healthy(shipped, bench):
    assert shipped.healthy
    assert shipped.rows == len(bench.corpus.rows)
    assert {kind for kind, n in counts(shipped).items() if n} <= {"special_tokens", "near_duplicates", "language_differs"}


def test_on_the_shipped_corpus_the_detected_language_is_the_written_one_in_97_percent(shipped):
    differing = counts(shipped)["language_differs"]
    assert differing / shipped.rows < 0.03


def test_the_report_is_json(shipped):
    assert json.loads(json.dumps(shipped.to_json()))["rows"] == shipped.rows
