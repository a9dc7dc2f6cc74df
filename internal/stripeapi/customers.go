package stripeapi

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"

	"github.com/stripe/stripe-go/v76"

	"github.com/fundrail/fundrail/internal/wallet"
)

// CustomerRequest asks Stripe to create a customer.
type CustomerRequest struct {
	CustomerID     wallet.ID
	OrganizationID wallet.ID
	// ExternalID is the merchant's own id of the customer.
	ExternalID string
	Email      string
	Name       string
}

// created is an answer of which only the id is used.
type created struct {
	stripe.APIResource

	ID string `json:"id"`
}

func (c *created) complete() bool { return validID(c.ID) }

// CreateCustomer creates a customer and returns Stripe's id of it. The same request
// repeated while Stripe keeps the key returns the same customer. A request with
// other values, such as a new e-mail address, creates another customer: the key
// includes a hash of the body, because Stripe would refuse a reused key. A
// superfluous customer does no harm.
func (c *Client) CreateCustomer(ctx context.Context, req CustomerRequest) (string, error) {
	const op = "create_customer"
	if req.CustomerID == (wallet.ID{}) || req.OrganizationID == (wallet.ID{}) {
		return "", invalid(op, "no id")
	}
	ids := map[string]string{"customer_id": req.CustomerID.String(), "organization_id": req.OrganizationID.String()}
	if req.ExternalID != "" {
		ids["external_id"] = req.ExternalID
	}
	body := encode(&stripe.CustomerParams{Email: optional(req.Email), Metadata: ids, Name: optional(req.Name)})
	content := sha256.Sum256([]byte(body.Encode()))
	customer := new(created)
	_, err := c.send(ctx, request{
		op: op, method: http.MethodPost, path: "/v1/customers",
		key: "customer:" + req.CustomerID.String() + ":" + hex.EncodeToString(content[:8]),
	}, body, customer)
	if err != nil {
		return "", err
	}
	return customer.ID, nil
}
