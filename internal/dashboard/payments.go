package dashboard

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/postgres/views"
	"github.com/fundrail/fundrail/internal/wallet"
)

type paymentsPage struct {
	Page     views.Page[views.PaymentRow]
	Statuses []wallet.PaymentStatus
	Customer *views.CustomerRow // restricts the list, nil for all customers
	Wallet   *views.WalletRow   // restricts the list, nil for all wallets
	Stages   []string           // of a challenge
}

// listPayments answers GET /admin/{mode}/payments.
func (d *Dashboard) listPayments(r *request) error {
	f, err := r.paymentFilter()
	if err != nil {
		return err
	}
	if r.wantsCSV() {
		return d.writePaymentsCSV(r, f)
	}
	page := paymentsPage{Statuses: wallet.PaymentStatuses, Stages: views.ChallengeStages}
	if f.CustomerID != (wallet.ID{}) {
		c, err := views.GetCustomerRow(r.ctx(), d.Pool, r.mode, f.CustomerID)
		if err != nil {
			return err
		}
		page.Customer = &c
	}
	if f.WalletID != (wallet.ID{}) {
		w, err := views.GetWalletRow(r.ctx(), d.Pool, r.mode, f.WalletID)
		if err != nil {
			return err
		}
		page.Wallet = &w
	}
	if page.Page, err = views.ListPaymentRows(r.ctx(), d.Pool, f); err != nil {
		return err
	}
	v := r.view("Payments", "payments", page)
	if v.FirstPage() {
		v.live("payments", "")
	}
	return v.ok("payments")
}

// openStatuses are the statuses that the filter calls "open".
var openStatuses = slices.DeleteFunc(slices.Clone(wallet.PaymentStatuses), func(s wallet.PaymentStatus) bool { return !s.Open() })

func (r *request) paymentFilter() (views.PaymentFilter, error) {
	f := views.PaymentFilter{
		Mode: r.mode, FailureCode: r.QueryParam("failure"), Challenge: r.QueryParam("challenge"), Limit: pageSize,
	}
	switch status := wallet.PaymentStatus(r.QueryParam("status")); {
	case status == "":
	case status == "open":
		f.Statuses = openStatuses
	case slices.Contains(wallet.PaymentStatuses, status):
		f.Statuses = []wallet.PaymentStatus{status}
	default:
		return f, errNotFound
	}
	fields := map[string]*wallet.ID{"customer": &f.CustomerID, "wallet": &f.WalletID, "cursor": &f.Before}
	if f.Challenge != "" {
		f.Cursor = r.QueryParam("cursor")
		delete(fields, "cursor")
	}
	for field, id := range fields {
		text := r.QueryParam(field)
		if text == "" {
			continue
		}
		var err error
		if *id, err = uuid.Parse(text); err != nil {
			return f, errNotFound
		}
	}
	var err error
	if f.From, err = parseMoment(r.QueryParam("from"), false); err != nil {
		return f, err
	}
	f.Until, err = parseMoment(r.QueryParam("until"), true)
	return f, err
}

// parseMoment parses a date or an RFC 3339 time. It returns the zero time for an empty
// text. A period includes the date at its end, so end moves a date to the next day.
func parseMoment(text string, end bool) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		if end {
			t = t.AddDate(0, 0, 1)
		}
		return t, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, refuse(http.StatusUnprocessableEntity, "Invalid date", "Enter a date such as 2026-03-14.")
	}
	return t, nil
}

// paymentID parses the payment's id in the path, in either spelling.
func (r *request) paymentID() (wallet.ID, error) {
	id, err := wallet.ParseID(wallet.PrefixPayment, r.mode, r.Param("id"))
	if err != nil {
		return id, &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "There is no payment with this ID in this mode."}
	}
	return id, nil
}

type paymentPage struct {
	Story     views.PaymentStory
	Timeline  []moment
	StripeURL string
}

// showPayment answers GET /admin/{mode}/payments/{id}.
func (d *Dashboard) showPayment(r *request) error {
	id, err := r.paymentID()
	if err != nil {
		return err
	}
	story, err := views.GetPaymentStory(r.ctx(), d.Pool, r.mode, id)
	if err != nil {
		return err
	}
	page := paymentPage{Story: story, Timeline: r.timeline(story)}
	if intent := story.Payment.StripePaymentIntentID; intent != "" {
		page.StripeURL = r.stripeURL("payments", intent)
	}
	v := r.view("Payment", "payments", page)
	if story.Payment.Status.Open() || r.now.Sub(story.Payment.UpdatedAt) < time.Hour {
		v.live("payment "+id.String(), version(story))
	}
	return v.ok("payment")
}

// stripeURL returns the URL of an object in Stripe's dashboard.
func (r *request) stripeURL(section, id string) string {
	base := "https://dashboard.stripe.com/"
	if r.mode == wallet.ModeTest {
		base += "test/"
	}
	return base + section + "/" + id
}

// checkPayment answers POST /admin/{mode}/payments/{id}/check. It inserts the job that also
// checks open payments periodically.
func (d *Dashboard) checkPayment(r *request) error {
	id, err := r.paymentID()
	if err != nil {
		return err
	}
	err = r.act("payment.check", "payment", id.String(), func(ctx context.Context, tx pgx.Tx) (change, error) {
		p, err := postgres.GetPayment(ctx, tx, id)
		if err == nil && p.Mode != r.mode {
			err = &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
		}
		if err != nil {
			return change{}, err
		}
		jobID, err := d.Payments.CheckPaymentTx(ctx, tx, id)
		return change{
			before: map[string]any{"status": p.Status, "checks": p.Checks, "next_check_at": p.NextCheckAt},
			after:  map[string]any{"job_id": jobID},
		}, err
	})
	if err != nil {
		return err
	}
	return r.done(r.path("/payments/"+id.String()), "check")
}
