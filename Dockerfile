# The image holds one static binary and an empty /data, and nothing else: no
# shell, no libc.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# VERSION stamps what --version and INFO say; empty keeps the one in the source.
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -pgo=cmd/ferricd/release.pgo \
        -ldflags "-s -w ${VERSION:+-X github.com/ferricd/ferricd/server.Version=$VERSION}" \
        -o /out/ferricd ./cmd/ferricd \
    && mkdir -p /out/data

FROM scratch
COPY --from=build /out/ferricd /ferricd
COPY --from=build --chown=65532:65532 /out/data /data
# As in Redis' own image: all addresses, no protected mode. Who publishes the port
# says to whom, and sets FERRICD_REQUIREPASS or FERRICD_REQUIREPASS_FILE.
ENV FERRICD_BIND="*" \
    FERRICD_PROTECTED_MODE="no" \
    FERRICD_DIR="/data"
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
WORKDIR /data
VOLUME /data
EXPOSE 6379
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/ferricd", "healthcheck"]
ENTRYPOINT ["/ferricd"]
