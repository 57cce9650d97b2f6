"""Accessibility: what axe finds serious or critical on a page."""

from __future__ import annotations

from pathlib import Path

RUN = "() => axe.run(document, {resultTypes: ['violations']}).then(found => found.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.target + ' ' + node.html.slice(0, 160))]))"


def serious(page, patience: int = 12) -> list[list]:
    """[impact, rule, nodes] of each finding that stays: while the page fades in, its contrast is that of no state. axe comes with a package."""
    from axe_playwright_python.base import AXE_FILE_PATH

    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
    for _ in range(patience):
        found = [one for one in page.evaluate(RUN) if one[0] in ("serious", "critical")]
        if not found:
            break
        page.wait_for_timeout(500)
    return found
