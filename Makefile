# Workings: every target works from a clean checkout; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.installed

BOOK := _build/html/index.html
export WORKINGS_QUIET := 1
# most matrices here are small: more threads would wait for each other
export OMP_NUM_THREADS ?= 1

.PHONY: help book test lint unit notebooks mutants run sweep refresh record spread settings moved mutate bench serve zip

help:  ## list the targets
	@grep -hE '^[a-z]+:.*##' Makefile | sed -E 's/:[^#]*## /\t/' | expand -t 10

# The environment: made once, and again only when what it is made from has changed.
$(READY): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON) here: install Python 3.11 or newer, or name one: make PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "The book needs Python 3.11 or newer, and $(PYTHON) is %d.%d. Name another: make PYTHON=python3.12" % v[:2])'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make environments: install its venv module (Debian: apt-get install python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[book,test,bench,fast,sweep]'
	@touch $(READY)

book: $(READY)  ## build the book from the executed chapters
	@rm -rf _build
	@$(BIN)/jupyter-book build -q -W -n --keep-going .
	@echo "The book: open file://$(CURDIR)/$(BOOK)"

test: lint unit notebooks mutants  ## prove it: lint, types, unit tests, the book in a browser, notebooks, mutants
	@echo "All green."

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadfile

notebooks: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadscope -o filterwarnings=default -p no:cacheprovider \
	  --nbval --nbval-current-env --nbval-cell-timeout 300 --nbval-sanitize-with tests/nbval.cfg chapters

mutants: $(READY)
	$(BIN)/python tests/mutate.py hand

# The rest take CHAPTER=name where they say so.
need = $(if $($(1)),,$(error name a $(2): make $@ $(1)=neural_ode))

run: $(READY)  ## run a chapter into runs/: CHAPTER=, PROFILE=quick|default|full, SET="name=value ..."
	$(call need,CHAPTER,chapter)
	@$(BIN)/python -m workings.book.run $(CHAPTER) --profile $(or $(PROFILE),default) $(SET)

sweep: $(READY)  ## run CHAPTER= over GRID="seed=0:10 width=64,128", PROFILE=, SET=, WORKERS= or SCHEDULER=tcp://...
	$(call need,CHAPTER,chapter)
	@WORKINGS_QUIET= $(BIN)/python -m workings.book.sweep $(CHAPTER) --profile $(or $(PROFILE),default) $(SET) \
	  $(addprefix --grid ,$(GRID)) $(if $(WORKERS),--workers $(WORKERS)) $(if $(SCHEDULER),--scheduler $(SCHEDULER))

refresh: $(READY)  ## re-run CHAPTER= (or all) and write its outputs back
	@$(BIN)/python -m workings.book.refresh $(CHAPTER)

record: $(READY)  ## run the recorded experiments of CHAPTER=, PROFILE=default|full, ONLY=name
	$(call need,CHAPTER,chapter)
	@WORKINGS_QUIET= $(BIN)/python -m workings.book.record $(CHAPTER) --profile $(or $(PROFILE),default) $(if $(ONLY),--only $(ONLY))

spread: $(READY)  ## measure how the results of CHAPTER= (or all) vary over seeds
	@WORKINGS_QUIET= $(BIN)/python -m workings.book.spread $(CHAPTER)

settings: $(READY)  ## run CHAPTER= (or all) at COUNT=20 settings that its table allows, and record what came
	@WORKINGS_QUIET= $(BIN)/python -m workings.book.settings $(CHAPTER) --count $(or $(COUNT),20)

moved: $(READY)  ## what moved since SINCE=main: claims, records, equations of CHAPTER= (or what changed)
	@$(BIN)/python -m workings.book.moved --since $(or $(SINCE),main) $(CHAPTER)

mutate: $(READY)  ## run the unit tests of MODULE= on a sample of mutants: COUNT=60
	$(call need,MODULE,module)
	@$(BIN)/python tests/mutate.py sample $(MODULE) --count $(or $(COUNT),60)

bench: $(READY)  ## time CHAPTER= (or all) against its peers, side by side; WRITE=1 records it
	@for file in $(if $(CHAPTER),benchmarks/bench_$(CHAPTER).py,benchmarks/bench_*.py); do $(BIN)/python $$file $(if $(WRITE),--write); done

serve: book  ## build the book and serve it on http://localhost:8000
	@$(BIN)/python -m http.server --directory _build/html 8000

zip: book  ## build the book and pack it into one file to read offline
	@$(BIN)/python _ext/offline.py
