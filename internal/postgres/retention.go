package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// Old rows are deleted in batches, each one statement and one commit, in the order
// of an index and from where the batch before ended: rows that were just deleted
// are not walked over again, and what vacuum has to clean up stays together. No
// batch waits for a row that somebody else holds.

// DeleteStripeEvents removes up to limit events of a mode that were received
// before a time, beginning with from, and that nobody has to look after. It
// returns how many it removed, and where the next batch begins.
func DeleteStripeEvents(ctx context.Context, db DB, mode wallet.Mode, from, before time.Time, limit int) (int64, time.Time, error) {
	var (
		n    int64
		next *time.Time
	)
	err := db.QueryRow(ctx, `
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
		select count(*), max(received_at) from gone`, mode, from, before, limit).Scan(&n, &next)
	if err != nil {
		return 0, from, fmt.Errorf("delete stripe events: %w", err)
	}
	if next == nil {
		return 0, before, nil
	}
	return n, *next, nil
}

// DeleteMerchantEvents removes, of the next limit events behind from that are
// older than a time, those that are not on their way to anybody, with their
// deliveries and every attempt at them. It returns how many it removed, how many it
// looked at, and the last one of these. An object's count of events stays, so that
// it never repeats a sequence number.
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
			-- One that was asked for again in this moment stays, and keeps its event.
			delete from deliveries d using idle where d.event_id = idle.id and d.status <> 'pending'
		), gone as (
			delete from merchant_events e using idle where e.id = idle.id
			returning e.id
		)
		select old.id, gone.id is not null from old left join gone on gone.id = old.id order by old.id`,
		from, wallet.FirstID(before), limit)
	var removed bool
	last = from
	_, err = pgx.ForEachRow(rows, []any{&last, &removed}, func() error {
		seen++
		if removed {
			deleted++
		}
		return nil
	})
	if err != nil {
		return 0, 0, from, fmt.Errorf("delete merchant events: %w", err)
	}
	return deleted, seen, last, nil
}

// DeleteOldSessions removes up to limit sessions of the dashboard that have
// expired.
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

// DeleteLoginFailures removes up to limit failed logins that count no more.
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
