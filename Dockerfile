# Two stages: a build with the toolchain, and an image with nothing but the binary.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY src src
COPY README.md ./
# The workspace names the emulator and its manifest must be there; its code is never compiled.
COPY tests/emulator/Cargo.toml tests/emulator/Cargo.toml
RUN mkdir -p tests/emulator/src && touch tests/emulator/src/lib.rs
RUN cargo build --release --locked --bin keyswap

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/release/keyswap /usr/local/bin/keyswap
USER 65532:65532
# Mount keyswap.toml and its files here, or use the KEYSWAP_... variables. Nothing here can be written to: what shall outlive
# the container ([usage] file, KEYSWAP_USAGE_FILE) needs a volume of this user's.
WORKDIR /etc/keyswap
# In a container the platform must reach us; the admin address stays on loopback, where the health check asks.
ENV KEYSWAP_HTTP=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=15s CMD ["/usr/local/bin/keyswap", "health"]
ENTRYPOINT ["/usr/local/bin/keyswap"]
CMD ["serve"]
