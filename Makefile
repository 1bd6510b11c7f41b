# `make train` and `make test` need nothing but Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
CONFIG ?= configs/cgan.py:digits32
comma := ,
# Reference implementations of metrics, installed without the torchvision they ask for.
UNTIED = torch-fidelity pytorch-fid prdc

.PHONY: train test setup

train:
	@$(MAKE) -s setup
	$(VENV)/bin/python -m experiments.run --config=$(CONFIG)

test: EXTRAS ?= test
test:
	@$(MAKE) -s setup EXTRAS=$(EXTRAS)
	$(VENV)/bin/python -m pytest -n 2 --dist worksteal $(PYTEST)

# Once per set of extras, and again when the requirements change.
setup: $(VENV)/installed-$(subst $(comma),-,$(EXTRAS))

# Bytecode is compiled on all cores, which pip does on one; tests of packages are not.
$(VENV)/installed%: setup.py constraints.txt
	@echo "setting up $(VENV): the environment"
	@test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	@echo "setting up $(VENV): JAX and others, 80 packages; about a minute in all"
	@$(VENV)/bin/python -m pip install -q --no-compile -c constraints.txt \
		-e ".$(if $(EXTRAS),[$(EXTRAS)])"
	$(if $(findstring reference,$(EXTRAS)),@$(VENV)/bin/python -m pip install -q --no-deps \
		-c constraints.txt $(UNTIED))
	$(if $(findstring onnx,$(EXTRAS)),@$(VENV)/bin/python -m pip install -q --no-deps \
		-c constraints.txt jax2onnx)
	@echo "setting up $(VENV): bytecode"
	@$(VENV)/bin/python -m compileall -qq -j 0 -x '/tests?/' $(VENV)/lib || true
	@touch $@
