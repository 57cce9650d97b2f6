"""Router Lab. Start with ``make run``, or ``streamlit run app.py`` in an environment that has requirements.txt."""

from pathlib import Path
from typing import Literal

import streamlit as st

from lab.errors import LabError
from pages.shared import people
from pages.shared.frame import show_error
from pages.shared.ship_common import follow_champion

# Streamlit writes code in captions in faded green, and in the dark theme a chosen segment and a slider's value in the primary colour on the
# ground: 2 to 4.1 : 1. No theme option reaches them.
READABLE = "[data-testid=stCaptionContainer] code { color: inherit; background: none; }"
READABLE_DARK = "[data-selected=true] p, [data-testid=stSliderThumbValue] p { color: #6db1ff; }"


def _visible(role: str) -> Literal["visible", "hidden"]:
    """Whether the navigation lists a group of pages; a link opens them for everybody, to look at."""
    try:
        return "visible" if people.may(role) else "hidden"
    except LabError:  # the page says what is wrong
        return "visible"


def _links(pages: dict[str, list]) -> None:
    """The navigation, in our own markup: Streamlit's puts headings between the items of a list, which screen readers stumble on."""
    with st.sidebar.container(gap="xxsmall", key="navigation"):
        for group, of_group in pages.items():
            shown = [page for page in of_group if page.visibility == "visible"]
            if shown:
                st.caption(group)
            for page in shown:
                st.page_link(page)


def main() -> None:
    """The frame of every page: title, navigation, and the edge where errors become sentences."""
    st.set_page_config(page_title="Router Lab", page_icon=str(Path(__file__).parent / "static" / "icon.png"), layout="wide")
    ship = _visible("maintainer")
    pages = {
        "Explore": [
            st.Page("pages/try_prompt.py", title="Try a prompt", icon=":material/bolt:", url_path="try", default=True),
            st.Page("pages/scorecard.py", title="Scorecard", icon=":material/monitoring:", url_path="scorecard"),
            st.Page("pages/confusions.py", title="Confusions", icon=":material/grid_on:", url_path="confusions"),
            st.Page("pages/map.py", title="Map", icon=":material/scatter_plot:", url_path="map"),
            st.Page("pages/guide.py", title="Guide", icon=":material/menu_book:", url_path="guide"),
        ],
        "Curate": [
            st.Page("pages/queue.py", title="Queue", icon=":material/inbox:", url_path="queue"),
            st.Page("pages/curation.py", title="Curation set", icon=":material/rule:", url_path="curation"),
        ],
        "Ship": [
            st.Page("pages/retrain.py", title="Retrain", icon=":material/model_training:", url_path="retrain", visibility=ship),
            st.Page("pages/models.py", title="Models", icon=":material/inventory_2:", url_path="models", visibility=ship),
        ],
        "Select": [
            st.Page("pages/selectors.py", title="Selectors", icon=":material/fork_right:", url_path="selectors"),
            st.Page("pages/benchmark.py", title="Benchmark", icon=":material/speed:", url_path="benchmark", visibility=ship),
        ],
    }
    navigation = st.navigation(pages, position="hidden")
    st.html(f"<style>{READABLE} {READABLE_DARK if st.context.theme.type == 'dark' else ''}</style>")
    _links(pages)
    try:
        people.remember()
        people.badge()
        follow_champion()
        navigation.run()
    except LabError as error:  # what a person can act on is a sentence; anything else is a bug and keeps its traceback
        show_error(error)


if __name__ == "__main__":
    main()
