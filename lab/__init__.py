"""Router Lab: see, question and improve the decisions of prompt routers. Never imports streamlit."""
