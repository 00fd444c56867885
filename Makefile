# Every target does its own set-up; the virtual environment is .venv. All paths are relative, so that
# the folder may have a space in its name.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
TOOLS := .venv/.tools

.PHONY: demo test slow faults evidence-campaign way-back-campaign bench lint lab clean

demo: $(STAMP) ## the runbook on the embedded target, from nothing to reports
	@$(BIN)/opsnb demo

test: $(TOOLS) ## what must hold, in a few minutes
	@$(BIN)/ruff check . && $(BIN)/mypy
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "not campaign and not slow" $(TESTS)

slow: $(TOOLS) ## what starts targets of its own, kills and waits; about ten minutes
	@$(BIN)/python -m pytest -n 2 --dist loadfile -m "slow and not campaign" $(TESTS)

faults: $(TOOLS) ## every fault of the embedded target against every notebook; several minutes
	@$(BIN)/python -m pytest -m campaign

evidence-campaign: $(TOOLS) ## secrets, kills, changes and hostile content against the archive; about an hour
	@$(BIN)/python -m tests.campaigns

way-back-campaign: $(TOOLS) ## rollbacks killed at random moments, a hundred from the snapshot and twenty to a point in time; about 50 minutes
	@$(BIN)/python -m tests.campaigns.rollbacks
	@$(BIN)/python -m tests.campaigns.rollbacks 20 --point-in-time

bench: $(TOOLS) ## ratios, not seconds
	@$(BIN)/python -m tests.benchmarks

lint: $(TOOLS)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

lab: $(STAMP) ## JupyterLab on the notebooks
	@$(BIN)/opsnb lab

clean: ## stop the embedded target and remove what was made here; reports stay
	@if [ -x $(BIN)/opsnb ]; then $(BIN)/opsnb local down || true; fi
	@rm -rf .venv .opsnb build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml constraints.txt
	@sh .ci/setup.sh "$(PYTHON)" local $(STAMP)

$(TOOLS): pyproject.toml constraints.txt
	@sh .ci/setup.sh "$(PYTHON)" local,dev $(TOOLS) && touch $(STAMP)
