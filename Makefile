# medfit: `make sweep` and `make test` do all the set-up themselves. `make help` lists the rest.
# EXPERIMENT=<folder of experiments/>   ARGS="<Hydra overrides>" (for test: pytest's options)
# MODEL=<run id, or models:/name@alias>   RUN=<run id>
EXPERIMENT ?=
MODEL ?=
RUN ?=
ARGS ?=

PYTHON := $(firstword $(foreach p,python3 python3.14 python3.13 python3.12 python3.11 python,$(shell \
	command -v $(p) >/dev/null 2>&1 && $(p) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(p))))
MEDFIT := .venv/bin/medfit
CPU_WHEELS := https://download.pytorch.org/whl/cpu
OVERRIDES := $(if $(EXPERIMENT),experiment=$(EXPERIMENT)) $(ARGS)

.PHONY: help setup inspect sweep train evaluate compare explain sample predict validate export register serve rerun rerun-all report doctor ui dashboard chaos coverage noise bench mutants test lint clean
.DEFAULT_GOAL := help

help:  ## show the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'
	@echo '  Variables: EXPERIMENT=<folder of experiments/>  ARGS="<Hydra overrides>"'

inspect: .venv/.ready  ## show what a data set holds, a row a column (ARGS="dataset=table dataset.path=my.csv")
	@$(MEDFIT) inspect $(OVERRIDES)

sweep: .venv/.ready  ## search learning rate, batch size and regularisation, and report the best
	@$(MEDFIT) sweep $(OVERRIDES)

train: .venv/.ready  ## train one model
	@$(MEDFIT) train $(OVERRIDES)

evaluate: .venv/.ready  ## train over several seeds and score the test split beside baselines
	@$(MEDFIT) evaluate $(OVERRIDES)

compare: .venv/.ready  ## tell whether one run is better than another (ARGS="<run id> <run id>")
	@$(MEDFIT) compare $(OVERRIDES)

explain: .venv/.ready  ## show why a run predicts what it predicts (ARGS="explain.run=<id>")
	@$(MEDFIT) explain $(OVERRIDES)

sample: .venv/.ready  ## write images that a run makes (ARGS="sample.run=<id>")
	@$(MEDFIT) sample $(OVERRIDES)

predict: .venv/.ready  ## apply a finished model to new patients (ARGS="<run id> data=new.csv out=predictions.csv")
	@$(MEDFIT) predict $(ARGS)

validate: .venv/.ready  ## score a finished model on other patients (ARGS="<run id> data=other_hospital.csv")
	@$(MEDFIT) validate $(ARGS)

export: .venv/.ready  ## write a finished model as one ONNX or torch.export file (ARGS="<run id> format=onnx out=model.onnx")
	@$(MEDFIT) export $(ARGS)

register: .venv/.ready  ## give a finished model a name and a card (ARGS="<run id> name=masses alias=champion")
	@$(MEDFIT) register $(ARGS)

serve: .venv/.ready  ## answer requests with a model, on this machine only (MODEL=models:/masses@champion)
	@$(MEDFIT) serve $(MODEL) $(ARGS)

rerun: .venv/.ready  ## do a finished run again with its own code, and compare the numbers (RUN=<run id>)
	@$(MEDFIT) rerun $(RUN) $(ARGS)

rerun-all: .venv/.ready  ## train the experiments' best values again, and compare with what is committed (ARGS="--only heart_disease_diagnosis")
	@.venv/bin/python benchmarks/reruns.py $(ARGS)

report: .venv/.ready  ## write an experiment's page of results
	@$(MEDFIT) report $(OVERRIDES)

doctor: .venv/.ready  ## end what killed processes left running, and check that studies and runs agree
	@$(MEDFIT) doctor $(OVERRIDES)

ui: .venv/.ready  ## browse the runs with MLflow, on this machine only
	@$(MEDFIT) ui $(OVERRIDES)

dashboard: .venv/.ready  ## watch a sweep with Optuna's pages, on this machine only
	@$(MEDFIT) dashboard $(OVERRIDES)

chaos: .venv/.ready  ## make sweeps fail in every way, and check that they go on (ARGS="--rounds 100 --seed 0")
	@.venv/bin/python benchmarks/chaos.py $(ARGS)

coverage: .venv/.ready  ## count how often intervals hold a known truth (ARGS="--studies 1000 --seed 0")
	@.venv/bin/python benchmarks/interval_coverage.py $(ARGS)

noise: .venv/.ready  ## sweep pure noise, and see what is reported (ARGS="--seeds 0 1 2")
	@.venv/bin/python benchmarks/noise.py $(ARGS)

bench: .venv/.ready  ## measure speed beside loops by hand, some twenty minutes (ARGS="--only sweep start --repeats 5")
	@.venv/bin/python benchmarks/bench.py $(ARGS)

mutants: .venv/.ready  ## plant faults in the code that scores and stores, for hours (ARGS="--sample 8 --seed 1")
	@.venv/bin/python benchmarks/mutants.py $(ARGS)

test: .venv/.ready  ## run the tests (ARGS="-m 'not slow'" for the fast ones, in a fifth of the time)
	@.venv/bin/pytest -n 2 $(ARGS)

lint: .venv/.ready  ## check style, types, and which way imports go
	@.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports --no-logo

setup: .venv/.ready  ## create the environment, without running anything

clean:  ## remove the environment (results under runs/ stay)
	@rm -rf .venv

.venv/.ready: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "medfit needs Python 3.11 or later with its venv module, and found none." >&2; exit 1; }
	@echo "Setting up .venv, once: pip fetches some 160 packages, then unpacks them, which takes minutes; it tells of each."
	@if test "`uname -s`$(PIP_EXTRA_INDEX_URL)" = Linux; then \
		echo "On Linux torch brings CUDA, 6.5 GB in all. Where there is no GPU, 2.7 GB are enough; stop this, and type"; \
		echo "  make setup PIP_EXTRA_INDEX_URL=$(CPU_WHEELS)"; fi
	@$(PYTHON) -m venv --upgrade-deps .venv
	@.venv/bin/pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
