# The logic lives in scripts/ and in the package. $$PPID is make itself: whatever dies, nothing stays behind.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
.PHONY: demo test lint bench clean setup

demo:  ## set up, then market data to orders; KEEP=1 leaves the services up
	@ALPHAMILL_EXIT_WITH_PARENT=$$PPID bash scripts/demo.sh $(if $(KEEP),--keep) $(ARGS)

test:  ## set up, then every test, with coverage
	@ALPHAMILL_EXIT_WITH_PARENT=$$PPID bash scripts/test.sh $(ARGS)

lint:  ## style, types, import contracts, lock
	@ALPHAMILL_EXIT_WITH_PARENT=$$PPID bash scripts/lint.sh

bench:  ## set up, then every figure of docs/benchmarks.md; ARGS="features" for some
	@ALPHAMILL_EXIT_WITH_PARENT=$$PPID bash scripts/bench.sh $(ARGS)

setup:
	@ALPHAMILL_EXIT_WITH_PARENT=$$PPID bash scripts/setup.sh

clean:  ## everything that can be made again, except .venv
	@bash scripts/clean.sh
