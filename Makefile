# make run: set up and start the app on port 8501. make test: set up and run every test.
PYTHON ?= python3
PORT ?= 8501
BIN := .venv/bin
export ROUTER_LAB_HOME ?= $(CURDIR)/.router-lab

.PHONY: run test setup setup-test bench clean

run: .venv/.ready $(ROUTER_LAB_HOME)/.prepared
	$(BIN)/streamlit run server.py --server.port $(PORT)

test: .venv/.ready-test $(ROUTER_LAB_HOME)/.prepared
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

bench: .venv/.ready-test $(ROUTER_LAB_HOME)/.prepared
	$(BIN)/python -m benchmarks

setup: .venv/.ready
setup-test: .venv/.ready-test

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Router Lab needs Python 3.11 or newer; set PYTHON=…")'
	$(PYTHON) -m venv .venv

.venv/.ready: .venv/bin/python requirements.txt constraints.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	@touch $@

.venv/.ready-test: .venv/.ready requirements-dev.txt
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt
	@touch $@

# Export and check the encoder, encode the corpus: once, about a minute and a half on two cores.
$(ROUTER_LAB_HOME)/.prepared: .venv/.ready lab/text/prepare.py lab/text/onnx_export.py
	$(BIN)/python -m lab prepare
	@touch $@

clean:
	rm -rf .venv .router-lab
