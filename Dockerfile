# The image of the service: one static binary, the certificate authorities for
# connections to Stripe, time zones, and an unprivileged user.

FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/fundrail ./cmd/fundrail

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /usr/local/go/lib/time/zoneinfo.zip /zoneinfo.zip
COPY --from=build /out/fundrail /fundrail
ENV ZONEINFO=/zoneinfo.zip
USER 65532:65532
EXPOSE 8080
ENTRYPOINT ["/fundrail"]
CMD ["serve"]
