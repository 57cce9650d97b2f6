"""Where the prompts lie: the layout of the corpus, and the place of a typed prompt on it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from lab.router.router import Router
from lab.use_cases.opening import Opening, Progress

if TYPE_CHECKING:
    from lab.evaluation.maps import Job, Maps
    from lab.evaluation.projection import Layout


class Mapping(Opening):
    """A part of :class:`lab.workbench.Workbench`."""

    @cached_property
    def maps(self) -> Maps:
        from lab.evaluation.maps import Maps

        return Maps(self.home.projections, self.home.project / "models" / "map" / "layout.npz")

    def map_layout(self, router: Router, progress: Progress | None = None) -> Layout | Job:
        """Where the corpus lies for this router's encoder, or the background job that computes it."""
        index = self.corpus_index(router.encoder_name, progress)
        encoder_id, ids = self.serving_encoder(router).id, [row.id for row in index.rows]
        return self.maps.layout(encoder_id, ids, index.vectors) or self.maps.compute(router.encoder_name, encoder_id, ids)

    def pin(self, text: str, router: Router, layout: Layout) -> tuple[float, float]:
        """The place of a typed prompt among those of ``layout``. InputError for a text that cannot be routed."""
        from lab.evaluation.projection import place

        index = self.corpus_index(router.encoder_name)
        points = layout.xy[layout.find([row.id for row in index.rows])]
        x, y = place(self.serving_encoder(router).encode([text]), index.vectors, points)[0]
        return float(x), float(y)
