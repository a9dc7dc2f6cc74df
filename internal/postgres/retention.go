package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Old rows are deleted in batches. Each batch is one statement and one commit. Batches
// follow the order of an index, and each begins where the previous one ended, so that no
// batch scans the rows that were just deleted, and the dead rows lie together for vacuum.
// A batch skips rows that another transaction has locked.

// DeleteStripeEvents deletes up to limit events of a mode that were received between from
// and before and are not pending. It returns how many it deleted, and the from of the next
// batch.
func DeleteStripeEvents(ctx context.Context, db DB, mode wallet.Mode, from, before time.Time, limit int) (int64, time.Time, error) {
	type deletedRow struct {
		N    int64
		Next *time.Time
	}
	rows, _ := db.Query(ctx, `
		with old as (
			select id, received_at from stripe_events
			where mode = $1 and received_at >= $2 and received_at < $3 and status <> 'pending'
			order by received_at
			limit $4
			for update skip locked
		), gone as (
			delete from stripe_events e using old where e.id = old.id
			returning e.received_at
		)
		select count(*) as n, max(received_at) as next from gone`, mode, from, before, limit)
	deleted, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[deletedRow])
	if err != nil {
		return 0, from, fmt.Errorf("delete stripe events: %w", err)
	}
	if deleted.Next == nil {
		return 0, before, nil
	}
	return deleted.N, *deleted.Next, nil
}

// DeleteMerchantEvents reads the next limit events with ids above from that are older than
// a time, and deletes those without pending deliveries, with their deliveries and attempts.
// It returns how many it deleted, how many it read, and the last id that it read. The last
// sequence number of each object stays, so that no number is used twice.
func DeleteMerchantEvents(ctx context.Context, db DB, from wallet.ID, before time.Time, limit int) (deleted, seen int64, last wallet.ID, err error) {
	rows, _ := db.Query(ctx, `
		with old as (
			select id from merchant_events
			where id > $1 and id < $2
			order by id
			limit $3
			for update skip locked
		), idle as (
			select id from old
			where not exists (select from deliveries d where d.event_id = old.id and d.status = 'pending')
		), sent as (
			-- A delivery that became pending in the meantime stays and keeps its event.
			delete from deliveries d using idle where d.event_id = idle.id and d.status <> 'pending'
		), gone as (
			delete from merchant_events e using idle where e.id = idle.id
			returning e.id
		)
		select old.id, gone.id is not null as deleted from old left join gone on gone.id = old.id order by old.id`,
		from, wallet.FirstID(before), limit)
	type eventRow struct {
		ID      wallet.ID
		Deleted bool
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByName[eventRow])
	if err != nil {
		return 0, 0, from, fmt.Errorf("delete merchant events: %w", err)
	}
	last = from
	for _, e := range list {
		last = e.ID
		if e.Deleted {
			deleted++
		}
	}
	return deleted, int64(len(list)), last, nil
}

// DeleteOldSessions deletes up to limit expired sessions of the dashboard, and returns how
// many it deleted.
func DeleteOldSessions(ctx context.Context, db DB, now time.Time, limit int) (int64, error) {
	tag, err := db.Exec(ctx, `
		delete from sessions where token in (
			select token from sessions where expiry < $1 order by expiry limit $2 for update skip locked
		)`, now, limit)
	if err != nil {
		return 0, fmt.Errorf("delete sessions: %w", err)
	}
	return tag.RowsAffected(), nil
}

// DeleteLoginFailures deletes up to limit records of failed logins that no longer count,
// and returns how many it deleted.
func DeleteLoginFailures(ctx context.Context, db DB, now time.Time, limit int) (int64, error) {
	tag, err := db.Exec(ctx, `
		delete from login_failures where subject in (
			select subject from login_failures where last_failed_at < $1 order by last_failed_at limit $2 for update skip locked
		)`, now.Add(-2*LoginWindow), limit)
	if err != nil {
		return 0, fmt.Errorf("delete failed logins: %w", err)
	}
	return tag.RowsAffected(), nil
}
