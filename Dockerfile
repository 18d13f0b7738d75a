# Two stages: a build with the toolchain, guided by what a rehearsal counts (make guided), and an image with nothing but
# the binary.

FROM docker.io/library/rust:1.95-bookworm AS build
WORKDIR /src
# Who rehearses is the crowd of the tests, at the emulator of Azure.
COPY Makefile Cargo.toml Cargo.lock README.md ./
COPY src src
COPY tests/emulator tests/emulator
COPY tests/it tests/it
RUN make guided

FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build /src/target/guided/keyswap /usr/local/bin/keyswap
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
