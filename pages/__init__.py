"""The app's pages. Scripts lie one folder down: Streamlit would take files right here for pages of its old multipage mode."""
