.PHONY: setup demo test test-long test-oldest lint types bench clients wheel build clean
BIN := .venv/bin
PYTEST := -m pytest -n auto --dist worksteal
# Whatever the environment says: tests start hundreds of processes, and each would compile everything anew.
export PYTHONDONTWRITEBYTECODE :=

setup: .venv/ready
.venv/ready: pyproject.toml .ci/setup ; @.ci/setup .venv
.venv-oldest/ready: pyproject.toml .ci/setup | setup ; @$(BIN)/python .ci/oldest.py > .venv/oldest.txt && .ci/setup .venv-oldest -c .venv/oldest.txt
.venv-bench/ready: pyproject.toml .ci/setup benchmarks/peers.txt ; @.ci/setup .venv-bench -r benchmarks/peers.txt

demo: setup ; @$(BIN)/kmsbridge demo
test: lint types ; $(BIN)/python $(PYTEST)
test-long: lint types ; KMSBRIDGE_LONG=1 $(BIN)/python $(PYTEST)
test-oldest: .venv-oldest/ready ; .venv-oldest/bin/python $(PYTEST)
lint: setup ; $(BIN)/ruff check .
types: setup ; $(BIN)/mypy && $(BIN)/pyright --pythonpath $(BIN)/python
bench: .venv-bench/ready ; @for file in benchmarks/*.py; do .venv-bench/bin/python $$file || exit; done
clients: setup ; @.ci/clients
wheel: setup ; @.ci/wheel
build: setup ; $(BIN)/python -m build
clean: ; rm -rf .venv .venv-oldest .venv-bench dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
