# `make train` and `make test` need nothing but Python 3.11 or newer.

PYTHON ?= python3
VENV ?= .venv
EXTRAS ?= test
CONFIG ?= configs/wgan_gp.py
comma := ,
STAMP = $(VENV)/installed-$(subst $(comma),-,$(1))

.PHONY: train test setup

train: EXTRAS = core
train: $(call STAMP,core)
	$(VENV)/bin/python -m experiments.run --config=$(CONFIG)

test: setup
	$(VENV)/bin/python -m pytest -n 2

setup: $(call STAMP,$(EXTRAS))

$(VENV)/installed-%: setup.py constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install -q -c constraints.txt -e ".[$(EXTRAS)]"
	touch $@
