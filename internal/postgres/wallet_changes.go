package postgres

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/nullable"
	"github.com/fundrail/fundrail/internal/wallet"
)

// NewWallet is a wallet that a client asks for.
type NewWallet struct {
	// Wallet has the values that the client sent. The organization, the mode, the time
	// of creation and the external id of the customer are required; an empty currency
	// is replaced by the customer's.
	Wallet        wallet.Wallet
	PaymentMethod wallet.MethodRequest
	SkipSections  bool
	SectionCodes  []string
	// Limit is the largest number of active wallets of the customer, with this one.
	Limit int
}

// CreateWallet makes a wallet. Earlier has what the caller has found wrong with the
// request. The error is a *wallet.ValidationError with all of that and everything that
// is found here. Two requests at once cannot exceed the limit together, because the
// customer's row is locked.
func CreateWallet(ctx context.Context, tx pgx.Tx, n NewWallet, earlier *wallet.ValidationError) (wallet.Wallet, error) {
	v := earlier.Clone()
	w := n.Wallet
	customer, active, err := lockCustomer(ctx, tx, w.OrganizationID, w.Mode, w.ExternalCustomerID, w.CreatedAt)
	switch {
	case wallet.HasCode(err, wallet.CodeCustomerNotFound):
		v.Add(wallet.FieldCustomer, wallet.ProblemNotFound)
		customer.Currency = wallet.USD // so that an unknown customer is not an invalid currency too
	case err != nil:
		return w, err
	case active >= n.Limit:
		v.Add(wallet.FieldCustomer, wallet.ProblemLimitReached)
	}
	w.CustomerID = customer.ID
	if w.ID == (wallet.ID{}) {
		w.ID = wallet.NewID()
	}
	if w.Currency == "" {
		w.Currency = customer.Currency
	}
	if w.Priority == 0 {
		w.Priority = wallet.DefaultPriority
	}
	choice, ok, err := chooseMethod(ctx, tx, w.OrganizationID, w.Mode, w.CustomerID, n.PaymentMethod)
	if err != nil {
		return w, err
	}
	if !ok {
		v.Add(wallet.FieldPaymentMethod, wallet.ProblemInvalid)
	}
	w.PaymentMethod = choice
	v.AddAll(w.Validate())
	if w.ExpirationAt != nil && !w.ExpirationAt.After(w.CreatedAt) {
		v.Add(wallet.FieldExpirationAt, wallet.ProblemInvalid)
	}
	if err := v.OrNil(); err != nil {
		return w, err
	}
	sections, err := ApplySections(ctx, tx, w.OrganizationID, w.Mode, n.SectionCodes, w.CreatedAt)
	if err != nil {
		return w, err
	}
	w.Sections = wallet.AppliedSections{Skip: n.SkipSections}
	if !n.SkipSections {
		w.Sections.List = sections
	}
	if err := InsertWallet(ctx, tx, w); err != nil {
		return w, err
	}
	if err := announce(ctx, tx, wallet.AnnounceWallet(wallet.DeliveryWalletCreated, w, w.CreatedAt)); err != nil {
		return w, err
	}
	return GetWallet(ctx, tx, w.ID)
}

// lockCustomer locks a customer's row, terminates its wallets that have expired, and
// returns the customer and the number of its active wallets.
func lockCustomer(ctx context.Context, tx pgx.Tx, organizationID wallet.ID, mode wallet.Mode, externalID string, now time.Time) (Customer, int, error) {
	rows, _ := tx.Query(ctx, `
		select `+customerColumns+` from customers c
		where c.organization_id = $1 and c.mode = $2 and c.external_id = $3
		for no key update`, organizationID, mode, externalID)
	customer, err := collectCustomer(rows, externalID)
	if err != nil {
		return customer, 0, err
	}
	if _, err := expireWallets(ctx, tx, now, `customer_id = $2`, customer.ID); err != nil {
		return customer, 0, fmt.Errorf("customer %s: %w", externalID, err)
	}
	var active int
	err = tx.QueryRow(ctx, `select count(*) from wallets where customer_id = $1 and status = 'active'`, customer.ID).Scan(&active)
	if err != nil {
		return customer, 0, fmt.Errorf("count wallets of customer %s: %w", externalID, err)
	}
	return customer, active, nil
}

// chooseMethod reads a payment method as a client names it, against the saved
// cards of one customer, or of the whole organization if the customer is not known.
// The second result is false if the choice is not valid.
func chooseMethod(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, customerID wallet.ID, r wallet.MethodRequest) (wallet.MethodChoice, bool, error) {
	var found bool
	id, ok := parseCardID(r)
	if ok {
		rows, _ := db.Query(ctx, `
			select exists (
				select from payment_methods
				where id = @id and organization_id = @organization_id and mode = @mode and deleted_at is null
					and (@customer_id::uuid is null or customer_id = @customer_id)
			)`,
			params{"id": id, "organization_id": organizationID, "mode": mode, "customer_id": nullable.From(customerID)})
		var err error
		if found, err = pgx.CollectExactlyOneRow(rows, pgx.RowTo[bool]); err != nil {
			return wallet.MethodChoice{}, false, fmt.Errorf("find payment method %s: %w", id, err)
		}
	}
	choice, ok := r.Choice(func(string) (wallet.ID, bool) { return id, found })
	return choice, ok, nil
}

// parseCardID returns the id of the saved card that a client names. The second result
// is false if the client names none, or sends something that is not an id.
func parseCardID(r wallet.MethodRequest) (wallet.ID, bool) {
	const length = 36 // the parser accepts other spellings too
	if r.ID == nil || len(*r.ID) != length {
		return wallet.ID{}, false
	}
	id, err := uuid.Parse(*r.ID)
	return id, err == nil
}

// WalletChange is what a request changes of a wallet.
type WalletChange struct {
	// Change sets the values that the client sent. Other values stay. The rate, the
	// currency and the balances cannot change.
	Change func(w *wallet.Wallet) error
	// PaymentMethod is nil if the client did not send one.
	PaymentMethod *wallet.MethodRequest
	// Sections is nil if the client did not send any.
	Sections *wallet.SectionRequest
}

// UpdateWallet changes a wallet. Earlier has what the caller has found wrong with the
// request; the change may add to it. The error is a *wallet.ValidationError with all of
// that and everything that is found here, or for a terminated wallet.
func UpdateWallet(ctx context.Context, tx pgx.Tx, ref WalletRef, change WalletChange, earlier *wallet.ValidationError, now time.Time) (wallet.Wallet, error) {
	before, err := lockWallet(ctx, tx, ref, now)
	if err != nil {
		return before, err
	}
	if before.Status != wallet.WalletActive {
		return before, wallet.Invalid(wallet.FieldWallet, wallet.ProblemTerminated)
	}
	w := before
	if err := change.Change(&w); err != nil {
		return before, err
	}
	v := earlier.Clone() // after the change, which may have added to it
	if change.PaymentMethod != nil {
		choice, ok, err := chooseMethod(ctx, tx, w.OrganizationID, w.Mode, w.CustomerID, *change.PaymentMethod)
		if err != nil {
			return before, err
		}
		if !ok {
			v.Add(wallet.FieldPaymentMethod, wallet.ProblemInvalid)
		}
		w.PaymentMethod = choice
	}
	v.AddAll(w.Validate())
	if w.ExpirationAt != nil && !sameTime(w.ExpirationAt, before.ExpirationAt) && !w.ExpirationAt.After(now) {
		v.Add(wallet.FieldExpirationAt, wallet.ProblemInvalid)
	}
	if err := v.OrNil(); err != nil {
		return before, err
	}
	if s := change.Sections; s != nil {
		w.Sections = wallet.AppliedSections{Skip: s.Skip}
		if !s.Skip {
			if w.Sections.List, err = ApplySections(ctx, tx, w.OrganizationID, w.Mode, s.Codes, now); err != nil {
				return before, err
			}
		}
	}
	args := walletArgs(w)
	args["now"] = now
	_, err = tx.Exec(ctx, updateWallet, args)
	if err != nil {
		return before, walletError(err, "update wallet "+w.ID.String())
	}
	return w, announce(ctx, tx, wallet.AnnounceWallet(wallet.DeliveryWalletUpdated, w, now))
}

func sameTime(a, b *time.Time) bool {
	return a == b || (a != nil && b != nil && a.Equal(*b))
}

// TerminateWallet terminates a wallet: nothing is added to it or taken from it any more,
// except for purchases that are pending. The balance stays as it is. The second result
// is false if the wallet was terminated before, which is not an error.
func TerminateWallet(ctx context.Context, tx pgx.Tx, ref WalletRef, now time.Time) (wallet.Wallet, bool, error) {
	w, err := lockWallet(ctx, tx, ref, now)
	if err != nil {
		return w, false, err
	}
	ended := now
	if w.TerminatedAt != nil {
		ended = *w.TerminatedAt // it expired, which may not be stored yet
	}
	tag, err := tx.Exec(ctx, `
		update wallets set status = 'terminated', terminated_at = $2, updated_at = $3
		where id = $1 and status = 'active'`, w.ID, ended, now)
	if err != nil {
		return w, false, fmt.Errorf("terminate wallet %s: %w", w.ID, err)
	}
	w.Status, w.TerminatedAt = wallet.WalletTerminated, &ended
	if tag.RowsAffected() == 0 {
		return w, false, nil
	}
	return w, true, announce(ctx, tx, wallet.AnnounceWallet(wallet.DeliveryWalletTerminated, w, now))
}

// expireWallets terminates the wallets that have expired and meet a condition. The
// condition may use $1, which is now, and $2, which is arg.
func expireWallets(ctx context.Context, tx pgx.Tx, now time.Time, condition string, arg any) ([]wallet.ID, error) {
	rows, _ := tx.Query(ctx, `
		update wallets set status = 'terminated', terminated_at = expiration_at, updated_at = $1
		where status = 'active' and expiration_at <= $1 and `+condition+`
		returning id, organization_id, mode`, now, arg)
	type expiredRow struct {
		ID             wallet.ID   `db:"id"`
		OrganizationID wallet.ID   `db:"organization_id"`
		Mode           wallet.Mode `db:"mode"`
	}
	expired, err := pgx.CollectRows(rows, pgx.RowToStructByName[expiredRow])
	if err != nil {
		return nil, fmt.Errorf("expire wallets: %w", err)
	}
	var (
		ids  []wallet.ID
		list []wallet.Announcement
	)
	for _, r := range expired {
		w := wallet.Wallet{ID: r.ID, OrganizationID: r.OrganizationID, Mode: r.Mode}
		ids, list = append(ids, r.ID), append(list, wallet.AnnounceWallet(wallet.DeliveryWalletTerminated, w, now))
	}
	return ids, announce(ctx, tx, list...)
}

// ExpireWallets terminates up to limit wallets whose expiration has passed, and returns
// their ids. Every reader treats them as terminated before that.
func ExpireWallets(ctx context.Context, db Beginner, now time.Time, limit int) ([]wallet.ID, error) {
	var ids []wallet.ID
	err := pgx.BeginTxFunc(ctx, db, pgx.TxOptions{}, func(tx pgx.Tx) error {
		var err error
		ids, err = expireWallets(ctx, tx, now, `id in (
			select id from wallets
			where status = 'active' and expiration_at <= $1
			order by id
			limit $2
			for no key update skip locked
		)`, limit)
		return err
	})
	return ids, err
}

// ChangeWalletMetadata replaces a wallet's metadata by what change returns for it. Nil
// is no metadata. The metadata of terminated wallets can change as well.
func ChangeWalletMetadata(ctx context.Context, tx pgx.Tx, ref WalletRef, now time.Time, change func(map[string]any) (map[string]any, error)) (map[string]any, error) {
	w, err := lockWallet(ctx, tx, ref, now)
	if err != nil {
		return nil, err
	}
	var metadata map[string]any
	if w.Metadata != nil {
		if err := json.Unmarshal(w.Metadata, &metadata); err != nil {
			return nil, fmt.Errorf("metadata of wallet %s: %w", w.ID, err)
		}
	}
	if metadata, err = change(metadata); err != nil {
		return nil, err
	}
	var stored any
	if metadata != nil {
		stored = metadata
	}
	if _, err := tx.Exec(ctx, `update wallets set metadata = $2, updated_at = $3 where id = $1`, w.ID, stored, now); err != nil {
		return nil, fmt.Errorf("metadata of wallet %s: %w", w.ID, err)
	}
	return metadata, announce(ctx, tx, wallet.AnnounceWallet(wallet.DeliveryWalletUpdated, w, now))
}
