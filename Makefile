# Few verbs: demo, test, check, examples, bench, pages, docs, site. Each sets up .venv first, with nothing but python and make.
PYTHON ?= python3
TORCH := $(or $(TORCH),2.13.0)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
READY := $(VENV)/.ready
DEV := $(VENV)/.dev
MKDOCS := NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs
export PYTHONWARNINGS ?= ignore

.PHONY: demo test check examples bench pages docs site clean
.DEFAULT_GOAL := demo

# torch first and pinned: an unpinned one would bring gigabytes of CUDA packages. pip reads
# dependency groups since 25.1.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "lossmith needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)
	$(PIP) 'pip>=25.1' torch==$(TORCH)
	$(PIP) --editable '.[select,data]'
	@touch $@

$(DEV): $(READY)
	$(PIP) --editable . --group dev torch==$(TORCH)
	@touch $@

demo: $(READY)
	@$(BIN)/python bench/ames.py runs/ames.csv
	$(BIN)/lossmith select runs/ames.csv --target price --metric mae --out runs/ames --force

test: check
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto  # a process a core, a thread each

check: $(DEV)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Every example, one after the other, and docs/examples.md of what they print.
examples: $(DEV)
	@$(BIN)/python bench/examples.py
	@$(BIN)/python bench/examples.py --page docs/examples.md

bench: $(DEV)
	$(BIN)/python bench/start.py --out docs/start.md
	$(BIN)/python bench/cost.py
	$(BIN)/python bench/body.py --out bench/results/body.jsonl
	$(BIN)/python bench/speed.py --out bench/results/speed.jsonl
	$(BIN)/python bench/sampled.py --out docs/sampled.md
	$(BIN)/python bench/choice.py --out bench/results/choice.jsonl
	$(BIN)/python bench/adaptive.py --out bench/results/adaptive.jsonl

# What is generated under docs/, from the classes, golden values and measurements.
pages: $(DEV)
	$(BIN)/python -m lossmith.cli.index
	$(BIN)/python site/peers.py docs
	$(BIN)/python site/shapes.py docs/shapes
	$(BIN)/python site/parity.py docs/parity.md
	$(BIN)/python site/losses.py docs
	$(BIN)/python bench/examples.py --page docs/examples.md
	$(BIN)/python bench/speed.py --table bench/results/speed.jsonl > docs/speed.md
	$(BIN)/python bench/device.py --table bench/results/device.json >> docs/speed.md
	$(BIN)/python bench/device.py > docs/kernels.md
	$(BIN)/python bench/body.py --table bench/results/body.jsonl > docs/body.md
	$(BIN)/python bench/choice.py --table bench/results/choice.jsonl > docs/choice.md
	$(BIN)/python bench/atlas.py table
	$(BIN)/python bench/policy.py table > docs/policy.md
	$(BIN)/python bench/suggest.py table > docs/suggest.md
	$(BIN)/python bench/large.py --table bench/results/large.jsonl > docs/large.md
	$(BIN)/python bench/unseen.py --summary bench/results/unseen.jsonl > docs/unseen.md
	$(BIN)/python bench/adaptive.py --table bench/results/adaptive.jsonl > docs/adaptive_evidence.md

# The documentation site: into build/site, or served and renewed as docs/ and src/ change.
docs: $(DEV)
	$(MKDOCS) build --strict --config-file site/mkdocs.yml

site: $(DEV)
	$(MKDOCS) serve --config-file site/mkdocs.yml

clean:
	rm -rf $(VENV) build runs
