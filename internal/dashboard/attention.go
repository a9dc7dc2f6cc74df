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

// attentionAges are from when on something is worth a look. What is younger is the
// machine's usual business.
var attentionAges = views.AttentionAges{
	Unknown:   2 * time.Minute,
	Events:    time.Minute,
	Lapsing:   2 * time.Hour,
	Discarded: 7 * 24 * time.Hour,
}

// attentionLimit is how many things of a sort are listed.
const attentionLimit = 50

// concern is something that a person should look at.
type concern struct {
	Since  time.Time
	Title  string
	Link   string
	Text   string
	Amount string
	// Next is what the machine does by itself, and NextAt when; Action is what the
	// person is proposed.
	Next   string
	NextAt *time.Time
	Action string
}

// concerns are those of one sort.
type concerns struct {
	Title string
	Tone  string
	// Text says what it means.
	Text string
	List []concern
	// All is the address of the whole list, empty when there is none.
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

func (r *request) writeAttentionCSV(page attentionPage) error {
	type row struct {
		group string
		concern
	}
	var list []row
	for _, g := range page.Groups {
		for _, c := range g.List {
			list = append(list, row{g.Title, c})
		}
	}
	header := []string{"concern", "subject", "since", "amount", "what", "next_step", "next_step_at", "proposed_action"}
	return writeCSV(r, "attention", header, func(string) (views.Page[row], error) {
		return views.Page[row]{Rows: list}, nil
	}, func(c row) []string {
		return []string{c.group, c.Title, csvTime(c.Since), c.Amount, c.Text, c.Next, csvTime(c.NextAt), c.Action}
	})
}

func (r *request) uncredited(a views.Attention) concerns {
	g := concerns{
		Title: "Charged but not credited", Tone: "bad",
		Text: "Stripe reports a charge that no wallet has been credited for.",
	}
	for _, x := range a.Drift {
		if x.Kind == postgres.DriftChargedNotCredited {
			g.List = append(g.List, r.drifted(a, x, "Compare with Stripe; fundrail reconcile --repair"))
		}
	}
	for _, u := range a.Uncredited {
		g.List = append(g.List, concern{
			Since: u.ReceivedAt, Title: short(r.spell(u.PaymentID)), Link: r.path("/payments/" + u.PaymentID.String()),
			Text: "Payment is " + label(u.Status) + "; event " + u.EventID, Amount: money(u.Amount, u.Currency),
			Next: "Its job is queued again", NextAt: &u.DueAt, Action: "Look at the event's job; replay the event",
		})
	}
	return g
}

func (r *request) uncharged(a views.Attention) concerns {
	g := concerns{
		Title: "Credited but not charged", Tone: "bad",
		Text: "A wallet has money that Stripe does not know to have been taken.",
	}
	for _, x := range a.Drift {
		if x.Kind == postgres.DriftCreditedNotCharged {
			g.List = append(g.List, r.drifted(a, x, "Look at the charge at Stripe; void the credits if there is none"))
		}
	}
	return g
}

func (r *request) discrepancies(a views.Attention) concerns {
	g := concerns{
		Title: "Stripe and the books differ", Tone: "bad",
		Text: "The amount, the currency or the number of charges is not what was asked for.",
	}
	for _, x := range a.Discrepancies {
		g.List = append(g.List, concern{
			Since: x.FoundAt, Title: short(r.spell(x.PaymentID)), Link: r.path("/payments/" + x.PaymentID.String()),
			Text: label(x.Kind) + ": expected " + money(x.ExpectedAmount, x.ExpectedCurrency), Amount: money(x.ReceivedAmount, x.ReceivedCurrency),
			Next: "Nothing happens by itself", Action: "Compare with Stripe; refund there what was taken twice",
		})
	}
	return g
}

func (r *request) drift(a views.Attention) concerns {
	g := concerns{
		Title: "Drift found by the reconciliation", Tone: "bad",
		Text: "The last comparison with Stripe differs here, and could not be repaired by itself.",
	}
	for _, x := range a.Drift {
		switch x.Kind {
		case postgres.DriftChargedNotCredited, postgres.DriftCreditedNotCharged: // have groups of their own
		case postgres.DriftAmountDiffers, postgres.DriftDisputeDiffers, postgres.DriftOpenTooLong, postgres.DriftRefundDiffers:
			g.List = append(g.List, r.drifted(a, x, "Compare with Stripe; fundrail reconcile --repair"))
		}
	}
	return g
}

// drifted is a difference that the last reconciliation found.
func (r *request) drifted(a views.Attention, x postgres.Drift, action string) concern {
	c := concern{
		Since: a.ReconciledAt, Title: x.StripeID, Text: label(x.Kind) + ": " + x.Detail, Amount: amountOf(a, x.PaymentID),
		Next: "It is compared again every day", Action: action,
	}
	if x.PaymentID != (wallet.ID{}) {
		c.Title, c.Link = short(r.spell(x.PaymentID)), r.path("/payments/"+x.PaymentID.String())
	} else if strings.HasPrefix(x.StripeID, "pi_") {
		c.Link = r.stripeURL("payments", x.StripeID)
	}
	return c
}

// amountOf is what payments are worth together, empty when they are unknown or of
// several currencies.
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
		Text: "A cardholder's bank asks for money back. It is answered in Stripe's dashboard.",
	}
	for _, x := range a.Disputes {
		g.List = append(g.List, concern{
			Since: x.CreatedAt, Title: short(r.spell(x.PaymentID)), Link: r.path("/payments/" + x.PaymentID.String()),
			Text: label(x.Status) + ": " + label(x.Reason), Amount: money(x.Amount, x.Currency),
			Next: "The wallet follows what Stripe says", Action: "Answer " + short(x.StripeID) + " at Stripe",
		})
	}
	return g
}

func (r *request) endpoints(a views.Attention) concerns {
	g := concerns{
		Title: "Deliveries failing", Tone: "warn", All: r.path("/jobs?queue=deliver"),
		Text: "A merchant's endpoint does not take what it is sent.",
	}
	for _, x := range a.Endpoints {
		g.List = append(g.List, concern{
			Since: x.FailingSince, Title: x.Name, Text: x.OrganizationName + ": " + x.LastError,
			Next: fmt.Sprintf("Tried again; %d waiting", x.Waiting), NextAt: x.HeldUntil, Action: "Tell the merchant",
		})
	}
	return g
}

func (r *request) unknown(a views.Attention) concerns {
	g := concerns{
		Title: "Outcome unknown", Tone: "warn", All: r.path("/payments?status=open"),
		Text: "The charge may or may not have happened. Nothing is charged twice while it is open.",
	}
	for _, p := range a.Unknown {
		g.List = append(g.List, concern{
			Since: p.CreatedAt, Title: short(r.spell(p.ID)), Link: r.path("/payments/" + p.ID.String()),
			Text: label(p.Status), Amount: money(p.Amount, p.Currency),
			Next: "Stripe is asked again", NextAt: p.NextCheckAt, Action: "Check now",
		})
	}
	return g
}

func (r *request) lapsing(a views.Attention) concerns {
	g := concerns{
		Title: "Challenge about to lapse", Tone: "warn", All: r.path("/payments?status=requires_action"),
		Text: "The cardholder has not confirmed at the bank yet.",
	}
	for _, p := range a.Lapsing {
		g.List = append(g.List, concern{
			Since: p.CreatedAt, Title: short(r.spell(p.ID)), Link: r.path("/payments/" + p.ID.String()),
			Text: r.private(p.ExternalID), Amount: money(p.Amount, p.Currency),
			Next: "Canceled unless it is passed", NextAt: p.ActionDeadlineAt, Action: "Remind the cardholder",
		})
	}
	return g
}

func (r *request) unhandled(a views.Attention) concerns {
	g := concerns{
		Title: "Events not handled", Tone: "warn", All: r.path("/events?status=pending"),
		Text: "Stripe told us something, and no job has looked at it yet.",
	}
	for _, e := range a.Events {
		c := concern{
			Since: e.ReceivedAt, Title: e.ID, Link: r.path("/events/" + e.ID), Text: e.Type,
			Next: "Its job is queued again", NextAt: &e.DueAt, Action: "Look at its job; is the settle queue paused?",
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
		Title: "Jobs given up", Tone: "bad", All: r.path("/jobs?state=discarded"),
		Text: "All attempts failed. Open payments are still checked, whatever became of their jobs.",
	}
	for _, j := range a.Discarded {
		c := concern{
			Title: label(j.Kind) + " " + strconv.FormatInt(j.ID, 10), Link: r.path("/jobs/" + strconv.FormatInt(j.ID, 10)),
			Amount: amountOf(a, j.PaymentIDs...), Next: "Nothing happens by itself", Action: "Read the error, mend its cause, retry",
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
