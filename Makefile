# Every target sets up .venv by itself. PYTHON chooses the interpreter, EXTRAS
# what is installed: `make venv EXTRAS=test,cuda12` for an NVIDIA GPU.
PYTHON ?= python3
EXTRAS ?= test
VENV := .venv
BIN := $(VENV)/bin
DEMO := runs/demo
# Where the runs are that `make figures` draws, and options of it:
# make figures ARGS='--only data.augment=flip_crop'
ROOT ?= runs
ARGS ?=
PARTS ?=

.PHONY: demo scrambled figures evidence test bench gpu venv lint clean

demo: venv
	$(BIN)/python main.py --config=configs/demo.py:sgd --workdir=$(DEMO)/sgd
	$(BIN)/python main.py --config=configs/demo.py --workdir=$(DEMO)/beta_lasso
	$(BIN)/python -m lconv_jax.report $(DEMO)/sgd $(DEMO)/beta_lasso \
	  --out=$(DEMO)
	$(BIN)/python -m lconv_jax.mdl $(DEMO)/sgd $(DEMO)/beta_lasso --out=$(DEMO)

# Scrambled pixels, the grid that a dense net's weights tell, and S-CONV on it,
# on the scrambled pixels and on the true grid.
SCRAMBLED := runs/scrambled
CONV := main.py --config=configs/scrambled.py:conv
scrambled: venv
	$(BIN)/python main.py --config=configs/scrambled.py \
	  --workdir=$(SCRAMBLED)/dense
	$(BIN)/python -m lconv_jax.geometry $(SCRAMBLED)/dense
	$(BIN)/python $(CONV) --workdir=$(SCRAMBLED)/recovered \
	  --config.data.layout=$(SCRAMBLED)/dense/geometry.npz
	$(BIN)/python $(CONV) --workdir=$(SCRAMBLED)/scrambled
	$(BIN)/python $(CONV) --workdir=$(SCRAMBLED)/true --config.data.permute=-1
	$(BIN)/python -m lconv_jax.report $(SCRAMBLED)/dense \
	  $(SCRAMBLED)/recovered $(SCRAMBLED)/scrambled $(SCRAMBLED)/true \
	  --out=$(SCRAMBLED)

# The paper's figures and tables, as far as the runs below ROOT have them.
figures: venv
	$(BIN)/python -m lconv_jax.figures all $(ROOT) --out=$(ROOT)/figures $(ARGS)

# What README and docs claim, measured again: make evidence prints the plan and
# its hours, make evidence PARTS='demo step' runs parts, PARTS=all everything.
evidence: venv
	$(BIN)/python -m benchmarks.evidence $(PARTS)

# Files of tests in parallel, at most four: each takes some GB. conftest.py sorts
# them.
test: venv lint
	$(BIN)/python -m pytest -n auto --maxprocesses=4 --dist loadfile \
	  --no-loadscope-reorder

# With PyTorch among the peers: make bench EXTRAS=test,bench
bench: venv
	$(BIN)/python -m benchmarks.local_conv --out=benchmarks/results/local_conv.json
	$(BIN)/python -m benchmarks.step --out=benchmarks/results/step.json
	$(BIN)/python -m benchmarks.augment --out=benchmarks/results/augment.json
	$(BIN)/python -m benchmarks.startup --out=benchmarks/results/startup.json
	$(BIN)/python -m benchmarks.loop --out=benchmarks/results/loop.json
	$(BIN)/python -m benchmarks.grid --out=benchmarks/results/grid.json
	$(BIN)/python -m benchmarks.describe --out=benchmarks/results/describe.json
	$(BIN)/python -m benchmarks.locality --out=benchmarks/results/locality.json
	$(BIN)/python -m benchmarks.sparse --out=benchmarks/results/sparse.json
	$(BIN)/python -m benchmarks.floor

# On an NVIDIA GPU: make gpu EXTRAS=test,cuda12
gpu: venv
	$(BIN)/python -m benchmarks.gpu --out=benchmarks/results/gpu.json

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

venv: $(VENV)/ready

$(VENV)/ready: setup.py
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) \
	  else f"lconv_jax needs Python 3.11 or newer, {sys.executable} is " \
	  f"{sys.version.split()[0]}: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[$(EXTRAS)]'
	touch $@

clean:
	rm -rf $(VENV) runs
