package lago

import (
	"context"
	"net/http"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/api"
	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// paymentMethodJSON is a saved card. What the card looks like is an addition to
// the dialect.
type paymentMethodJSON struct {
	LagoID              wallet.ID       `json:"lago_id"`
	IsDefault           bool            `json:"is_default"`
	PaymentProviderCode string          `json:"payment_provider_code"`
	PaymentProviderName string          `json:"payment_provider_name"`
	PaymentProviderType string          `json:"payment_provider_type"`
	ProviderMethodID    string          `json:"provider_method_id"`
	CreatedAt           lagojson.Moment `json:"created_at"`
	Card                card            `json:"card"`
}

type card struct {
	Brand       string `json:"brand"`
	Last4       string `json:"last4"`
	ExpiryMonth int    `json:"expiry_month"`
	ExpiryYear  int    `json:"expiry_year"`
}

func newPaymentMethod(m wallet.PaymentMethod) paymentMethodJSON {
	return paymentMethodJSON{
		LagoID: m.ID, IsDefault: m.IsDefault, PaymentProviderCode: paymentProvider, PaymentProviderName: "Stripe",
		PaymentProviderType: paymentProvider, ProviderMethodID: m.StripePaymentMethodID, CreatedAt: lagojson.Moment(m.CreatedAt),
		Card: card{m.Brand, m.Last4, m.ExpiryMonth, m.ExpiryYear},
	}
}

// listPaymentMethods answers GET /api/v1/customers/{external_id}/payment_methods. A
// customer has few cards, so they are all on one page.
func (d *Dialect) listPaymentMethods(c echo.Context, caller postgres.Caller) error {
	customer, err := d.findCustomer(c, caller)
	if err != nil {
		return err
	}
	list, err := postgres.ListPaymentMethods(c.Request().Context(), d.LookUps(), customer.ID)
	if err != nil {
		return err
	}
	meta := wallet.Page{Size: max(len(list), 1)}.Meta(len(list))
	return api.WriteJSON(c, http.StatusOK, named{{"payment_methods", each(list, newPaymentMethod)}, {"meta", meta}})
}

// setDefaultMethod answers PUT …/payment_methods/{id}/set_as_default.
func (d *Dialect) setDefaultMethod(c echo.Context, caller postgres.Caller) error {
	customer, err := d.findCustomer(c, caller)
	if err != nil {
		return err
	}
	id, err := d.changedMethod(c, customer.ID)
	if err != nil {
		return err
	}
	m, err := d.changeMethod(c, caller, customer.ID, func(ctx context.Context, tx pgx.Tx) (wallet.PaymentMethod, error) {
		return postgres.SetDefaultPaymentMethod(ctx, tx, customer.ID, id)
	})
	if err != nil {
		return err
	}
	return writeOne(c, "payment_method", newPaymentMethod(m))
}

// removeMethod answers DELETE …/payment_methods/{id}.
func (d *Dialect) removeMethod(c echo.Context, caller postgres.Caller) error {
	customer, err := d.findCustomer(c, caller)
	if err != nil {
		return err
	}
	id, err := d.changedMethod(c, customer.ID)
	if err != nil {
		return err
	}
	m, err := d.changeMethod(c, caller, customer.ID, func(ctx context.Context, tx pgx.Tx) (wallet.PaymentMethod, error) {
		return postgres.RemovePaymentMethod(ctx, tx, customer.ID, id, d.Now())
	})
	if err != nil {
		return err
	}
	return writeOne(c, "payment_method", newPaymentMethod(m))
}

// changedMethod returns the id of the card in the path for a request that changes it.
// What is no id is not found, for the reason of changedWallet.
func (d *Dialect) changedMethod(c echo.Context, customerID wallet.ID) (wallet.ID, error) {
	id := pathID(c)
	if id != (wallet.ID{}) {
		return id, nil
	}
	_, err := postgres.FindPaymentMethod(c.Request().Context(), d.LookUps(), customerID, id)
	return id, err
}

// changeMethod changes a saved card once.
func (d *Dialect) changeMethod(c echo.Context, caller postgres.Caller, customerID wallet.ID,
	change func(ctx context.Context, tx pgx.Tx) (wallet.PaymentMethod, error),
) (wallet.PaymentMethod, error) {
	return api.OnceTx(c, d.Server, caller, nil, func(ctx context.Context, tx pgx.Tx) (wallet.PaymentMethod, []wallet.ID, error) {
		m, err := change(ctx, tx)
		return m, []wallet.ID{m.ID}, err
	}, func(ctx context.Context, ids []wallet.ID) (wallet.PaymentMethod, error) {
		return postgres.FindPaymentMethod(ctx, d.LookUps(), customerID, ids[0]) // removed, perhaps by the first request
	})
}
