package api

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// idempotencyRecord is what binds the request's Idempotency-Key to its body, nil
// without a key. The first request may take until wait is over to answer.
func (s *Server) idempotencyRecord(c echo.Context, body object, wait time.Duration) (*postgres.IdempotencyRecord, error) {
	key, err := idempotencyKey(c.Request().Header)
	if err != nil || key == "" {
		return nil, err
	}
	meant, err := canonical(body)
	if err != nil {
		return nil, err
	}
	return &postgres.IdempotencyRecord{
		Operation: c.Request().Method + " " + c.Request().URL.EscapedPath(), Key: key,
		Fingerprint: sha256.Sum256(meant), WaitUntil: s.Now().Add(wait),
	}, nil
}

// results finds the rows that an idempotency key stands for. The second result is
// false when there is no key, or it is new. A key that was used for something
// else, or whose first request may still be waiting for its payment, is an error,
// unless that first request was the one that made own.
func (s *Server) results(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own []wallet.ID) ([]wallet.ID, bool, error) {
	if r == nil {
		return nil, false, nil
	}
	now := s.Now()
	record, payment, found, err := postgres.LookUpIdempotencyKey(ctx, s.DB, caller.OrganizationID, caller.Mode, r.Operation, r.Key, now)
	if err != nil || !found {
		return nil, false, err
	}
	if record.Fingerprint != r.Fingerprint {
		return nil, false, errIdempotencyKeyReused()
	}
	ids := append([]wallet.ID{}, record.ResultIDs...)
	if payment != (wallet.ID{}) && now.Before(record.WaitUntil) && !slices.Equal(ids, own) {
		p, err := postgres.GetPayment(ctx, s.DB, payment)
		if err != nil {
			return nil, false, err
		}
		if !p.Status.Answered() {
			return nil, false, errIdempotencyKeyInUse()
		}
	}
	return ids, true, nil
}

// makeOnce makes something, or gives the ids of what was made for its idempotency
// key before; those are nil when it was made now. Make tells whether the key was
// free. When the database's answer to it got lost, there tells whether it was
// made, and if not it is made again: a caller who is told to try again has got
// nothing. Once begun it goes on when the client leaves.
func (s *Server) makeOnce(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own []wallet.ID, makeIt, there func(context.Context) (bool, error)) ([]wallet.ID, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptTimeout)
	defer cancel()
	const tries = 3 // the key may have outlived its life in between
	for range tries {
		made, err := persist(ctx, makeIt, there)
		if err != nil || made {
			return nil, err
		}
		ids, found, err := s.results(ctx, caller, r, own)
		switch {
		case err != nil:
			return nil, err
		case found && len(own) > 0 && slices.Equal(ids, own):
			return nil, nil
		case found:
			return ids, nil
		}
	}
	return nil, fmt.Errorf("idempotency key neither taken nor free %d times", tries)
}

func persist(ctx context.Context, makeIt, there func(context.Context) (bool, error)) (bool, error) {
	const pause = 100 * time.Millisecond
	made, err := makeIt(ctx)
	for commitUnknown(err) {
		cause := err
		select {
		case <-ctx.Done():
			return false, errUnavailable(cause)
		case <-time.After(pause):
		}
		if made, err = there(ctx); err == nil && !made {
			made, err = makeIt(ctx)
		} else if postgres.Unavailable(err) {
			err = cause // it is still not known
		}
	}
	return made, err
}

// inTx runs do in a transaction, at most once for the request's idempotency key.
// The id is that of the row that the request is about. It returns the row's id,
// another one only when the key stands for that.
func (s *Server) inTx(c echo.Context, caller postgres.Caller, body object, do func(ctx context.Context, tx pgx.Tx) (wallet.ID, error)) (wallet.ID, error) {
	ctx := c.Request().Context()
	record, err := s.idempotencyRecord(c, body, 0)
	if err != nil {
		return wallet.ID{}, err
	}
	ids, found, err := s.results(ctx, caller, record, nil)
	if err != nil {
		return wallet.ID{}, err
	}
	var id wallet.ID
	if !found {
		err = pgx.BeginFunc(ctx, s.DB, func(tx pgx.Tx) error {
			var err error
			if id, err = do(ctx, tx); err != nil || record == nil {
				return err
			}
			record.ResultIDs = []wallet.ID{id}
			claimed, err := postgres.ClaimIdempotencyKey(ctx, tx, caller.OrganizationID, caller.Mode, *record, s.Now())
			if err == nil && !claimed {
				err = errIdempotencyKeyInUse() // by a request that came at the same time
			}
			return err
		})
		return id, err
	}
	c.Response().Header().Set(headerReplayed, "true")
	return ids[0], nil
}
