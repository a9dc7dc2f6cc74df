# The service in an image of its own: one static binary, the certificate
# authorities it needs to reach Stripe, time zones, and an ordinary user.

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
