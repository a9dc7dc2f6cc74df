package telemetry

import (
	"context"
	"fmt"
	"net/url"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/github.com/labstack/echo/otelecho"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// service is the service's name in spans.
const service = "fundrail"

// Traces creates and exports spans. All methods of a nil Traces work and do
// nothing.
type Traces struct{ provider *sdktrace.TracerProvider }

// NewTraces returns a Traces that sends spans to an OTLP endpoint, such as
// http://127.0.0.1:4318. The environment variables of OpenTelemetry for headers and
// the like apply. Without an endpoint it returns nil.
func NewTraces(ctx context.Context, endpoint string) (*Traces, error) {
	if endpoint == "" {
		return nil, nil
	}
	address, err := url.JoinPath(endpoint, "v1", "traces")
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(address))
	if err != nil {
		return nil, fmt.Errorf("traces: %w", err)
	}
	return TracesTo(sdktrace.WithBatcher(exporter)), nil
}

// TracesTo returns a Traces that sends spans to the given processor or exporter.
func TracesTo(to sdktrace.TracerProviderOption) *Traces {
	return &Traces{provider: sdktrace.NewTracerProvider(to,
		sdktrace.WithResource(resource.NewSchemaless(attribute.String("service.name", service))))}
}

// Tracer returns the tracer, or nil if t is nil.
func (t *Traces) Tracer() trace.Tracer {
	if t == nil {
		return nil
	}
	return t.provider.Tracer(service)
}

// Requests returns a middleware that traces requests, or none if t is nil. It
// ignores trace headers of requests: the API is public, so callers must not choose
// the trace.
func (t *Traces) Requests() []echo.MiddlewareFunc {
	if t == nil {
		return nil
	}
	return []echo.MiddlewareFunc{otelecho.Middleware(service,
		otelecho.WithTracerProvider(t.provider),
		otelecho.WithPropagators(propagation.NewCompositeTextMapPropagator()),
		otelecho.WithSkipper(func(c echo.Context) bool {
			switch c.Path() {
			case "/healthz", "/metrics", "/readyz":
				return true
			default:
				return false
			}
		}))}
}

// Queries returns a tracer for the statements of a pool, or nil if t is nil. Spans
// show statements without arguments. Statements outside a trace are not traced,
// because each would become a trace of its own.
func (t *Traces) Queries() pgx.QueryTracer {
	if t == nil {
		return nil
	}
	return within{otelpgx.NewTracer(otelpgx.WithTracerProvider(t.provider))}
}

// Close exports the spans that have not been exported yet.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// within is a query tracer for statements within a trace.
type within struct{ tracer *otelpgx.Tracer }

func traced(ctx context.Context) bool { return trace.SpanContextFromContext(ctx).IsValid() }

// TraceQueryStart implements pgx.QueryTracer.
func (w within) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return w.tracer.TraceQueryStart(ctx, conn, data)
}

// TraceQueryEnd implements pgx.QueryTracer.
func (w within) TraceQueryEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryEndData) {
	if traced(ctx) {
		w.tracer.TraceQueryEnd(ctx, conn, data)
	}
}

// TraceBatchStart implements pgx.BatchTracer.
func (w within) TraceBatchStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchStartData) context.Context {
	if !traced(ctx) {
		return ctx
	}
	return w.tracer.TraceBatchStart(ctx, conn, data)
}

// TraceBatchQuery implements pgx.BatchTracer.
func (w within) TraceBatchQuery(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchQueryData) {
	if traced(ctx) {
		w.tracer.TraceBatchQuery(ctx, conn, data)
	}
}

// TraceBatchEnd implements pgx.BatchTracer.
func (w within) TraceBatchEnd(ctx context.Context, conn *pgx.Conn, data pgx.TraceBatchEndData) {
	if traced(ctx) {
		w.tracer.TraceBatchEnd(ctx, conn, data)
	}
}
