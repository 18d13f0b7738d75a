# make demo   the main job, on this machine alone
# make test   every test, the real SDKs included; installs what they need
# make soak   what takes minutes: gigabytes through little memory, peers that vanish
# make bench  against nginx on the same job; writes benches/runs
# make lint   formatting, clippy, docs, dependencies

DEMO = target/debug/examples/demo

.PHONY: demo test soak bench lint sdk clean

demo:
	cargo run --quiet --release --example demo

test: lint
	cargo build --workspace --bins --examples
	cargo test --workspace --all-targets
	cargo test --workspace --doc
	python3 tests/sdk/run.py --demo "$(DEMO) --json"

# One at a time: each of them paces itself, and would find the processor busy.
soak:
	cargo test --release --test it -- --ignored soak --test-threads 1 --nocapture

# The real SDKs alone: make sdk SUITE=py-openai-1
sdk:
	cargo build --example demo
	python3 tests/sdk/run.py --demo "$(DEMO) --json" $(if $(SUITE),--suite $(SUITE))

# Needs nginx-light, wrk, valgrind and openssl (Debian's names); says so if they are missing.
bench:
	cargo build --profile measured --bin keyswap
	python3 benches/run.py --keyswap $(or $(CARGO_TARGET_DIR),target)/measured/keyswap

lint:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --document-private-items
	$(DENY) check bans licenses sources

# A pinned tool, installed once beside what is built.
DENY = target/tools/bin/cargo-deny
lint: $(DENY)
$(DENY):
	cargo install cargo-deny --version 0.20.2 --locked --root target/tools

clean:
	cargo clean
