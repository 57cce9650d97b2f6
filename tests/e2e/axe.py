"""Accessibility: what axe finds serious or critical on a page."""

from __future__ import annotations

from pathlib import Path

NAVIGATION = "[data-testid=stSidebarNavItems]"
"""Streamlit's navigation is left out: it lists headings between the items of a list, which no page can change."""

CHOSEN_SEGMENT = "[data-selected=true]"
"""Left out in the dark theme: Streamlit writes white on the primary colour (buttons) and the primary colour on the ground (this). No colour
gives both 4.5 : 1; ours gives the buttons 4.6 and the segment, which a frame and a tint mark too, 4.1."""

RUN = "left => axe.run({exclude: left.map(one => [one])}, {resultTypes: ['violations']}).then(found => found.violations.map(one => [one.impact, one.id, one.nodes.map(node => node.target + ' ' + node.html.slice(0, 160))]))"


def serious(page, *left_out: str, patience: int = 12) -> list[list]:
    """[impact, rule, nodes] of each finding that stays: while the page fades in, its contrast is that of no state. axe comes with a package."""
    from axe_playwright_python.base import AXE_FILE_PATH

    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(Path(AXE_FILE_PATH).read_text(encoding="utf-8"))
    for _ in range(patience):
        found = [one for one in page.evaluate(RUN, [NAVIGATION, *left_out]) if one[0] in ("serious", "critical")]
        if not found:
            break
        page.wait_for_timeout(500)
    return found
