package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// StoreTimeout is how long a request may take to be stored, with everything that is
// tried when the database's answer gets lost.
const StoreTimeout = 10 * time.Second

// StorePause is the pause before a request is stored again that may be stored or not.
const StorePause = 100 * time.Millisecond

// StoreTries is how often a request with a taken idempotency key is tried. The key
// may have expired before it was looked up, and is free then.
const StoreTries = 3

// IdempotencyRecord returns what binds the request's Idempotency-Key to its body, or
// nil without a key. The first request may take until wait is over to answer.
func (s *Server) IdempotencyRecord(c echo.Context, body map[string]json.RawMessage, wait time.Duration) (*postgres.IdempotencyRecord, error) {
	key, err := IdempotencyKey(c.Request().Header)
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

// canonical writes an object in one way, however the client wrote it.
func canonical(o map[string]json.RawMessage) ([]byte, error) {
	whole, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("canonical body: %w", err)
	}
	dec := json.NewDecoder(bytes.NewReader(whole))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("canonical body: %w", err)
	}
	return json.Marshal(v) // names in order
}

// Results finds the rows that an idempotency key stands for. The second result is
// false when there is no key, or it is new. A key that was used for something
// else, or whose first request may still be waiting for its payment, is an error,
// unless that first request was the one that made own.
func (s *Server) Results(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own []wallet.ID) ([]wallet.ID, bool, error) {
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

// MakeOnce stores something, or returns the ids of what was stored for its
// idempotency key before; those are nil when it was stored now. Store reports whether
// the key was free. When the database's answer to it got lost, stored reports whether
// it was stored, and if it was not, it is stored again: a caller who is told to try
// again has got nothing. Once begun it goes on when the client leaves.
func (s *Server) MakeOnce(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own []wallet.ID, store, stored func(context.Context) (bool, error)) ([]wallet.ID, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), StoreTimeout)
	defer cancel()
	for range StoreTries {
		made, err := storeForCertain(ctx, store, stored)
		if err != nil || made {
			return nil, err
		}
		ids, found, err := s.Results(ctx, caller, r, own)
		switch {
		case err != nil:
			return nil, err
		case found && len(own) > 0 && slices.Equal(ids, own):
			return nil, nil
		case found:
			return ids, nil
		}
	}
	return nil, fmt.Errorf("idempotency key neither taken nor free %d times", StoreTries)
}

func storeForCertain(ctx context.Context, store, stored func(context.Context) (bool, error)) (bool, error) {
	made, err := store(ctx)
	for CommitUnknown(err) {
		cause := err
		select {
		case <-ctx.Done():
			return false, Unavailable(cause)
		case <-time.After(StorePause):
		}
		if made, err = stored(ctx); err == nil && !made {
			made, err = store(ctx)
		} else if postgres.Unavailable(err) {
			err = cause // it is still not known
		}
	}
	return made, err
}

// InTx runs do in a transaction, at most once for the request's idempotency key. Do
// returns the id of the row that the request is about, and so does InTx, with the id
// that the key stands for when do did not run.
func (s *Server) InTx(c echo.Context, caller postgres.Caller, body map[string]json.RawMessage, do func(ctx context.Context, tx pgx.Tx) (wallet.ID, error)) (wallet.ID, error) {
	ctx := c.Request().Context()
	record, err := s.IdempotencyRecord(c, body, 0)
	if err != nil {
		return wallet.ID{}, err
	}
	ids, found, err := s.Results(ctx, caller, record, nil)
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
	SetReplayed(c)
	return ids[0], nil
}

// CommitUnknown reports whether a transaction that ended with err may have been
// committed all the same: the database got it, and did not answer.
func CommitUnknown(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return false // it did answer
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false // it was never asked
	}
	return postgres.Unavailable(err) && !pgconn.SafeToRetry(err)
}
