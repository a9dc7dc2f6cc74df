package dashboard

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

// attentionAges are the ages from which on items need attention. Younger items are part of
// normal operation.
var attentionAges = views.AttentionAges{
	Unknown:   2 * time.Minute,
	Events:    time.Minute,
	Lapsing:   2 * time.Hour,
	Discarded: 7 * 24 * time.Hour,
}

// attentionLimit is the number of items that a group lists.
const attentionLimit = 50

// concern is an item that an operator should look at.
type concern struct {
	Since  time.Time
	Title  string
	Link   string
	Text   string
	Amount string
	// Next is the next automatic step, and NextAt its time. Action is what the operator
	// should do.
	Next   string
	NextAt *time.Time
	Action string
}

// concerns is a group of items of one kind.
type concerns struct {
	Title string
	Tone  string
	// Text explains the group.
	Text string
	List []concern
	// All is the path of the whole list, empty if there is none.
	All string
}

func (d *Dashboard) findAttention(r *request, limit int) (views.Attention, error) {
	return views.GetAttention(r.ctx(), d.Pool, r.mode, attentionAges, r.now, limit)
}

type attentionPage struct {
	Groups []concerns
	N      int
}

// attention answers GET /admin/{mode}/attention.
func (d *Dashboard) attention(r *request) error {
	limit := attentionLimit
	if r.wantsCSV() {
		limit = csvPage
	}
	a, err := d.findAttention(r, limit)
	if err != nil {
		return err
	}
	page := attentionPage{N: a.Len()}
	for _, g := range []concerns{
		r.uncredited(a), r.uncharged(a), r.discrepancies(a), r.drift(a), r.unknown(a), r.lapsing(a), r.disputes(a), r.unhandled(a),
		r.endpoints(a), r.discarded(a),
	} {
		if len(g.List) > 0 {
			page.Groups = append(page.Groups, g)
		}
	}
	if r.wantsCSV() {
		return r.writeAttentionCSV(page)
	}
	return r.view("Attention", "attention", page).live("attention", "").ok("attention")
}

func (r *request) uncredited(a views.Attention) concerns {
	g := concerns{
		Title: "Charged but not credited", Tone: "bad",
		Text: "Stripe reports a charge, but no wallet was credited.",
	}
	for _, x := range a.Drift {
		if x.Kind == postgres.DriftChargedNotCredited {
			g.List = append(g.List, r.drifted(a, x, "Compare with Stripe, then run fundrail reconcile --repair"))
		}
	}
	for _, u := range a.Uncredited {
		g.List = append(g.List, concern{
			Since: u.ReceivedAt, Title: short(r.spell(u.PaymentID)), Link: r.path("/payments/" + u.PaymentID.String()),
			Text: "Payment is " + label(u.Status) + "; event " + u.EventID, Amount: money(u.Amount, u.Currency),
			Next: "The event's job is queued again", NextAt: &u.DueAt, Action: "Check the event's job, then replay the event",
		})
	}
	return g
}

func (r *request) uncharged(a views.Attention) concerns {
	g := concerns{
		Title: "Credited but not charged", Tone: "bad",
		Text: "A wallet was credited, but Stripe reports no charge.",
	}
	for _, x := range a.Drift {
		if x.Kind == postgres.DriftCreditedNotCharged {
			g.List = append(g.List, r.drifted(a, x, "Find the charge at Stripe; void the credits if there is none"))
		}
	}
	return g
}

func (r *request) discrepancies(a views.Attention) concerns {
	g := concerns{
		Title: "Stripe and the books differ", Tone: "bad",
		Text: "The amount, the currency or the number of charges is not as requested, or a wallet cannot hold the money.",
	}
	for _, x := range a.Discrepancies {
		action := "Compare with Stripe; refund a duplicate charge there"
		if x.Kind == string(wallet.DiscrepancyWalletFull) {
			action = "Void credits of the wallet and check the payment, or refund it at Stripe"
		}
		g.List = append(g.List, concern{
			Since: x.FoundAt, Title: short(r.spell(x.PaymentID)), Link: r.path("/payments/" + x.PaymentID.String()),
			Text: label(x.Kind) + ": expected " + money(x.ExpectedAmount, x.ExpectedCurrency), Amount: money(x.ReceivedAmount, x.ReceivedCurrency),
			Next: "None", Action: action,
		})
	}
	return g
}

func (r *request) drift(a views.Attention) concerns {
	g := concerns{
		Title: "Drift found by the reconciliation", Tone: "bad",
		Text: "The last reconciliation found these differences and could not repair them.",
	}
	for _, x := range a.Drift {
		switch x.Kind {
		case postgres.DriftChargedNotCredited, postgres.DriftCreditedNotCharged: // have groups of their own
		case postgres.DriftAmountDiffers, postgres.DriftDisputeDiffers, postgres.DriftOpenTooLong, postgres.DriftRefundDiffers:
			g.List = append(g.List, r.drifted(a, x, "Compare with Stripe, then run fundrail reconcile --repair"))
		}
	}
	return g
}

// drifted returns the item of a difference that the last reconciliation found.
func (r *request) drifted(a views.Attention, x postgres.Drift, action string) concern {
	c := concern{
		Since: a.ReconciledAt, Title: x.StripeID, Text: label(x.Kind) + ": " + x.Detail, Amount: amountOf(a, x.PaymentID),
		Next: "Compared again every day", Action: action,
	}
	if x.PaymentID != (wallet.ID{}) {
		c.Title, c.Link = short(r.spell(x.PaymentID)), r.path("/payments/"+x.PaymentID.String())
	} else if strings.HasPrefix(x.StripeID, "pi_") {
		c.Link = r.stripeURL("payments", x.StripeID)
	}
	return c
}

// amountOf returns the sum of the payments' amounts. It is empty if one is unknown or the
// currencies differ.
func amountOf(a views.Attention, ids ...wallet.ID) string {
	var sum views.Money
	for _, id := range ids {
		m, known := a.Amounts[id]
		if !known || sum.Currency != "" && sum.Currency != m.Currency {
			return ""
		}
		sum.Amount, sum.Currency = sum.Amount+m.Amount, m.Currency
	}
	if sum.Currency == "" {
		return ""
	}
	return money(sum.Amount, sum.Currency)
}

func (r *request) disputes(a views.Attention) concerns {
	g := concerns{
		Title: "Disputes", Tone: "warn",
		Text: "A cardholder disputed a charge. Answer the dispute in Stripe's dashboard.",
	}
	for _, x := range a.Disputes {
		g.List = append(g.List, concern{
			Since: x.CreatedAt, Title: short(r.spell(x.PaymentID)), Link: r.path("/payments/" + x.PaymentID.String()),
			Text: label(x.Status) + ": " + label(x.Reason), Amount: money(x.Amount, x.Currency),
			Next: "The wallet follows Stripe's decision", Action: "Answer " + short(x.StripeID) + " at Stripe",
		})
	}
	return g
}

func (r *request) endpoints(a views.Attention) concerns {
	g := concerns{
		Title: "Deliveries failing", Tone: "warn", All: r.path("/jobs?queue=deliver"),
		Text: "A merchant's endpoint rejects deliveries or does not answer.",
	}
	for _, x := range a.Endpoints {
		g.List = append(g.List, concern{
			Since: x.FailingSince, Title: x.Name, Text: x.OrganizationName + ": " + x.LastError,
			Next: fmt.Sprintf("Retried, %d pending", x.Waiting), NextAt: x.HeldUntil, Action: "Tell the merchant",
		})
	}
	return g
}

func (r *request) unknown(a views.Attention) concerns {
	g := concerns{
		Title: "Outcome unknown", Tone: "warn", All: r.path("/payments?status=open"),
		Text: "The charge may or may not have succeeded. The card is not charged a second time meanwhile.",
	}
	for _, p := range a.Unknown {
		g.List = append(g.List, concern{
			Since: p.CreatedAt, Title: short(r.spell(p.ID)), Link: r.path("/payments/" + p.ID.String()),
			Text: label(p.Status), Amount: money(p.Amount, p.Currency),
			Next: "Checked with Stripe again", NextAt: p.NextCheckAt, Action: "Check now",
		})
	}
	return g
}

func (r *request) lapsing(a views.Attention) concerns {
	g := concerns{
		Title: "Challenge deadline near", Tone: "warn", All: r.path("/payments?status=requires_action"),
		Text: "The cardholder has not completed the challenge yet.",
	}
	for _, p := range a.Lapsing {
		g.List = append(g.List, concern{
			Since: p.CreatedAt, Title: short(r.spell(p.ID)), Link: r.path("/payments/" + p.ID.String()),
			Text: r.private(p.ExternalID), Amount: money(p.Amount, p.Currency),
			Next: "Canceled unless completed", NextAt: p.ActionDeadlineAt, Action: "Remind the cardholder",
		})
	}
	return g
}

func (r *request) unhandled(a views.Attention) concerns {
	g := concerns{
		Title: "Events not handled", Tone: "warn", All: r.path("/events?status=pending"),
		Text: "No job has handled these events yet.",
	}
	for _, e := range a.Events {
		c := concern{
			Since: e.ReceivedAt, Title: e.ID, Link: r.path("/events/" + e.ID), Text: e.Type,
			Next: "The event's job is queued again", NextAt: &e.DueAt, Action: "Check the event's job and whether the settle queue is paused",
		}
		if e.PaymentID != nil {
			c.Amount = amountOf(a, *e.PaymentID)
		}
		g.List = append(g.List, c)
	}
	return g
}

func (r *request) discarded(a views.Attention) concerns {
	g := concerns{
		Title: "Discarded jobs", Tone: "bad", All: r.path("/jobs?state=discarded"),
		Text: "All attempts failed. Open payments are still checked by other jobs.",
	}
	for _, j := range a.Discarded {
		c := concern{
			Title: label(j.Kind) + " " + strconv.FormatInt(j.ID, 10), Link: r.path("/jobs/" + strconv.FormatInt(j.ID, 10)),
			Amount: amountOf(a, j.PaymentIDs...), Next: "None", Action: "Fix the cause of the error, then retry",
		}
		if j.FinalizedAt != nil {
			c.Since = *j.FinalizedAt
		}
		if failures := j.Failures(); len(failures) > 0 {
			c.Text = failures[len(failures)-1].Error
		}
		g.List = append(g.List, c)
	}
	return g
}
