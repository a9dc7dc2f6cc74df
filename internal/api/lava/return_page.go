package lava

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"

	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

var (
	//go:embed return_page.css
	returnStyle string
	//go:embed return_page.html
	returnHTML string

	returnTemplate = template.Must(template.New("return").Parse(returnHTML))
)

// returnPage is what the page shows to a cardholder: the payment's state and amount,
// and no name of a person or an organization.
type returnPage struct {
	State    string // the word of the API, or empty
	Title    string
	Text     string
	Tone     string // wait, good, bad or gone
	Amount   string
	Currency wallet.Currency
	Refresh  int // seconds until the page reloads, 0 for never
	Style    template.CSS
}

// refreshEvery is after how many seconds the page of an open payment reloads.
const refreshEvery = 3

// showReturnPage answers GET /v1/payments/{id}/return, where Stripe sends the
// cardholder's browser after the challenge. It shows the payment's state and changes
// nothing, because any browser can open the address.
func (d *Dialect) showReturnPage(c echo.Context) error {
	p, err := d.findAnyPayment(c.Request().Context(), c.Param("id"))
	switch {
	case errors.Is(err, &wallet.Error{Code: wallet.CodePaymentNotFound}):
		return writeReturnPage(c, http.StatusNotFound, returnPage{
			Title: "Payment not found", Text: "This address belongs to no payment. You may close this window.", Tone: "gone",
		})
	case err != nil:
		d.Log.WarnContext(c.Request().Context(), "return page without its payment",
			slog.String("request_id", api.RequestID(c)), slog.Any("error", err))
		c.Response().Header().Set(echo.HeaderRetryAfter, "3")
		return writeReturnPage(c, http.StatusServiceUnavailable, returnPage{
			Title: "One moment", Text: "The state of your payment cannot be shown right now. This page tries again by itself.",
			Tone: "wait", Refresh: refreshEvery,
		})
	}
	if c.Request().Method == http.MethodGet {
		d.countReturn(c, p)
	}
	return writeReturnPage(c, http.StatusOK, newReturnPage(p))
}

// countReturn records that the cardholder came back, which operators see as a
// number. The page is shown even if that fails.
func (d *Dialect) countReturn(c echo.Context, p wallet.Payment) {
	if p.RedirectURL == "" {
		return
	}
	if err := postgres.MarkReturned(c.Request().Context(), d.LookUps(), p.ID, d.Now()); err != nil {
		d.Log.WarnContext(c.Request().Context(), "return not counted",
			slog.String("request_id", api.RequestID(c)), slog.Any("error", err))
	}
}

// findAnyPayment finds a payment of any wallet, by either spelling of its id.
func (d *Dialect) findAnyPayment(ctx context.Context, spelled string) (wallet.Payment, error) {
	for _, mode := range wallet.Modes {
		id, err := wallet.ParseID(wallet.PrefixPayment, mode, spelled)
		if err != nil {
			continue
		}
		p, err := postgres.GetPayment(ctx, d.LookUps(), id)
		if err == nil && spelled != id.String() && p.Mode != mode {
			break // the spelling names the other mode
		}
		return p, err
	}
	return wallet.Payment{}, &wallet.Error{Code: wallet.CodePaymentNotFound, Message: "Payment not found."}
}

func newReturnPage(p wallet.Payment) returnPage {
	page := returnPage{
		State:    paymentStatus(p.Status),
		Amount:   wallet.FormatMinor(p.Amount, p.Currency),
		Currency: p.Currency,
	}
	switch p.Status {
	case wallet.PaymentSucceeded:
		page.Tone, page.Title = "good", "Payment complete"
		page.Text = "The money has been added. You may close this window."
	case wallet.PaymentFailed:
		page.Tone, page.Title = "bad", "Payment not completed"
		page.Text = "It was not confirmed, and your card was not charged. You may close this window and try again."
	case wallet.PaymentCanceled:
		page.Tone, page.Title = "gone", "Payment canceled"
		page.Text = "Your card was not charged. You may close this window."
	default:
		page.Tone, page.Title, page.Refresh = "wait", "Confirming your payment", refreshEvery
		page.Text = "Your bank’s answer is on its way. This page updates by itself, and you may close it at any time."
	}
	return page
}

func writeReturnPage(c echo.Context, status int, page returnPage) error {
	page.Style = template.CSS(returnStyle) //nolint:gosec // our own file
	var b bytes.Buffer
	if err := returnTemplate.Execute(&b, page); err != nil {
		return fmt.Errorf("return page: %w", err)
	}
	// The address carries what Stripe appended to it.
	c.Response().Header().Set(echo.HeaderReferrerPolicy, "no-referrer")
	return api.WritePage(c, status, returnStyle, b.Bytes())
}
