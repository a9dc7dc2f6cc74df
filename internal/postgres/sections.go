package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Section is an invoice custom section: a text that a merchant prints on invoices.
type Section struct {
	Code        string
	Name        string
	Description string
	Details     string
	DisplayName string
}

// UpsertSection stores an invoice custom section under its code and returns its id. Wallets
// and invoices to which the section was applied before keep the old text.
func UpsertSection(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, s Section, now time.Time) (wallet.ID, error) {
	if s.Code == "" {
		return wallet.ID{}, errors.New("store invoice custom section: the code is empty")
	}
	var id wallet.ID
	err := db.QueryRow(ctx, `
		insert into invoice_custom_sections (id, organization_id, mode, code, name, description, details, display_name, created_at)
		values ($1, $2, $3, $4, $5, nullif($6, ''), nullif($7, ''), nullif($8, ''), $9)
		on conflict (organization_id, mode, code) do update
		set name = excluded.name, description = excluded.description, details = excluded.details, display_name = excluded.display_name
		returning id`,
		wallet.NewID(), organizationID, mode, s.Code, s.Name, s.Description, s.Details, s.DisplayName, now).Scan(&id)
	if err != nil {
		return id, fmt.Errorf("store invoice custom section %s: %w", s.Code, err)
	}
	return id, nil
}

const selectSections = `
	select id, code, name, coalesce(description, '') as description, coalesce(details, '') as details,
		coalesce(display_name, '') as display_name
	from invoice_custom_sections
	where organization_id = @organization_id and mode = @mode and code = any (@codes)`

// ApplySections copies sections for a row that asks for them by their codes, in the
// order of the codes. Unknown codes are left out.
func ApplySections(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, codes []string, now time.Time) ([]wallet.AppliedSection, error) {
	if len(codes) == 0 {
		return nil, nil
	}
	var list []wallet.AppliedSection
	rows, _ := db.Query(ctx, selectSections, params{"organization_id": organizationID, "mode": mode, "codes": codes})
	if err := sectionsOf(&list, codes, now)(rows); err != nil {
		return nil, fmt.Errorf("find invoice custom sections: %w", err)
	}
	return list, nil
}

// sectionsOf reads the result of selectSections.
func sectionsOf(list *[]wallet.AppliedSection, codes []string, now time.Time) func(pgx.Rows) error {
	type sectionRow struct {
		ID wallet.ID
		Section
	}
	return func(rows pgx.Rows) error {
		found, err := pgx.CollectRows(rows, pgx.RowToStructByName[sectionRow])
		for _, s := range found {
			*list = append(*list, wallet.AppliedSection{
				ID: wallet.NewID(), SectionID: s.ID, Code: s.Code, Name: s.Name, Description: s.Description, Details: s.Details,
				DisplayName: s.DisplayName, CreatedAt: now,
			})
		}
		slices.SortFunc(*list, func(a, b wallet.AppliedSection) int {
			return slices.Index(codes, a.Code) - slices.Index(codes, b.Code)
		})
		return err
	}
}
