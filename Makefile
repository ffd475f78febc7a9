# The front door. `make help` lists what there is; each target installs what it needs from Debian's packages first.
.DEFAULT_GOAL := help
SHELL := /bin/bash
export CCACHE_BASEDIR := $(CURDIR)
export CCACHE_NOHASHDIR := 1
export CCACHE_SLOPPINESS := pch_defines,time_macros
JOBS := $(shell nproc)
CACHE := $(CURDIR)/.cache

help:
	@echo "make demo         two clouds on this machine, a virtual cluster, a BLAST search, and a live migration (root)"
	@echo "make test         everything: build, unit tests, simulation, and the real journeys with QEMU (root)"
	@echo "make check        the everyday loop, under 2 minutes: debug build, unit tests, simulation"
	@echo "make check-all    both compilers, clang-tidy on everything, ASan + UBSan, TSan"
	@echo "make fuzz         libFuzzer on every parser of bytes from outside, a minute each; FUZZ=NAME FUZZ_SECONDS=600 for one"
	@echo "make bench        every benchmark; make bench-NAME for one"
	@echo "make build        the release binary: build/release/bin/godwit"
	@echo "make images       the guest images, into .cache/images (once)"
	@echo "make clean        removes build/ and out/, keeps the images"

build: tools-build
	@cmake --preset release >/dev/null
	@cmake --build --preset release -j$(JOBS)

tools-%:
	@tools/bootstrap $*

images: tools-image tools-run
	@images/build-tiny $(CACHE)/images/tiny
	@images/build-debian $(CACHE)/images/debian-12

check: tools-build
	@cmake --preset dev >/dev/null
	@cmake --build --preset dev -j$(JOBS)
	@ctest --test-dir build/dev -j$(JOBS) -LE 'e2e|lint' --output-on-failure

test: preflight tools-check tools-libvirt build images
	@ctest --test-dir build/release -j$(JOBS) -LE slow --output-on-failure

check-all: tools-check build
	@tools/check-all

FUZZ_SECONDS ?= 60
fuzz: tools-check tools-build
	@tools/fuzz --seconds $(FUZZ_SECONDS) $(FUZZ)

demo: preflight build images
	@demo/run

preflight: tools-run
	@tools/preflight

# All of them, also where one fails: then it fails at the end, and says which.
bench: preflight tools-bench build images
	@trap 'exit 130' INT TERM; failed=; for each in $(patsubst bench/bench_%,%,$(wildcard bench/bench_*)); do \
	  echo "==== bench-$$each"; bench/bench_$$each || failed="$$failed bench-$$each"; done; \
	  [ -z "$$failed" ] || { echo "make bench: missed or failed:$$failed"; exit 1; }
bench-%: preflight tools-bench build images
	@bench/bench_$*

clean:
	rm -rf build out

.PHONY: help build images check test check-all fuzz demo preflight bench clean
