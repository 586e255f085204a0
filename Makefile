# Tallygate. `make` alone lists what there is.

.DEFAULT_GOAL := help
SHELL := /bin/bash

PREFIX ?= /usr/local
DESTDIR ?=
# What `make run` and `make bench` hand to their program: make run ARGS="--web.listen-address=:9092"
ARGS ?=
# How long `make soak` takes, and further flags of the gateway: make soak MINUTES=5 ARGS="--persistence.durability=none"
MINUTES ?= 30
# Seconds for each target of `make fuzz`.
FUZZ_SECONDS ?= 60
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
UNIT_DIR ?= $(PREFIX)/lib/systemd/system
DOC_DIR := $(PREFIX)/share/doc/tallygate
# They lie beside each other as here, so that the links between them lead somewhere.
DOCUMENTS := LICENSE README.md CHANGELOG.md packaging/web.yml tests/conformance/README.md $(wildcard docs/*.md docs/*.svg)

.PHONY: help run test check bench microbench fuzz soak build install

help: ## List the targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

run: ## Build and start the gateway; ARGS="..." are its flags
	cargo run --release -- $(ARGS)

test: ## Install what the tests need where it is missing, and run them
	./tests/setup.sh
	cargo test --locked

check: ## Formatting, lints, documentation, licences and advisories
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items
	./tests/deny.sh

bench: ## Compare with Pushgateway and a bare server, and write docs/benchmarks.md; ARGS="--quick" is a trial
	python3 bench/run.py $(ARGS)

microbench: ## Measure the hot functions
	cargo bench --locked

fuzz: ## Fuzz each parser for FUZZ_SECONDS (needs cargo-fuzz)
	@command -v cargo-fuzz >/dev/null || { echo "cargo-fuzz is missing: cargo install --locked cargo-fuzz"; exit 1; }
	@set -e; for target in $$(RUSTC_BOOTSTRAP=1 cargo fuzz list); do \
	  RUSTC_BOOTSTRAP=1 cargo fuzz run $$target -- -max_total_time=$(FUZZ_SECONDS); \
	done

soak: ## Load the gateway for MINUTES with pushes, scrapes, deletions, kills; memory and disk must stay flat
	SOAK_MINUTES=$(MINUTES) SOAK_FLAGS="$(ARGS)" \
	  cargo test --release --locked --test it soak::a_long_soak_is_sound -- --ignored --nocapture

build: ## Build the program as it is installed
	cargo build --locked --release

install: ## Install what `make build` has built, with units and documents, under DESTDIR and PREFIX
	@test -x $(TARGET_DIR)/release/tallygate || { echo "nothing is built in $(TARGET_DIR): make build"; exit 1; }
	install -D -m 0755 $(TARGET_DIR)/release/tallygate $(DESTDIR)$(PREFIX)/bin/tallygate
	install -d $(DESTDIR)$(UNIT_DIR)
	sed 's|/usr/bin/tallygate|$(PREFIX)/bin/tallygate|' packaging/systemd/tallygate.service \
	  > $(DESTDIR)$(UNIT_DIR)/tallygate.service
	install -m 0644 packaging/systemd/tallygate.socket $(DESTDIR)$(UNIT_DIR)/tallygate.socket
	@for document in $(DOCUMENTS); do \
	  install -D -m 0644 $$document $(DESTDIR)$(DOC_DIR)/$$document || exit 1; \
	done
