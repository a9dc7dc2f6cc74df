package jobs

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/stripeapi"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	// secondLookAfter is how long a difference must last to count. A job may be about to
	// remove it.
	secondLookAfter = time.Second
	// tooLong is how long a payment or refund may stay open without a reason.
	tooLong = time.Hour
)

// ReconcileOptions configures Reconcile.
type ReconcileOptions struct {
	Mode wallet.Mode
	// Since is the creation time from which on objects are compared. Open ones are
	// compared whatever their age.
	Since time.Time
	// Repair applies what Stripe confirms. The other differences are left to an
	// operator.
	Repair bool
	// Source is the caller, "job" or "operator".
	Source string
}

// Reconcile compares payments, refunds and disputes with Stripe's. It checks each
// difference a second time before it reports it. The result is stored and returned.
func (e *Engine) Reconcile(ctx context.Context, o ReconcileOptions) (postgres.Reconciliation, error) {
	r := &reconciler{
		engine: e, options: o, seen: make(map[string]bool), suspects: make(map[suspect]bool),
		result: postgres.Reconciliation{
			Mode: o.Mode, Source: o.Source, Since: o.Since, Until: e.Now(), StartedAt: e.Now(), Drift: []postgres.Drift{},
		},
	}
	var err error
	if r.stripe, err = e.stripe(o.Mode); err != nil {
		return r.result, err
	}
	for _, step := range []func(context.Context) error{r.stripePayments, r.storedPayments, r.refunds, r.disputes, r.recheckSuspects} {
		if err := step(ctx); err != nil {
			return r.result, fmt.Errorf("reconcile %s mode: %w", o.Mode, err)
		}
	}
	slices.SortFunc(r.result.Drift, func(a, b postgres.Drift) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.StripeID, b.StripeID), cmp.Compare(a.PaymentID.String(), b.PaymentID.String()))
	})
	r.result.FinishedAt = e.Now()
	if len(r.result.Drift) > 0 {
		e.Log.ErrorContext(ctx, "our books differ from stripe's", slog.String("mode", string(o.Mode)),
			slog.Int("drift", len(r.result.Drift)), slog.Int64("repaired", r.result.Repaired()))
	}
	return r.result, postgres.InsertReconciliation(ctx, e.Pool, r.result)
}

// reconciler is the state of one comparison.
type reconciler struct {
	engine  *Engine
	options ReconcileOptions
	stripe  Stripe
	result  postgres.Reconciliation
	// seen holds the Stripe ids of the objects that were compared, and the ids of
	// payments whose rows have no intent yet.
	seen map[string]bool
	// suspects are the objects that differed at the first look.
	suspects map[suspect]bool
}

// suspect identifies an object to compare again: a payment with its intent, or a refund
// or dispute of a payment.
type suspect struct {
	payment               wallet.ID
	organization          wallet.ID // set when no payment is known
	intent                string
	refund                wallet.ID // the id of our row
	stripeRefund, dispute string
}

// stripePayments compares Stripe's intents with their payments.
func (r *reconciler) stripePayments(ctx context.Context) error {
	const chunk = 100
	var intents []stripeapi.Intent
	for in, err := range r.stripe.ListIntents(ctx, stripeapi.Window{Since: r.options.Since}) {
		if err != nil {
			return err
		}
		if intents = append(intents, in); len(intents) == chunk {
			if err := r.compareIntents(ctx, intents); err != nil {
				return err
			}
			intents = intents[:0]
		}
	}
	return r.compareIntents(ctx, intents)
}

func (r *reconciler) compareIntents(ctx context.Context, intents []stripeapi.Intent) error {
	intentIDs, paymentIDs := make([]string, len(intents)), make([]wallet.ID, len(intents))
	for i, in := range intents {
		intentIDs[i], paymentIDs[i] = in.Outcome.IntentID, in.Outcome.PaymentID
	}
	payments, err := postgres.PaymentsOfIntents(ctx, r.engine.Pool, r.options.Mode, intentIDs, paymentIDs)
	if err != nil {
		return err
	}
	for _, in := range intents {
		p := paymentOfIntent(payments, in.Outcome)
		if p == nil && in.OrganizationID == (wallet.ID{}) {
			continue // another system uses the same Stripe account
		}
		s := suspect{intent: in.Outcome.IntentID, organization: in.OrganizationID}
		if p != nil {
			s.payment = p.ID
			r.result.Payments++
			if p.StripePaymentIntentID == "" {
				r.seen[p.ID.String()] = true
			}
		}
		r.seen[in.Outcome.IntentID] = true
		if kind, _ := r.difference(p, in.Outcome); kind != "" {
			r.suspects[s] = true
		}
	}
	return nil
}

// paymentOfIntent returns the payment that has the outcome's intent, or else the payment
// that the intent names. It is nil when there is neither.
func paymentOfIntent(payments []wallet.Payment, o wallet.Outcome) *wallet.Payment {
	at := slices.IndexFunc(payments, func(p wallet.Payment) bool { return p.StripePaymentIntentID == o.IntentID })
	if at < 0 {
		at = slices.IndexFunc(payments, func(p wallet.Payment) bool { return p.ID == o.PaymentID })
	}
	if at < 0 {
		return nil
	}
	return &payments[at]
}

// storedPayments makes suspects of the payments whose intents Stripe did not list.
func (r *reconciler) storedPayments(ctx context.Context) error {
	const limit = 500
	for after := (wallet.ID{}); ; {
		list, err := postgres.PaymentsToReconcile(ctx, r.engine.Pool, r.options.Mode, r.options.Since, after, limit)
		if err != nil {
			return err
		}
		for _, p := range list {
			if r.seen[p.StripePaymentIntentID] || r.seen[p.ID.String()] || !p.Status.Open() && p.Status != wallet.PaymentSucceeded {
				continue
			}
			r.result.Payments++
			r.suspects[suspect{payment: p.ID, intent: p.StripePaymentIntentID}] = true
		}
		if len(list) < limit {
			return nil
		}
		after = list[limit-1].ID
	}
}

// difference returns the kind and the description of the difference between a payment
// and its intent. The kind is empty when they agree. A missing payment is nil, and a
// missing intent is an outcome with an empty kind.
func (r *reconciler) difference(p *wallet.Payment, o wallet.Outcome) (postgres.DriftKind, string) {
	charged := o.Kind == wallet.OutcomeSucceeded
	taken := wallet.FormatMinor(o.AmountReceived, o.Currency) + " " + string(o.Currency)
	switch {
	case p == nil && charged:
		return postgres.DriftChargedNotCredited, taken + " for a payment that is not known"
	case p == nil:
		return "", ""
	case charged && p.StripePaymentIntentID != "" && p.StripePaymentIntentID != o.IntentID:
		return postgres.DriftChargedNotCredited, taken + " by a second intent"
	case charged && p.Status != wallet.PaymentSucceeded:
		return postgres.DriftChargedNotCredited, taken + ", the payment is " + string(p.Status)
	case charged && (o.Currency != p.Currency || o.AmountReceived != min(p.Amount, p.AmountReceived)):
		return postgres.DriftAmountDiffers, taken + ", credited " + wallet.FormatMinor(min(p.Amount, p.AmountReceived), p.Currency) + " " + string(p.Currency)
	case p.Status == wallet.PaymentSucceeded && !charged && (o.IntentID == "" || p.StripePaymentIntentID == o.IntentID):
		return postgres.DriftCreditedNotCharged, "the intent is " + cmp.Or(string(o.Kind), "missing")
	case p.Status.Open() && r.overdue(p):
		return postgres.DriftOpenTooLong, string(p.Status) + " since " + p.CreatedAt.UTC().Format(time.DateTime)
	default:
		return "", ""
	}
}

// overdue reports whether an open payment should have ended by now: soon after its
// deadline if it waits for the cardholder, and otherwise soon after its creation.
func (r *reconciler) overdue(p *wallet.Payment) bool {
	due := p.CreatedAt
	if p.Status == wallet.PaymentRequiresAction && p.ActionDeadlineAt != nil {
		due = *p.ActionDeadlineAt
	}
	return r.engine.Now().Sub(due) > tooLong
}

// recheckSuspects compares the suspects again, repairs differences if the options say
// so, and adds them to the result.
func (r *reconciler) recheckSuspects(ctx context.Context) error {
	if len(r.suspects) == 0 {
		return nil
	}
	select {
	case <-time.After(secondLookAfter):
	case <-ctx.Done():
		return ctx.Err()
	}
	for s := range r.suspects {
		drift, err := r.examine(ctx, s)
		if err != nil {
			return err
		}
		if drift == nil {
			continue
		}
		if r.options.Repair {
			if err := r.repair(ctx, s, drift.Kind); err != nil {
				r.engine.Log.WarnContext(ctx, "drift not repaired",
					slog.String("payment_id", s.payment.String()), slog.String("kind", string(drift.Kind)), slog.Any("error", err))
			}
			after, err := r.examine(ctx, s)
			if err != nil {
				return err
			}
			drift.Repaired = after == nil
		}
		r.result.Drift = append(r.result.Drift, *drift)
	}
	return nil
}

// examine reads both sides of a suspect again and returns their difference. It returns
// nil when they agree.
func (r *reconciler) examine(ctx context.Context, s suspect) (*postgres.Drift, error) {
	switch {
	case s.stripeRefund != "" || s.refund != wallet.ID{}:
		return r.examineRefund(ctx, s)
	case s.dispute != "":
		return r.examineDispute(ctx, s)
	}
	drift := &postgres.Drift{PaymentID: s.payment, StripeID: s.intent}
	var (
		p *wallet.Payment
		o wallet.Outcome
	)
	if s.intent != "" {
		if o = r.stripe.Retrieve(ctx, s.intent); o.Kind == wallet.OutcomeUnavailable || o.Kind == wallet.OutcomeUnknown {
			return nil, fmt.Errorf("retrieve intent %s: %s", s.intent, o.Reason)
		}
	}
	if s.payment != (wallet.ID{}) {
		found, err := postgres.GetPayment(ctx, r.engine.Pool, s.payment)
		if err != nil {
			return nil, err
		}
		p = &found
	} else if ours, err := r.ours(ctx, s.organization); err != nil || !ours {
		return nil, err
	}
	if drift.Kind, drift.Detail = r.difference(p, o); drift.Kind == "" {
		return nil, nil //nolint:nilnil // nothing differs
	}
	return drift, nil
}

// ours reports whether an intent that names an organization was made by Fundrail. Other
// systems may use the same Stripe account.
func (r *reconciler) ours(ctx context.Context, organization wallet.ID) (bool, error) {
	_, err := postgres.GetOrganization(ctx, r.engine.Pool, organization)
	if wallet.HasCode(err, wallet.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}

// repair runs the function that should have prevented the difference.
func (r *reconciler) repair(ctx context.Context, s suspect, kind postgres.DriftKind) error {
	e := r.engine
	cause := wallet.Cause{Kind: wallet.CauseReconciler, ID: r.options.Source}
	if s.payment == (wallet.ID{}) {
		return nil // there is no payment to settle
	}
	c, err := postgres.GetCharge(ctx, e.Pool, s.payment)
	if err != nil {
		return err
	}
	switch kind {
	case postgres.DriftChargedNotCredited:
		return e.conclude(ctx, c.Payment, r.stripe.Retrieve(ctx, s.intent), cause)
	case postgres.DriftOpenTooLong:
		return e.check(ctx, c, cause)
	case postgres.DriftRefundDiffers, postgres.DriftDisputeDiffers:
		return r.repairMoneyBack(ctx, c.Payment, s, cause)
	case postgres.DriftAmountDiffers, postgres.DriftCreditedNotCharged:
		return nil // an operator has to decide
	default:
		return nil
	}
}
