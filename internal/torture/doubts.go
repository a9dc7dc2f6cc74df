package torture

import (
	"context"
	"fmt"
	"net/http"
	"slices"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/wallet"
)

// unstored returns the claims whose ids are not stored. An answer may say that a write
// goes on while the service does not know whether it was stored. If the process ends
// then, or another request with the same key is stored first, the ids are never
// stored; such claims are excused. The others are still to be stored.
func (s *storm) unstored(ctx context.Context) (excused, missing []claim, err error) {
	s.clients.mu.Lock()
	claims := slices.Clone(s.clients.claims)
	s.clients.mu.Unlock()
	var ids []wallet.ID
	byID := make(map[wallet.ID][]claim)
	for _, c := range claims {
		id, err := parseClaimed(c.paymentID)
		if err != nil {
			return nil, nil, fmt.Errorf("a client was answered with the id %q: %w", c.paymentID, err)
		}
		if byID[id] == nil {
			ids = append(ids, id)
		}
		byID[id] = append(byID[id], c)
	}
	rows, _ := s.pool.Query(ctx, `
		select id from unnest($1::uuid[]) id
		where not exists (select from payments p where p.id = id.id)
			and not exists (select from wallet_transactions t where t.id = id.id)`, ids)
	unknown, err := pgx.CollectRows(rows, pgx.RowTo[wallet.ID])
	if err != nil {
		return nil, nil, fmt.Errorf("find what clients were answered: %w", err)
	}
	keys, err := s.storedKeys(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range unknown {
		for _, c := range byID[id] {
			if _, taken := keys[c.plan.Key]; c.mayBeUnstored(taken) {
				excused = append(excused, c)
			} else {
				missing = append(missing, c)
			}
		}
	}
	return excused, missing, nil
}

// mayBeUnstored reports whether the ids of an answer may stay unknown. keyTaken reports
// whether its key stands for another request.
func (c claim) mayBeUnstored(keyTaken bool) bool {
	return c.unfinished() && (keyTaken || c.process == nil || c.process.endedSince(c.sentAt))
}

// parseClaimed reads the id of a payment in Lava's dialect, or of a wallet transaction
// in Lago's.
func parseClaimed(id string) (wallet.ID, error) {
	if known, err := uuid.Parse(id); err == nil {
		return known, nil
	}
	return wallet.ParseID(wallet.PrefixPayment, wallet.ModeTest, id)
}

// mayHaveMade reports whether a request that was answered with an error may have made a
// payment that is in a status now. A payment that was declined or canceled is answered
// 402, and one that Stripe refused to make 500.
func mayHaveMade(code int, status wallet.PaymentStatus) bool {
	failed := status == wallet.PaymentFailed || status == wallet.PaymentCanceled
	return failed && (code == http.StatusPaymentRequired || code == http.StatusInternalServerError)
}

// judgeRefusals checks that no request that was answered with an error has an effect.
func (s *storm) judgeRefusals(ctx context.Context, r *Report) error {
	s.clients.mu.Lock()
	refused := s.clients.refused
	s.clients.mu.Unlock()
	r.Refused = len(refused)
	rows, _ := s.pool.Query(ctx, `select request_id, id, status from payments where request_id is not null`)
	var request string
	var id wallet.ID
	var status wallet.PaymentStatus
	_, err := pgx.ForEachRow(rows, []any{&request, &id, &status}, func() error {
		if code, ok := refused[request]; ok && !mayHaveMade(code, status) {
			r.Effects++
			r.find("error_has_no_effect", fmt.Sprintf("request %s was answered %d and made payment %s, which is %s", request, code, id, status))
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("find the effects of refused requests: %w", err)
	}
	return nil
}
