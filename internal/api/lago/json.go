package lago

import (
	"bytes"
	"encoding/json"

	"github.com/fundrail/fundrail/internal/lagojson"
	"github.com/fundrail/fundrail/internal/nullable"
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

// sectionJSON is an invoice custom section where it was applied.
type sectionJSON struct {
	LagoID    wallet.ID       `json:"lago_id"`
	SectionID wallet.ID       `json:"invoice_custom_section_id"`
	CreatedAt lagojson.Moment `json:"created_at"`
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

func newSections(list []wallet.AppliedSection, organizationID wallet.ID) []sectionJSON {
	sections := make([]sectionJSON, len(list))
	for i, a := range list {
		s := &sections[i]
		s.LagoID, s.SectionID, s.CreatedAt = a.ID, a.SectionID, lagojson.Moment(a.CreatedAt)
		s.Section.LagoID, s.Section.Code, s.Section.Name = a.SectionID, a.Code, a.Name
		s.Section.Description, s.Section.Details = nullable.From(a.Description), nullable.From(a.Details)
		s.Section.DisplayName, s.Section.OrganizationID = nullable.From(a.DisplayName), organizationID
	}
	return sections
}
