package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/labstack/echo/v4"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// The rule of every write: a request that is answered 4xx or 5xx has had no effect
// and never will; one that may have had an effect is answered 2xx with its ids.
//
// Once keeps it. A write makes its ids before its first attempt, and each attempt
// sends the same ids, so the database accepts one of them at most. When an attempt
// is in doubt, Once makes another until the database says stored or refused.

const (
	// DefaultPatience is how long a caller waits while its write is in doubt.
	DefaultPatience = 8 * time.Second
	// attemptLimit bounds one attempt of a transaction.
	attemptLimit = 5 * time.Second
	// pause is the first wait between two attempts. It doubles up to longestPause.
	pause        = 100 * time.Millisecond
	longestPause = 5 * time.Second
	// ResolveLimit is how long a write in doubt is carried on after its caller was
	// answered. An id that is unknown later was never stored and never will be.
	ResolveLimit = 10 * time.Minute
	// maxInDoubt is how many writes in doubt a process carries on at once, and
	// maxInDoubtOf how many of one organization. While there are more, new ones are
	// refused before anything is sent.
	maxInDoubt   = 1000
	maxInDoubtOf = 100
	// retryLockWait is how long an attempt waits for a locked row after an earlier one
	// waited in vain. Each waiting attempt holds a connection.
	retryLockWait = 50 * time.Millisecond
	// keyTries is how often a write finds its idempotency key taken and then free,
	// because the key's life ended in between.
	keyTries = 3
)

// Attempt makes one attempt of a write. Stored is false, and nothing was written, when
// the idempotency key is taken. The error is a postgres.DoubtError when the write may
// have happened; the value then is what it has stored in that case. Attempts may run
// after the request was answered, so they must not share variables with its handler.
type Attempt[T any] func(ctx context.Context) (value T, stored bool, err error)

// Act is a write of a request.
type Act[T any] struct {
	// Record is the idempotency key that the write claims. It is nil for a write
	// without a key whose own ids keep it from happening twice.
	Record *postgres.IdempotencyRecord
	// IDs are the rows that the write makes.
	IDs []wallet.ID
	// HoldsConnection reports that each attempt has a connection to itself, and does
	// not share the transaction of a group.
	HoldsConnection bool
	Attempt         Attempt[T]
}

// Done is what became of an Act.
type Done[T any] struct {
	// Value is what was stored, or may have been. It is not set for a replay.
	Value T
	// InDoubt reports that it is not known yet whether the value was stored. The
	// write goes on, and the answer must say that it is not finished.
	InDoubt bool
	// Prior is what the idempotency key stands for, nil unless the request is a replay.
	Prior *Prior
}

// Prior is what an earlier request with the same idempotency key made.
type Prior struct {
	IDs       []wallet.ID
	PaymentID wallet.ID // zero when it made none
	// WaitUntil is until when that request may be waiting for its answer.
	WaitUntil time.Time
}

// Once carries out a write. The error proves that the write had no effect and never
// will have one.
func Once[T any](ctx context.Context, s *Server, caller postgres.Caller, a Act[T]) (Done[T], error) {
	key := keyOf(caller, a.Record)
	if err := s.doubts.admit(caller.OrganizationID, key); err != nil {
		return Done[T]{}, err
	}
	w := &write[T]{Act: a, server: s, caller: caller, pause: pause}
	limited, cancel := context.WithTimeout(ctx, s.patience())
	defer cancel()
	stop := context.AfterFunc(s.doubts.draining, cancel) //nolint:contextcheck // the end of the server, not of the request
	defer stop()
	done, err := w.resolve(limited)
	switch {
	case errors.Is(err, errInDoubt):
	case errors.Is(err, context.Canceled) && s.doubts.draining.Err() != nil:
		return Done[T]{}, Unavailable(err)
	default:
		return done, err
	}
	s.Log.WarnContext(ctx, "write in doubt", slog.Any("ids", a.IDs), slog.Any("error", w.cause))
	value := w.value // the background may make another attempt at once
	s.doubts.carryOn(caller.OrganizationID, key, func(life context.Context) { w.finish(life, context.WithoutCancel(ctx)) })
	return Done[T]{Value: value, InDoubt: true}, nil
}

func (s *Server) patience() time.Duration {
	if s.Patience == 0 {
		return DefaultPatience
	}
	return s.Patience
}

// errInDoubt reports that the context of resolve ended before it was known whether
// the write was stored.
var errInDoubt = errors.New("in doubt")

// write is an Act under way.
type write[T any] struct {
	Act[T]

	server *Server
	caller postgres.Caller
	pause  time.Duration
	// value and cause are those of the last attempt that was in doubt; cause is nil
	// while none was.
	value T
	cause error
	taken int // how often the key was found taken, and then free
	// blocked reports whether an attempt waited for a locked row in vain.
	blocked bool
}

// resolve makes attempts until the database says stored or refused, or ctx ends.
func (w *write[T]) resolve(ctx context.Context) (Done[T], error) {
	for {
		done, err := w.attempt(ctx)
		w.blocked = w.blocked || postgres.Blocked(err)
		switch {
		case err == nil:
			return done, nil
		case postgres.InDoubt(err) && breakpoint.Broken(breakpoint.DoubtAsRefusal):
			return Done[T]{}, Unavailable(err)
		case postgres.InDoubt(err), w.cause != nil && !refusal(err):
			// An attempt that fails says nothing of one before it that is in doubt.
		case postgres.Blocked(err):
			// Nothing was written, and the rows may be free in a moment.
		default:
			return Done[T]{}, unavailable(err)
		}
		timer := time.NewTimer(w.pause)
		w.pause = min(2*w.pause, longestPause)
		select {
		case <-timer.C:
			continue
		case <-ctx.Done():
			timer.Stop()
		}
		if w.cause != nil {
			return Done[T]{}, errInDoubt
		}
		return Done[T]{}, Unavailable(err)
	}
}

// refusal reports whether the error of an attempt holds for every attempt of the same
// write: it is about what was asked for, and not about the database or the caller.
func refusal(err error) bool {
	return postgres.Rejected(err) || AsError(err).Status < http.StatusInternalServerError
}

// attempt makes one attempt, and finds out what the key stands for if that is taken.
func (w *write[T]) attempt(ctx context.Context) (Done[T], error) {
	for {
		value, stored, err := w.attemptOnce(ctx)
		if postgres.InDoubt(err) {
			w.value, w.cause = value, err
		}
		if err != nil || stored {
			return Done[T]{Value: value}, err
		}
		prior, found, err := w.server.Prior(ctx, w.caller, w.Record, w.IDs)
		switch {
		case err != nil:
			return Done[T]{}, err
		case found && w.own(prior):
			return Done[T]{Value: w.stored(value)}, nil
		case found:
			return Done[T]{Prior: &prior}, nil
		}
		if w.taken++; w.taken == keyTries {
			return Done[T]{}, fmt.Errorf("idempotency key neither taken nor free %d times", keyTries)
		}
	}
}

// attemptOnce makes an attempt, after a wait for a connection's slot if it needs one.
func (w *write[T]) attemptOnce(ctx context.Context) (value T, stored bool, err error) {
	if w.HoldsConnection {
		release, err := w.server.slots.acquire(ctx, w.caller.OrganizationID)
		if err != nil {
			return value, false, fmt.Errorf("wait for a connection: %w", err)
		}
		defer release()
	}
	if w.blocked {
		ctx = postgres.WithLockWait(ctx, retryLockWait)
	}
	return w.Attempt(ctx)
}

// stored is the value of the attempt that was stored: one before this one, which
// found the key taken by it.
func (w *write[T]) stored(value T) T {
	if w.cause != nil {
		return w.value
	}
	return value
}

// own reports whether what the key stands for was made by an attempt of this write.
func (w *write[T]) own(p Prior) bool { return owns(w.IDs, p.IDs, p.PaymentID) }

func owns(own, ids []wallet.ID, paymentID wallet.ID) bool {
	return slices.ContainsFunc(own, func(id wallet.ID) bool { return id == paymentID || slices.Contains(ids, id) })
}

// finish carries on a write whose caller was answered.
func (w *write[T]) finish(life, ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ResolveLimit)
	defer cancel()
	stop := context.AfterFunc(life, cancel)
	defer stop()
	done, err := w.resolve(ctx)
	log := w.server.Log.With(slog.Any("ids", w.IDs))
	switch {
	case err != nil:
		log.ErrorContext(ctx, "write in doubt not stored", slog.Any("error", errors.Join(err, w.cause)))
	case done.Prior != nil:
		log.WarnContext(ctx, "write in doubt not stored: another request used its idempotency key")
	default:
		log.InfoContext(ctx, "write in doubt stored")
	}
}

// unavailable makes an error that a caller may try again after into one that says so.
func unavailable(err error) error {
	if postgres.Unavailable(err) {
		return Unavailable(err)
	}
	return err
}

// Prior finds what an idempotency key stands for. The second result is false when
// there is no key, or it is new. A key that was used for something else is an error,
// and so is one whose first request may still be waiting for its payment, unless that
// request made own.
func (s *Server) Prior(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own []wallet.ID) (Prior, bool, error) {
	if r == nil {
		return Prior{}, false, nil
	}
	now := s.Now()
	record, paymentID, found, err := postgres.LookUpIdempotencyKey(ctx, s.LookUps(), caller.OrganizationID, caller.Mode, r.Operation, r.Key, now)
	if err != nil || !found {
		return Prior{}, false, err
	}
	if record.Fingerprint != r.Fingerprint {
		return Prior{}, false, errIdempotencyKeyReused()
	}
	p := Prior{IDs: append([]wallet.ID{}, record.ResultIDs...), PaymentID: paymentID, WaitUntil: record.WaitUntil}
	if paymentID != (wallet.ID{}) && now.Before(p.WaitUntil) && !owns(own, p.IDs, paymentID) {
		payment, err := postgres.GetPayment(ctx, s.LookUps(), paymentID)
		if err != nil {
			return p, false, err
		}
		if !payment.Status.Answered() {
			return p, false, errIdempotencyKeyInUse()
		}
	}
	return p, true, nil
}

// OnceTx carries out a write in a transaction. It claims the request's
// Idempotency-Key, or a key of its own, and then runs do, which returns what is
// answered and the ids of the rows that the key stands for. The value must be read in
// the transaction, because it is answered as well when the commit is in doubt. Do may
// run several times, also after the request was answered: it must not write to
// variables of the handler.
//
// A replay is answered with what read returns for the ids of the first request.
func OnceTx[T any](c echo.Context, s *Server, caller postgres.Caller, body map[string]json.RawMessage,
	do func(ctx context.Context, tx pgx.Tx) (T, []wallet.ID, error), read func(ctx context.Context, ids []wallet.ID) (T, error),
) (T, error) {
	var none T
	ctx := c.Request().Context()
	record, err := s.RequestRecord(c, caller.Mode, body, 0)
	if err != nil {
		return none, err
	}
	var prior Prior
	replayed := false
	if !IsOwnKey(record.Key) {
		if prior, replayed, err = s.Prior(ctx, caller, record, nil); err != nil {
			return none, unavailable(err)
		}
	}
	if !replayed {
		done, err := Once(ctx, s, caller, Act[T]{
			Record: record, IDs: record.ResultIDs, HoldsConnection: true, Attempt: inTx(s, caller, record, do),
		})
		if err != nil || done.Prior == nil {
			return done.Value, err
		}
		prior = *done.Prior
	}
	SetReplayed(c)
	value, err := read(ctx, prior.IDs)
	return value, unavailable(err)
}

// inTx is an attempt that claims the key and runs do in one transaction. The claim
// comes first: an earlier attempt whose commit is late holds the key, and this one
// waits for it.
func inTx[T any](s *Server, caller postgres.Caller, record *postgres.IdempotencyRecord, do func(ctx context.Context, tx pgx.Tx) (T, []wallet.ID, error)) Attempt[T] {
	return func(ctx context.Context) (T, bool, error) {
		var (
			value   T
			claimed bool
		)
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), attemptLimit)
		defer cancel()
		err := postgres.InTx(ctx, s.DB, func(tx pgx.Tx) error {
			var err error
			if claimed, err = postgres.ClaimIdempotencyKey(ctx, tx, caller.OrganizationID, caller.Mode, *record, s.Now()); err != nil {
				return err
			}
			if !claimed {
				return postgres.ErrKeyTaken
			}
			var ids []wallet.ID
			if value, ids, err = do(ctx, tx); err != nil {
				return err
			}
			// The write's own id stays behind those of its rows, so that a later attempt
			// knows this one.
			return postgres.RebindIdempotencyKey(ctx, tx, caller.OrganizationID, caller.Mode, *record, append(ids, record.ResultIDs...))
		})
		return value, claimed, err
	}
}

// RequestRecord returns what binds the request's Idempotency-Key to its body. Without
// the header it is a key that no client can send: such a request is not found by its
// key, but its own attempts find each other. The first request may take until wait is
// over to answer.
func (s *Server) RequestRecord(c echo.Context, mode wallet.Mode, body map[string]json.RawMessage, wait time.Duration) (*postgres.IdempotencyRecord, error) {
	key, err := IdempotencyKey(c.Request().Header)
	if err != nil {
		return nil, err
	}
	r := &postgres.IdempotencyRecord{
		Operation: Operation(c, mode), Key: KeyOrOwn(key), WaitUntil: s.Now().Add(wait),
		ResultIDs: []wallet.ID{wallet.NewID()}, // the write's own id, until it has made rows
	}
	if key == "" {
		return r, nil
	}
	meant, err := canonical(body)
	if err != nil {
		return nil, err
	}
	r.Fingerprint = sha256.Sum256(meant)
	return r, nil
}

// KeyOrOwn returns the key that a client sent, or a key of the request's own.
func KeyOrOwn(key string) string {
	if key == "" {
		return ownKey()
	}
	return key
}

// ownKey makes a key for a request without one. It begins with a space, which a
// client's key cannot have.
func ownKey() string { return " " + uuid.NewString() }

// IsOwnKey reports whether a key is a request's own, and not a client's.
func IsOwnKey(key string) bool { return key[0] == ' ' }

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

// doubts are the writes of this process that are in doubt.
type doubts struct {
	life   context.Context //nolint:containedctx // of the server, not of one request
	cancel context.CancelFunc
	// draining ends when callers must be answered soon.
	draining context.Context //nolint:containedctx // of the server, not of one request
	drain    context.CancelFunc
	under    sync.WaitGroup

	mu            sync.Mutex
	count         int
	organizations map[wallet.ID]int
	keys          map[doubtKey]int
}

// doubtKey is an idempotency key in its scope.
type doubtKey struct {
	organizationID wallet.ID
	mode           wallet.Mode
	operation, key string
}

func newDoubts() *doubts {
	d := &doubts{organizations: make(map[wallet.ID]int), keys: make(map[doubtKey]int)}
	d.life, d.cancel = context.WithCancel(context.Background())
	d.draining, d.drain = context.WithCancel(context.Background())
	return d
}

func keyOf(caller postgres.Caller, r *postgres.IdempotencyRecord) doubtKey {
	if r == nil {
		return doubtKey{}
	}
	return doubtKey{caller.OrganizationID, caller.Mode, r.Operation, r.Key}
}

// admit refuses a write before anything is sent: one whose key belongs to a write in
// doubt, and any while too many are in doubt.
func (d *doubts) admit(organizationID wallet.ID, key doubtKey) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.keys[key] > 0:
		return errIdempotencyKeyInUse()
	case d.count >= maxInDoubt, d.organizations[organizationID] >= maxInDoubtOf:
		return Unavailable(errors.New("too many writes are in doubt"))
	default:
		return nil
	}
}

// carryOn runs finish in the background, with a context that ends with the server.
func (d *doubts) carryOn(organizationID wallet.ID, key doubtKey, finish func(life context.Context)) {
	d.add(organizationID, key, 1)
	d.under.Go(func() {
		finish(d.life)
		d.add(organizationID, key, -1)
	})
}

// add counts a write in doubt, or with -1 one that is resolved.
func (d *doubts) add(organizationID wallet.ID, key doubtKey, n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count += n
	if d.organizations[organizationID] += n; d.organizations[organizationID] == 0 {
		delete(d.organizations, organizationID)
	}
	if key == (doubtKey{}) {
		return
	}
	if d.keys[key] += n; d.keys[key] == 0 {
		delete(d.keys, key)
	}
}

// close waits for the writes in doubt until ctx ends, and then gives them up.
func (d *doubts) close(ctx context.Context) {
	resolved := make(chan struct{})
	go func() {
		d.under.Wait()
		close(resolved)
	}()
	select {
	case <-resolved:
	case <-ctx.Done():
	}
	d.cancel()
}
