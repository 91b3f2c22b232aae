# The images of logpipe, for those who push to a registry: docker build --target agent --build-arg VERSION=v0.1.0 .
# hack/images makes the same ones, with fixed digests, without Docker; it also makes their files here.
FROM --platform=$BUILDPLATFORM golang:1.26 AS builder
ARG TARGETARCH
WORKDIR /src
COPY go.mod go.sum ./
COPY hack/images/go.mod hack/images/go.sum hack/images/
RUN go mod download && go -C hack/images mod download
COPY . .
RUN go -C hack/images run . -repository /src -arch "${TARGETARCH:-$(go env GOARCH)}" -rootfs /rootfs

FROM scratch AS manager
ARG VERSION=v0.1.0
LABEL org.opencontainers.image.title="logpipe manager: makes topics, agents and sinks of resources" \
      org.opencontainers.image.source="https://github.com/logpipe/logpipe" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /rootfs/manager /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/manager"]

FROM scratch AS agent
ARG VERSION=v0.1.0
LABEL org.opencontainers.image.title="logpipe agent: log files to Kafka" \
      org.opencontainers.image.source="https://github.com/logpipe/logpipe" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /rootfs/agent /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/agent"]

FROM scratch AS sink
ARG VERSION=v0.1.0
LABEL org.opencontainers.image.title="logpipe sink: Kafka to HDFS" \
      org.opencontainers.image.source="https://github.com/logpipe/logpipe" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=builder /rootfs/sink /
WORKDIR /
USER 65532:65532
ENTRYPOINT ["/sink"]
