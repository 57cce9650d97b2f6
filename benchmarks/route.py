"""One prompt, short, medium and long: the lab's whole route against the bare encoder and against SentenceTransformer + head."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.common import Figure, interleaved, ratio, sentence_transformer
from lab.text.prepare import prepare
from lab.workbench import Workbench

PROMPTS = {
    "short": "how do I flash my stm32 over swd",
    "medium": "Les modules MQTT de l'ESP32 perdent la connexion toutes les dix minutes, la box est à trois mètres et le RSSI reste à -48 dBm. "
    "J'ai déjà changé l'alimentation et le broker, que regarder ensuite ?",
    "long": "Explain what this stack trace says, step by step, and how you would find the cause in a service of this kind. " * 6,
}


def run() -> Iterator[Figure]:
    bench = Workbench()
    router = bench.router()
    usual = sentence_transformer()
    served = bench.precision(router)
    serving = {precision: bench.encoder(router.encoder_name, precision) for precision in ("int8", "int8-fast", "fp32")}
    for name, text in PROMPTS.items():
        prepared = prepare(text)
        contestants = {
            "route": lambda text=text: bench.route(text, router),
            "usual": lambda prepared=prepared: router.score(usual.encode([prepared], normalize_embeddings=True)[0], prepared),
        } | {key: lambda encoder=encoder, prepared=prepared: encoder.encode([prepared]) for key, encoder in serving.items()}
        seconds = interleaved(contestants, 150)
        yield Figure(f"{name}: SentenceTransformer + head", f"{seconds['usual'] * 1e3:.2f} ms")
        yield Figure(f"{name}: route ({served}, calibrated, decided)", f"{seconds['route'] * 1e3:.2f} ms")
        for key in serving:
            yield Figure(f"{name}: encode alone, {key}", f"{seconds[key] * 1e3:.2f} ms")
        overhead = seconds["route"] / seconds[served]
        yield Figure(f"{name}: route / bare {served} encode", f"{overhead:.2f} ×", "target ≤ 1.3 ×", overhead <= 1.3)
        yield ratio(f"{name}: SentenceTransformer + head / route", seconds["usual"] / seconds["route"], 6)
