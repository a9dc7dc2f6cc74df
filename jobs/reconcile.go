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
	// secondLookAfter is how long a difference must last: whatever is just on its
	// way is none.
	secondLookAfter = time.Second
	// tooLong is how long a payment may be open beyond what it has a reason for.
	tooLong = time.Hour
)

// ReconcileOptions say what is compared.
type ReconcileOptions struct {
	Mode  wallet.Mode
	Since time.Time
	// Repair settles what Stripe confirms. Whatever Stripe does not confirm is left
	// for a person.
	Repair bool
	// Source is who asks, "job" or "operator".
	Source string
}

// Reconcile compares payments, refunds and disputes with Stripe's: those made
// since a time, and those that are open. What differs is looked at once more
// before it counts. The result is stored.
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
	for _, step := range []func(context.Context) error{r.theirPayments, r.ourPayments, r.refunds, r.disputes, r.lookAgain} {
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

// reconciler is one comparison under way.
type reconciler struct {
	engine  *Engine
	options ReconcileOptions
	stripe  Stripe
	result  postgres.Reconciliation
	// seen holds the Stripe ids of what was compared, and the ids of payments that do
	// not know theirs.
	seen map[string]bool
	// suspects are what seemed to differ at first sight.
	suspects map[suspect]bool
}

// suspect names what has to be looked at again: a payment with its intent, or a
// refund or dispute of it.
type suspect struct {
	payment               wallet.ID
	organization          wallet.ID // when no payment is known
	intent                string
	refund                wallet.ID // ours, while Stripe has none
	stripeRefund, dispute string
}

// theirPayments goes through Stripe's intents.
func (r *reconciler) theirPayments(ctx context.Context) error {
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
			continue // somebody else's
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
		if kind, _ := r.judge(p, in.Outcome); kind != "" {
			r.suspects[s] = true
		}
	}
	return nil
}

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

// ourPayments goes through our payments for those that Stripe did not list.
func (r *reconciler) ourPayments(ctx context.Context) error {
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

// judge says in what a payment and its intent differ. Either may be missing: the
// payment is nil, the outcome's kind is empty.
func (r *reconciler) judge(p *wallet.Payment, o wallet.Outcome) (postgres.DriftKind, string) {
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

// overdue tells whether an open payment should have come to its end: a challenge by
// its deadline, anything else soon.
func (r *reconciler) overdue(p *wallet.Payment) bool {
	due := p.CreatedAt
	if p.Status == wallet.PaymentRequiresAction && p.ActionDeadlineAt != nil {
		due = *p.ActionDeadlineAt
	}
	return r.engine.Now().Sub(due) > tooLong
}

// lookAgain judges what seemed to differ once more, repairs it if asked, and notes
// what remains.
func (r *reconciler) lookAgain(ctx context.Context) error {
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

// examine reads both sides anew, and says in what they differ.
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
			return nil, fmt.Errorf("look at intent %s: %s", s.intent, o.Reason)
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
	if drift.Kind, drift.Detail = r.judge(p, o); drift.Kind == "" {
		return nil, nil //nolint:nilnil // nothing differs
	}
	return drift, nil
}

// ours tells whether an intent that names an organization is one of ours: others
// may use the same account at Stripe.
func (r *reconciler) ours(ctx context.Context, organization wallet.ID) (bool, error) {
	_, err := postgres.GetOrganization(ctx, r.engine.Pool, organization)
	if wallet.HasCode(err, wallet.CodeNotFound) {
		return false, nil
	}
	return err == nil, err
}

// repair lets the function that should have done it look at it.
func (r *reconciler) repair(ctx context.Context, s suspect, kind postgres.DriftKind) error {
	e := r.engine
	cause := wallet.Cause{Kind: wallet.CauseReconciler, ID: r.options.Source}
	if s.payment == (wallet.ID{}) {
		return nil // there is nothing that could be settled
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
		return nil // for a person
	default:
		return nil
	}
}
