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

// DefaultEndpointLimit is the largest number of endpoints of an organization in a mode.
const DefaultEndpointLimit = 10

// ErrEndpointLimit reports that an organization has as many endpoints as allowed.
var ErrEndpointLimit = errors.New("no more webhook endpoints are allowed")

const endpointColumns = `e.id, e.organization_id, e.mode, e.name, e.url, e.signature, e.events,
	case when e.status = 'enabled' and e.held_until is not null then 'held' else e.status end as status,
	e.failing_since, coalesce(e.last_error, '') as last_error, e.created_at, e.updated_at`

// InsertEndpoint stores a new endpoint and the secret that signs its deliveries. The error
// is ErrEndpointLimit if the organization already has limit endpoints in the mode. It locks
// the organization, so that concurrent requests cannot exceed the limit.
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

// GetEndpoint returns an endpoint. The error is CodeWebhookNotFound for an unknown one.
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

// GetEndpointSecret returns an endpoint and the current secret that signs its deliveries.
// The error is CodeWebhookNotFound for an unknown endpoint.
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

// FindEndpointRef returns the organization and mode of an endpoint. The error is
// CodeWebhookNotFound for an unknown endpoint.
func FindEndpointRef(ctx context.Context, db DB, id wallet.ID) (EndpointRef, error) {
	rows, _ := db.Query(ctx, `select id, organization_id, mode from webhook_endpoints where id = $1 and deleted_at is null`, id)
	ref, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[EndpointRef])
	if errors.Is(err, pgx.ErrNoRows) {
		return ref, errEndpointNotFound()
	}
	if err != nil {
		return ref, fmt.Errorf("find webhook endpoint %s: %w", id, err)
	}
	return ref, nil
}

// ListEndpoints returns up to limit endpoints of an organization in a mode with ids below
// before, newest first. A zero before does not limit the ids.
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

// EndpointChange is a change of an endpoint. A nil field stays as it is.
type EndpointChange struct {
	Name *string
	URL  *string
	// Subscribe returns what replaces the subscribed events and the kind of signature of
	// the endpoint, whose row is locked.
	Subscribe func(before wallet.Endpoint) (Subscription, error)
	// Enabled false stops deliveries until it is set to true again. Events that occur in
	// between are never delivered. Enabling a held endpoint retries at once.
	Enabled *bool
}

// Subscription is the set of events that an endpoint receives, and how they are signed.
type Subscription struct {
	Signature wallet.SignatureKind
	Events    []string // as the merchant named them, nil for the default events
	Types     []wallet.DeliveryType
}

// UpdateEndpoint changes an endpoint and returns the new state. The error is
// CodeWebhookNotFound for an unknown endpoint.
func UpdateEndpoint(ctx context.Context, tx pgx.Tx, ref EndpointRef, c EndpointChange, now time.Time) (wallet.Endpoint, error) {
	e, err := GetEndpoint(ctx, tx, ref)
	if err != nil {
		return e, err
	}
	if c.URL != nil || (c.Enabled != nil && *c.Enabled) {
		// Lanes are locked before their endpoint, as in RecordAttempt.
		if _, err := tx.Exec(ctx, `update delivery_lanes set due_at = $2 where endpoint_id = $1 and claim is null`, ref.ID, now); err != nil {
			return e, fmt.Errorf("wake webhook endpoint %s: %w", ref.ID, err)
		}
	}
	if c.Subscribe != nil {
		rows, _ := tx.Query(ctx, `select `+endpointColumns+` from webhook_endpoints e where e.id = $1 for no key update`, ref.ID)
		if e, err = pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[wallet.Endpoint]); err != nil {
			return e, fmt.Errorf("lock webhook endpoint %s: %w", ref.ID, err)
		}
		s, err := c.Subscribe(e)
		if err != nil {
			return e, err
		}
		_, err = tx.Exec(ctx, `update webhook_endpoints set signature = $2, events = $3, types = $4 where id = $1`,
			ref.ID, s.Signature, s.Events, s.Types)
		if err != nil {
			return e, fmt.Errorf("change the events of webhook endpoint %s: %w", ref.ID, err)
		}
	}
	// A new URL or an explicit enable resets the count of failures.
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

// RotateSecret replaces the secret of an endpoint. The replaced secret also signs until
// overlap has passed. A secret of an earlier rotation ends now.
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

// DeleteEndpoint deletes an endpoint and gives up its pending deliveries. The error is
// CodeWebhookNotFound for an unknown endpoint.
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
