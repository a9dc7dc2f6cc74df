package jobs

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// A payment belongs to the trace of the request that created it. The trace's context is
// stored with the payment. It is not stored with the job, which charges many payments at
// once, or at Stripe, where a repeated request must not differ from the first. Each job
// and request that continues the payment adds a span to the trace.

const traceparentKey = "traceparent"

// traceparent returns the context of the current span. It is empty without a span.
func (e *Engine) traceparent(ctx context.Context) string {
	if e.Tracer == nil {
		return ""
	}
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier[traceparentKey]
}

// trace starts a span in a payment's trace. Its parent is the current span if that
// belongs to the trace, and otherwise the request's. The returned function ends the
// span. Without a Tracer, trace does nothing.
func (e *Engine) trace(ctx context.Context, name, traceparent string, attrs ...attribute.KeyValue) (context.Context, func(error)) {
	if e.Tracer == nil {
		return ctx, func(error) {}
	}
	within := trace.SpanContextFromContext(ctx)
	remote := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{traceparentKey: traceparent})
	parent := trace.SpanContextFromContext(remote)
	opts := []trace.SpanStartOption{trace.WithAttributes(attrs...)}
	if parent.IsValid() && parent.TraceID() != within.TraceID() {
		if within.IsValid() {
			opts = append(opts, trace.WithLinks(trace.Link{SpanContext: within}))
		}
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	ctx, span := e.Tracer.Start(ctx, name, opts...)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}

// tracePayment starts a span about a payment.
func (e *Engine) tracePayment(ctx context.Context, name string, p wallet.Payment) (context.Context, func(error)) {
	if e.Tracer == nil {
		return ctx, func(error) {}
	}
	return e.trace(ctx, name, p.Traceparent, attribute.String("payment_id", p.ID.String()))
}

// traceEvent starts a span about an event of Stripe's. If p is nil, it looks up the
// event's payment.
func (e *Engine) traceEvent(ctx context.Context, name string, event postgres.Event, p *wallet.Payment) (context.Context, func(error)) {
	if e.Tracer == nil {
		return ctx, func(error) {}
	}
	if p == nil {
		if found, err := postgres.FindPayment(ctx, e.Pool, event.Mode, event.StripePaymentIntentID, event.PaymentID); err == nil {
			p = &found
		}
	}
	attrs := []attribute.KeyValue{attribute.String("event_id", event.ID), attribute.String("type", event.Type)}
	if p == nil {
		return e.trace(ctx, name, "", attrs...)
	}
	return e.trace(ctx, name, p.Traceparent, append(attrs, attribute.String("payment_id", p.ID.String()))...)
}
