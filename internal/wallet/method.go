package wallet

import "strings"

// PaymentMethodType is how a purchase is charged.
type PaymentMethodType string

// The two types, in Lago's words.
const (
	// MethodManual: no card is charged. The customer pays by hand or by a link.
	MethodManual PaymentMethodType = "manual"
	// MethodProvider: a saved card is charged at Stripe.
	MethodProvider PaymentMethodType = "provider"
)

// MethodChoice is how a purchase, or the purchases of a wallet, are to be paid. The
// zero value leaves the choice to the next in the chain: the wallet after the
// purchase, the customer's default card after the wallet.
type MethodChoice struct {
	Type PaymentMethodType // empty counts as provider
	ID   *ID               // a saved card, only with provider
}

// OrProvider returns the type, or provider if none was chosen.
func (c MethodChoice) OrProvider() PaymentMethodType {
	if c.Type == "" {
		return MethodProvider
	}
	return c.Type
}

// MethodRequest is a payment method as a client of the Lago dialect names it.
type MethodRequest struct {
	Type string
	ID   *string // nil when absent or null
}

// Choice reads the request. Find reports whether an id that was sent is one of the
// customer's saved cards. Lago looks among all cards of the organization, and so lets
// one customer pay for another. The second result is false if the request is not
// valid: an unknown type, provider with an id that is not found, manual with an id
// that is found.
func (r MethodRequest) Choice(find func(id string) (ID, bool)) (MethodChoice, bool) {
	blankID := r.ID == nil || strings.TrimSpace(*r.ID) == ""
	if strings.TrimSpace(r.Type) == "" {
		return MethodChoice{}, blankID
	}
	var (
		id    ID
		found bool
	)
	if !blankID {
		id, found = find(*r.ID)
	}
	switch PaymentMethodType(r.Type) {
	case MethodProvider:
		if r.ID == nil {
			return MethodChoice{Type: MethodProvider}, true
		}
		return MethodChoice{Type: MethodProvider, ID: &id}, found
	case MethodManual:
		return MethodChoice{Type: MethodManual}, !found
	default:
		return MethodChoice{}, false
	}
}

// ChooseMethod walks the chain: the purchase's own choice, then the wallet's, then the
// customer's default card. It returns the card to charge, or nil if no card is charged
// and the purchase stays pending until it is paid by hand. A card that was chosen and
// then removed stays chosen: the charge fails, and no other card is charged.
func ChooseMethod(purchase, owner MethodChoice, customerDefault *ID) *ID {
	for _, choice := range []MethodChoice{purchase, owner} {
		switch {
		case choice.Type == MethodManual:
			return nil
		case choice.ID != nil:
			return choice.ID
		}
	}
	return customerDefault
}
