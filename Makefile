PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo styles test check bench bench-gpu lock clean

install: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint requirements.lock --editable '.[flows,dask,view,dev]'
	touch $@

# Runs the Prefect flow on sample_data/, with a Prefect home of its own.
demo: install
	mkdir -p demo_output
	PREFECT_HOME=$(CURDIR)/.venv/prefect $(BIN)/python -m flows.stylize_scene --config configs/olinda.yaml
	@echo "Look at demo_output/olinda.html; the map is demo_output/olinda.tif, its record demo_output/olinda.run.json."

# Learns styles into demo_output/: by small windows first, for strokes, then by larger ones, for where they belong.
# SCENES are scenes to learn from, each a file or a folder. Takes twice LEARN_MINUTES a style, and twice as long as
# `nst-rs stylize` takes for two windows of 512 pixels.
STYLES ?= harvest
SCENES ?= sample_data/olinda
LEARN_MINUTES ?= 15
LEARN = $(BIN)/nst-rs learn $(SCENES) --config configs/learned.yaml --set learn.minutes=$(LEARN_MINUTES)
styles: install
	mkdir -p demo_output
	for style in $(STYLES); do \
		$(LEARN) --style sample_data/styles/$$style.jpg --output demo_output/$$style-begun.style && \
		$(LEARN) --style sample_data/styles/$$style.jpg --output demo_output/$$style.style \
			--set learn.start=demo_output/$$style-begun.style \
			--set learn.window=384 --set learn.batch=1 --set learn.rate=0.0006 || exit 1; \
	done

test: install
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

check: install
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: install
	$(BIN)/python -m benchmarks

# Needs a GPU that TensorFlow can use, and nst-rs[gpu].
bench-gpu: install
	$(BIN)/python -m benchmarks gpu

# Needs uv; rewrites the versions that `make install` uses.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		--upgrade --output-file requirements.lock

clean:
	rm -rf .venv demo_output build *.egg-info
