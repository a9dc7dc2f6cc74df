package api

import (
	"bytes"
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"

	"github.com/fundrail/fundrail/internal/wallet"
)

// named is a JSON object whose members keep their order.
type named []member

type member struct {
	name  string
	value any
}

// MarshalJSON implements json.Marshaler.
func (n named) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, m := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(m.name); err != nil {
			return nil, err
		}
		b.WriteByte(':')
		if err := enc.Encode(m.value); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// credits are a decimal as this dialect shows it: a string with one decimal at
// least and no zeros behind.
type credits decimal.Decimal

// MarshalJSON implements json.Marshaler.
func (c credits) MarshalJSON() ([]byte, error) {
	return json.Marshal(wallet.FormatDecimal(decimal.Decimal(c)))
}

// moment is a time as this dialect shows it: UTC, to the second.
type moment time.Time

// MarshalJSON implements json.Marshaler.
func (m moment) MarshalJSON() ([]byte, error) {
	return json.Marshal(timestamp(time.Time(m)))
}

func momentOf(t *time.Time) *moment {
	return (*moment)(t)
}

func creditsOf(d *decimal.Decimal) *credits {
	return (*credits)(d)
}

// orNull is null for an empty string.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// lagoMethod is how a purchase, or a wallet, is to be paid.
type lagoMethod struct {
	PaymentMethodID   *wallet.ID               `json:"payment_method_id"`
	PaymentMethodType wallet.PaymentMethodType `json:"payment_method_type"`
}

func newLagoMethod(c wallet.MethodChoice) lagoMethod {
	return lagoMethod{PaymentMethodID: c.ID, PaymentMethodType: c.OrProvider()}
}

// lagoSection is an invoice custom section where it was applied.
type lagoSection struct {
	LagoID    wallet.ID `json:"lago_id"`
	SectionID wallet.ID `json:"invoice_custom_section_id"`
	CreatedAt moment    `json:"created_at"`
	Section   struct {
		LagoID         wallet.ID `json:"lago_id"`
		Code           string    `json:"code"`
		Name           string    `json:"name"`
		Description    *string   `json:"description"`
		Details        *string   `json:"details"`
		DisplayName    *string   `json:"display_name"`
		OrganizationID wallet.ID `json:"organization_id"`
	} `json:"invoice_custom_section"`
}

func newLagoSections(list []wallet.AppliedSection, organizationID wallet.ID) []lagoSection {
	sections := make([]lagoSection, len(list))
	for i, a := range list {
		s := &sections[i]
		s.LagoID, s.SectionID, s.CreatedAt = a.ID, a.SectionID, moment(a.CreatedAt)
		s.Section.LagoID, s.Section.Code, s.Section.Name = a.SectionID, a.Code, a.Name
		s.Section.Description, s.Section.Details = orNull(a.Description), orNull(a.Details)
		s.Section.DisplayName, s.Section.OrganizationID = orNull(a.DisplayName), organizationID
	}
	return sections
}
