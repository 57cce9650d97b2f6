"""The training-data document: what the corpus holds, where it is from, how it was labelled, split and kept honest."""

from __future__ import annotations

from lab.release.cards import cell, percent, sources_table, table
from lab.release.facts import Facts
from lab.release.provider import Provider


def training_document(facts: Facts, provider: Provider) -> str:
    snapshot = facts.snapshot
    head = f"# Training data of router {facts.version.short}"
    if snapshot is None:
        return f"{head}\n\nThis version has no corpus snapshot: what it was trained on is not known.\n"
    made, n = snapshot.composition, len(snapshot.labels)
    languages = ", ".join(f"{cell(name)} {count} ({percent(count / n)})" for name, count in made["per_language"].items())
    sides = [[domain, *row.values(), sum(row.values())] for domain, row in made["per_domain"].items()]
    fewest = min(made["per_domain"].items(), key=lambda item: item[1]["train"])
    left_out = "; ".join(f"{cell(why)}: {count}" for why, count in made["left_out"].items()) or "none"
    renamed = "; ".join(f"{cell(what)}: {count}" for what, count in made["renamed"].items()) or "none"
    parts = [
        head, f"Corpus `{snapshot.corpus_sha256}`, revision {cell(snapshot.revision)}: {n} prompts in {len(made['per_domain'])} domains.",
        "## Origin and licences", sources_table(facts), f"Copyright: {cell(provider.said('copyright_status'))}",
        "## Languages", languages + ".",
        "## Labels",
        f"One primary domain a prompt; {made['rows_with_also']} prompts name further domains that could answer as well. Every label is kept by the hash of its "
        f"prompt in the version itself. Rows left out: {left_out}. Labels renamed: {renamed}.",
        "## Split",
        f"By hash of the text, near-duplicates on the same side, frozen (`{snapshot.split_sha256[:12]}`). Fewest training prompts: {cell(fewest[0])} with {fewest[1]['train']}.",
        table(["Domain", *next(iter(made["per_domain"].values())), "All"], sides),
        "## Kept apart", "Prompts of the test side, of the golden set and of the behavioural suites are never trained on; the gate checks it by hash.",
    ]  # fmt: skip
    return "\n\n".join(parts) + "\n"
