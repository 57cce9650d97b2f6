"""Router Lab. Start with ``make run``, or ``streamlit run app.py`` in an environment that has requirements.txt."""

from pathlib import Path

import streamlit as st

from pages.frame import page

st.set_page_config(page_title="Router Lab", page_icon=str(Path(__file__).parent / "static" / "icon.png"), layout="wide")

navigation = st.navigation(
    {
        "Explore": [
            st.Page(page("try_prompt"), title="Try a prompt", icon=":material/bolt:", url_path="try", default=True),
            st.Page(page("guide"), title="Guide", icon=":material/menu_book:", url_path="guide"),
        ],
    }
)
navigation.run()
