package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/fundrail/fundrail/internal/breakpoint"
	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

const (
	headerIdempotencyKey = "Idempotency-Key"
	headerReplayed       = "Idempotent-Replayed"
)

// acceptTimeout is how long a payment may take to be stored, with everything
// that is tried when the database's answer gets lost.
const acceptTimeout = 10 * time.Second

// idempotencyKey reads the header: bare or as a quoted string, once, and 1 to 255
// visible ASCII characters. It is empty when there is none.
func idempotencyKey(h http.Header) (string, error) {
	sent := h.Values(headerIdempotencyKey)
	if len(sent) == 0 || breakpoint.Broken(breakpoint.IdempotencyKey) {
		return "", nil
	}
	if len(sent) > 1 {
		return "", errIdempotencyKeyInvalid()
	}
	key, ok := strings.TrimSpace(sent[0]), true
	if strings.HasPrefix(key, `"`) {
		key, ok = unquote(key)
	}
	if !ok || !visibleASCII(key) || len(key) < 1 || len(key) > 255 {
		return "", errIdempotencyKeyInvalid()
	}
	return key, nil
}

// unquote reads a string of structured fields, in which a backslash may stand
// before a quote or another backslash.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || (s[i] != '"' && s[i] != '\\') {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}

func visibleASCII(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// recorded finds the payment that an idempotency key stands for. The second
// result is false when there is no key, or it is new. A key that was used for
// something else, or whose first request may still be waiting for its answer, is
// an error, unless that first request was the one that made own.
func (s *Server) recorded(ctx context.Context, caller postgres.Caller, r *postgres.IdempotencyRecord, own wallet.ID) (wallet.Payment, bool, error) {
	if r == nil {
		return wallet.Payment{}, false, nil
	}
	now := s.Now()
	record, id, found, err := postgres.LookUpIdempotencyKey(ctx, s.DB, caller.OrganizationID, caller.Mode, r.Operation, r.Key, now)
	if err != nil || !found {
		return wallet.Payment{}, false, err
	}
	if record.Fingerprint != r.Fingerprint {
		return wallet.Payment{}, false, errIdempotencyKeyReused()
	}
	p, err := postgres.GetPayment(ctx, s.DB, id)
	if err != nil {
		return p, false, err
	}
	if id != own && !p.Status.Answered() && now.Before(record.WaitUntil) {
		return p, false, errIdempotencyKeyInUse()
	}
	return p, true, nil
}

// accept stores a payment, or finds the one that its idempotency key stands for,
// which the second result tells. Once begun it goes on when the client leaves.
func (s *Server) accept(ctx context.Context, caller postgres.Caller, p postgres.NewPayment) (wallet.Payment, bool, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), acceptTimeout)
	defer cancel()
	const tries = 3 // the key may have outlived its life in between
	for range tries {
		stored, err := s.store(ctx, p)
		if err != nil || stored {
			return asAccepted(p), false, err
		}
		prior, found, err := s.recorded(ctx, caller, p.Idempotency, p.ID)
		if err != nil || found {
			return prior, found && prior.ID != p.ID, err
		}
	}
	return wallet.Payment{}, false, fmt.Errorf("accept payment: idempotency key neither taken nor free %d times", tries)
}

// asAccepted is a payment as it stands when it was stored a moment ago.
func asAccepted(p postgres.NewPayment) wallet.Payment {
	return wallet.Payment{
		ID:                  p.ID,
		OrganizationID:      p.OrganizationID,
		Mode:                p.Mode,
		WalletID:            p.WalletID,
		WalletTransactionID: p.WalletTransactionID,
		PaymentMethodID:     &p.PaymentMethodID,
		Amount:              p.Amount,
		Currency:            p.Currency,
		OffSession:          p.OffSession,
		Status:              wallet.PaymentCreated,
		CreatedAt:           p.CreatedAt,
		UpdatedAt:           p.CreatedAt,
	}
}

// store hands a payment on until it is certain whether it was stored. When the
// connection breaks at the wrong moment, nobody knows whether the commit
// happened: then the same payment is sent again, which goes in once at most. A
// caller who is told to try again has not paid.
func (s *Server) store(ctx context.Context, p postgres.NewPayment) (bool, error) {
	const pause = 100 * time.Millisecond
	inDoubt := false
	for {
		stored, err := s.Payments.Accept(ctx, p)
		inDoubt = inDoubt || commitUnknown(err)
		if err == nil || !inDoubt || !postgres.Unavailable(err) {
			return stored, err
		}
		select {
		case <-ctx.Done():
			return false, errUnavailable(err)
		case <-time.After(pause):
		}
	}
}

// commitUnknown tells whether a transaction that ended with err may have been
// committed all the same: the database got it, and did not answer.
func commitUnknown(err error) bool {
	if _, ok := errors.AsType[*pgconn.PgError](err); ok {
		return false // it did answer
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return false // it was never asked
	}
	return postgres.Unavailable(err) && !pgconn.SafeToRetry(err)
}
