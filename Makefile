# make demo   the main job, on this machine alone
# make test   every test, the real SDKs included; installs what they need
# make soak   what takes minutes: gigabytes through little memory, peers that vanish, ten minutes of everything at once
# make fuzz   ten minutes of requests that nobody would think of; SECONDS=60 for one
# make bench  against nginx on the same job; writes benches/runs
# make guided the release, built for what it does most, as the Dockerfile has it: some 15 % less processor time
# make lint   formatting, clippy, docs, dependencies

DEMO = target/debug/examples/demo
BUILT = $(abspath $(or $(CARGO_TARGET_DIR),target))
HOST = $(shell rustc -vV | sed -n 's/^host: //p')

.PHONY: demo test soak haproxy fuzz bench guided lint sdk clean

demo:
	cargo run --quiet --release --example demo

# The release is among what is tested: its memory is what is promised.
test: lint haproxy
	cargo build --workspace --bins --examples
	cargo build --release --bin keyswap
	cargo test --workspace --all-targets
	cargo test --workspace --doc
	python3 tests/sdk/run.py --demo "$(DEMO) --json" --rows target/sdk/section-f.md
	python3 tests/sdk/run.py --transparent

# One at a time: each of them paces itself, and would find the processor busy. What happens in the ten minutes of everything
# follows from a seed, which is printed: make soak KEYSWAP_SEED=1
soak: haproxy
	cargo test --release --test it -- --ignored soak --test-threads 1 --nocapture

# A test restarts replicas behind it. Where it cannot be installed (Debian, as root), that test says so.
haproxy:
	@PATH="$$PATH:/usr/sbin" command -v haproxy >/dev/null || \
		{ apt-get update -q && apt-get install -q -y --no-install-recommends haproxy; } || true

# The real SDKs alone: make sdk SUITE=py-openai-1. Through Azure's own names, which needs root: make sdk MODE=--transparent
sdk:
	cargo build --workspace --bins --examples
	python3 tests/sdk/run.py --demo "$(DEMO) --json" $(MODE) $(if $(SUITE),--suite $(SUITE))

# libFuzzer without cargo-fuzz: what that would add is a nightly compiler, for a sanitizer that safe code does not need.
# Needs a C++ compiler. What it finds is in fuzz/artifacts: make it a test of src/route or an attempt of tests/it/bypass.
FUZZ = target/fuzz
WATCHED = -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

fuzz:
	mkdir -p $(FUZZ)/corpus fuzz/artifacts
	rustc --edition 2024 -o $(FUZZ)/seeds fuzz/seeds.rs
	$(FUZZ)/seeds $(FUZZ)/seeds.d
	RUSTFLAGS="$(WATCHED)" CARGO_TARGET_DIR=$(FUZZ) cargo build --manifest-path fuzz/Cargo.toml --release --target $(HOST)
	$(FUZZ)/$(HOST)/release/permit $(FUZZ)/corpus $(FUZZ)/seeds.d -dict=fuzz/words.dict -max_len=512 \
		-max_total_time=$(or $(SECONDS),600) -artifact_prefix=fuzz/artifacts/ -print_final_stats=1

# Profile-guided: a build that counts what it does, a rehearsal by the crowd of tests/it/endurance, and a build that is told
# the counts. Both builds have one profile, since cargo names functions after it. The target is named to keep what cargo
# builds for itself, such as macros, out of the counts.
PROFILE = release
COUNTS = $(BUILT)/rehearsal
BUILD = cargo build --profile $(PROFILE) --locked --bin keyswap --target $(HOST)
PROFDATA = $(BUILT)/tools/llvm-profdata

guided: $(PROFDATA)
	rm -rf $(COUNTS)
	RUSTFLAGS="-Cprofile-generate=$(COUNTS)" $(BUILD) --target-dir $(BUILT)/counting
	KEYSWAP_REHEARSING=$(BUILT)/counting/$(HOST)/$(PROFILE)/keyswap \
		cargo test --locked --test it -- --ignored --exact endurance::rehearsal
	$(PROFDATA) merge -o $(COUNTS)/keyswap.profdata $(COUNTS)
	RUSTFLAGS="-Cprofile-use=$(COUNTS)/keyswap.profdata" $(BUILD) --target-dir $(BUILT)/guided
	cp $(BUILT)/guided/$(HOST)/$(PROFILE)/keyswap $(BUILT)/guided/keyswap

# Rust's own; where rustup has none, Debian's, which can read the counts too.
$(PROFDATA):
	mkdir -p $(@D)
	if rustup component add llvm-tools; then \
		ln -sf $$(rustc --print sysroot)/lib/rustlib/$(HOST)/bin/llvm-profdata $@; \
	else \
		apt-get update -q && apt-get install -q -y --no-install-recommends llvm-19 && \
		ln -sf /usr/bin/llvm-profdata-19 $@; \
	fi

# Needs nginx-light, wrk, valgrind and openssl (Debian's names); says so if they are missing.
bench:
	$(MAKE) guided PROFILE=measured
	python3 benches/run.py --keyswap $(BUILT)/guided/keyswap

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
