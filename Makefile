# Basinscope. `make app` sets everything up and starts the app; `make test` sets everything up
# and runs all checks. Both only install what is missing.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8501

.PHONY: app test lint bench demo clean

app: $(VENV)/app.stamp
	@echo "Basinscope: open http://localhost:$(PORT) (Ctrl+C stops it)"
	@$(BIN)/streamlit run app.py --server.port $(PORT)

test: $(VENV)/dev.stamp lint
	@tests/browser/install_browser.sh
	$(BIN)/python -m pytest tests/browser
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --ignore tests/browser

lint: $(VENV)/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

bench: $(VENV)/app.stamp
	$(BIN)/python -m benchmarks.matching
	$(BIN)/python -m benchmarks.landscape

demo: $(VENV)/app.stamp
	$(BIN)/python -m engine.training.demo
	$(BIN)/python -m engine.runs.demo

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	@echo "Setting up $(VENV) with $(PYTHON) …"
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; try: make PYTHON=/path/to/python3.11"; exit 1; }
	@"$(PYTHON)" -m venv $(VENV) \
		|| { rm -rf $(VENV); echo "Python's venv is missing: apt-get install python3-venv"; exit 1; }

$(VENV)/app.stamp: requirements.txt | $(VENV)/bin/python
	@echo "Installing what the app needs (once; torch is large) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/dev.stamp: requirements-dev.txt $(VENV)/app.stamp
	@echo "Installing test and lint tools (once) …"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@
