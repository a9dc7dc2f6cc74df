package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// DefaultEndpointLimit is how many endpoints an organization may have in a mode.
const DefaultEndpointLimit = 10

// ErrEndpointLimit reports an organization that has as many endpoints as it may.
var ErrEndpointLimit = errors.New("no more webhook endpoints are allowed")

const endpointColumns = `e.id, e.organization_id, e.mode, e.name, e.url, e.signature, e.events,
	case when e.status = 'enabled' and e.held_until is not null then 'held' else e.status end as status,
	e.failing_since, coalesce(e.last_error, '') as last_error, e.created_at, e.updated_at`

// InsertEndpoint stores a new endpoint and what its deliveries are signed with. It
// is ErrEndpointLimit when the organization has limit of them in the mode already;
// two requests at once cannot pass the limit together.
func InsertEndpoint(ctx context.Context, tx pgx.Tx, e wallet.Endpoint, types []wallet.DeliveryType, secret string, limit int) error {
	var have int
	if _, err := tx.Exec(ctx, `select from organizations where id = $1 for no key update`, e.OrganizationID); err != nil {
		return fmt.Errorf("lock organization %s: %w", e.OrganizationID, err)
	}
	err := tx.QueryRow(ctx, `
		select count(*) from webhook_endpoints where organization_id = $1 and mode = $2 and deleted_at is null`,
		e.OrganizationID, e.Mode).Scan(&have)
	if err != nil {
		return fmt.Errorf("count webhook endpoints: %w", err)
	}
	if have >= limit {
		return ErrEndpointLimit
	}
	_, err = tx.Exec(ctx, `
		insert into webhook_endpoints (id, organization_id, mode, name, url, signature, events, types, secret, created_at, updated_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10)`,
		e.ID, e.OrganizationID, e.Mode, e.Name, e.URL, e.Signature, e.Events, types, secret, e.CreatedAt)
	if err != nil {
		return fmt.Errorf("insert webhook endpoint: %w", err)
	}
	return nil
}

// EndpointRef names an endpoint of an organization.
type EndpointRef struct {
	OrganizationID wallet.ID
	Mode           wallet.Mode
	ID             wallet.ID
}

// GetEndpoint finds an endpoint. An unknown one is CodeWebhookNotFound.
func GetEndpoint(ctx context.Context, db DB, ref EndpointRef) (wallet.Endpoint, error) {
	rows, _ := db.Query(ctx, `
		select `+endpointColumns+` from webhook_endpoints e
		where e.id = $1 and e.organization_id = $2 and e.mode = $3 and e.deleted_at is null`,
		ref.ID, ref.OrganizationID, ref.Mode)
	e, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[wallet.Endpoint])
	if errors.Is(err, pgx.ErrNoRows) {
		return e, errEndpointNotFound()
	}
	if err != nil {
		return e, fmt.Errorf("find webhook endpoint %s: %w", ref.ID, err)
	}
	return e, nil
}

// GetEndpointSecret finds an endpoint with what its deliveries are signed with now.
// An unknown one is CodeWebhookNotFound.
func GetEndpointSecret(ctx context.Context, db DB, ref EndpointRef) (wallet.Endpoint, string, error) {
	e, err := GetEndpoint(ctx, db, ref)
	if err != nil {
		return e, "", err
	}
	var secret string
	if err := db.QueryRow(ctx, `select secret from webhook_endpoints where id = $1`, ref.ID).Scan(&secret); err != nil {
		return e, "", fmt.Errorf("find secret of webhook endpoint %s: %w", ref.ID, err)
	}
	return e, secret, nil
}

func errEndpointNotFound() error {
	return &wallet.Error{Code: wallet.CodeWebhookNotFound, Message: "Webhook not found."}
}

// FindEndpointRef finds who an endpoint belongs to. An unknown one is
// CodeWebhookNotFound.
func FindEndpointRef(ctx context.Context, db DB, id wallet.ID) (EndpointRef, error) {
	ref := EndpointRef{ID: id}
	err := db.QueryRow(ctx, `select organization_id, mode from webhook_endpoints where id = $1 and deleted_at is null`, id).
		Scan(&ref.OrganizationID, &ref.Mode)
	if errors.Is(err, pgx.ErrNoRows) {
		return ref, errEndpointNotFound()
	}
	if err != nil {
		return ref, fmt.Errorf("find webhook endpoint %s: %w", id, err)
	}
	return ref, nil
}

// ListEndpoints gives up to limit endpoints of an organization in a mode, newest
// first, beginning after the one with the id before; the zero id begins at the
// newest.
func ListEndpoints(ctx context.Context, db DB, organizationID wallet.ID, mode wallet.Mode, before wallet.ID, limit int) ([]wallet.Endpoint, error) {
	if before == (wallet.ID{}) {
		before = uuid.Max
	}
	rows, _ := db.Query(ctx, `
		select `+endpointColumns+` from webhook_endpoints e
		where e.organization_id = $1 and e.mode = $2 and e.id < $3 and e.deleted_at is null
		order by e.id desc
		limit $4`, organizationID, mode, before, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[wallet.Endpoint])
	if err != nil {
		return nil, fmt.Errorf("list webhook endpoints of organization %s: %w", organizationID, err)
	}
	return nonNil(list), nil
}

// EndpointChange is what changes of an endpoint. What is nil stays as it is.
type EndpointChange struct {
	Name *string
	URL  *string
	// Subscription replaces the events and the dialect that they are named in.
	Subscription *Subscription
	// Enabled false ends all deliveries until it is true again. Events of the time
	// between are not delivered. Enabling a held endpoint tries again at once.
	Enabled *bool
}

// Subscription is what an endpoint hears of, and how.
type Subscription struct {
	Signature wallet.SignatureKind
	Events    []string // nil for the usual ones
	Types     []wallet.DeliveryType
}

// UpdateEndpoint changes an endpoint and returns it as it is then. An unknown one
// is CodeWebhookNotFound.
func UpdateEndpoint(ctx context.Context, tx pgx.Tx, ref EndpointRef, c EndpointChange, now time.Time) (wallet.Endpoint, error) {
	e, err := GetEndpoint(ctx, tx, ref)
	if err != nil {
		return e, err
	}
	if c.URL != nil || (c.Enabled != nil && *c.Enabled) {
		// Lanes come before their endpoint, as when an attempt is recorded.
		if _, err := tx.Exec(ctx, `update delivery_lanes set due_at = $2 where endpoint_id = $1 and claim is null`, ref.ID, now); err != nil {
			return e, fmt.Errorf("wake webhook endpoint %s: %w", ref.ID, err)
		}
	}
	if s := c.Subscription; s != nil {
		_, err := tx.Exec(ctx, `update webhook_endpoints set signature = $2, events = $3, types = $4 where id = $1`,
			ref.ID, s.Signature, s.Events, s.Types)
		if err != nil {
			return e, fmt.Errorf("change what webhook endpoint %s hears of: %w", ref.ID, err)
		}
	}
	// A new address, or somebody who says that the old one works again, begins anew.
	_, err = tx.Exec(ctx, `
		update webhook_endpoints
		set name = coalesce($2, name), url = coalesce($3, url),
			status = case when $4 then 'enabled' when not $4 then 'disabled' else status end,
			failures = case when $3 is not null or $4 then 0 else failures end,
			failing_since = case when $3 is null and $4 is not true then failing_since end,
			held_until = case when $3 is null and $4 is not true then held_until end,
			updated_at = $5
		where id = $1`, ref.ID, c.Name, c.URL, c.Enabled, now)
	if err != nil {
		return e, fmt.Errorf("change webhook endpoint %s: %w", ref.ID, err)
	}
	return GetEndpoint(ctx, tx, ref)
}

// RotateSecret gives an endpoint a new secret. The one before signs as well until
// overlap is over; one that was there before that ends now.
func RotateSecret(ctx context.Context, db DB, ref EndpointRef, secret string, now time.Time, overlap time.Duration) error {
	tag, err := db.Exec(ctx, `
		update webhook_endpoints
		set previous_secret = secret, previous_secret_expires_at = $5, secret = $4, updated_at = $6
		where id = $1 and organization_id = $2 and mode = $3 and deleted_at is null`,
		ref.ID, ref.OrganizationID, ref.Mode, secret, now.Add(overlap), now)
	if err != nil {
		return fmt.Errorf("rotate secret of webhook endpoint %s: %w", ref.ID, err)
	}
	if tag.RowsAffected() == 0 {
		return errEndpointNotFound()
	}
	return nil
}

// DeleteEndpoint removes an endpoint; what was on its way to it is given up. An
// unknown one is CodeWebhookNotFound.
func DeleteEndpoint(ctx context.Context, tx pgx.Tx, ref EndpointRef, now time.Time) error {
	if _, err := GetEndpoint(ctx, tx, ref); err != nil {
		return err
	}
	var b pgx.Batch
	b.Queue(`delete from delivery_lanes where endpoint_id = $1`, ref.ID)
	b.Queue(`update webhook_endpoints set deleted_at = $2, updated_at = $2 where id = $1`, ref.ID, now)
	b.Queue(`update deliveries set status = 'failed', finished_at = $2 where endpoint_id = $1 and status = 'pending'`, ref.ID, now)
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("delete webhook endpoint %s: %w", ref.ID, err)
	}
	return nil
}
