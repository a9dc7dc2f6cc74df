package torture

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/postgres"
	"github.com/fundrail/fundrail/internal/wallet"
)

// drain waits until nothing changes any more, at most for Options.Drain. It returns
// what remains to be done and how long it waited.
func (s *storm) drain(ctx context.Context) (left []string, took time.Duration) {
	began := s.Now()
	ctx, cancel := context.WithTimeout(ctx, s.Drain)
	defer cancel()
	if err := s.clients.wait(ctx); err != nil {
		return []string{err.Error()}, s.Now().Sub(began)
	}
	said := began
	for {
		left = s.remaining(ctx)
		took = s.Now().Sub(began)
		if len(left) == 0 {
			return nil, took
		}
		if s.Now().Sub(said) > 10*time.Second {
			said = s.Now()
			s.say("draining for %s: %s", took.Round(time.Second), strings.Join(left, ", "))
		}
		if !pause(ctx, 250*time.Millisecond) {
			return left, took
		}
	}
}

func (s *storm) remaining(ctx context.Context) []string {
	b, err := s.openBooks(ctx)
	if err != nil {
		return []string{err.Error()}
	}
	left := b.unfinished(s.merchants)
	t, err := s.readDeliveries(ctx)
	if err != nil {
		return append(left, err.Error())
	}
	_, missing, err := s.unstored(ctx)
	if err != nil {
		return append(left, err.Error())
	}
	if len(missing) > 0 {
		left = append(left, fmt.Sprintf("%d answers have ids that are not stored", len(missing)))
	}
	if t.pending > 0 {
		left = append(left, fmt.Sprintf("%d deliveries to merchants are not made", t.pending))
	}
	if d := s.sim.Deliveries(); d.InFlight+d.Queued+d.Scheduled > 0 {
		left = append(left, fmt.Sprintf("%d webhooks are on their way", d.InFlight+d.Queued+d.Scheduled))
	}
	return left
}

// judge compares all records with each other and returns a report. In the end it
// checks that the processes have not ended by themselves, and that their logs
// contain no secrets.
func (s *storm) judge(ctx context.Context, left []string, took time.Duration) (Report, error) {
	r := s.newReport(took)
	for _, what := range left {
		r.find("drained", "after "+took.Round(time.Second).String()+" "+what)
	}
	b, err := s.openBooks(ctx)
	if err != nil {
		return r, err
	}
	r.count(b)
	for _, check := range []struct {
		name string
		list []string
	}{
		{"charge_is_credited", b.lost()},
		{"credit_stands_on_a_charge", b.doubled()},
		{"payment_is_charged_once", b.chargedTwice()},
		{"wallet_holds_what_stripe_took", b.wrongBalances(s.merchants)},
		{"payment_is_final_or_waits_with_reason", b.notFinal()},
		{"intent_of_a_payment_that_is_over_is_closed", b.leftOpen()},
	} {
		r.findAll(check.name, check.list)
	}
	if err := s.judgeDeliveries(ctx, &r); err != nil {
		return r, err
	}
	for _, q := range forbiddenRows {
		if err := s.findRows(ctx, &r, q.check, q.query); err != nil {
			return r, err
		}
	}
	audit, err := postgres.Audit(ctx, s.pool)
	if err != nil {
		return r, err
	}
	for _, f := range audit.Findings {
		r.find("audit: "+f.Check, f.ID+": "+f.Detail)
	}
	drift, err := s.reconcile(ctx)
	if err != nil {
		return r, err
	}
	for _, detail := range drift {
		r.find("reconcile", detail)
	}
	if err := s.judgeAnswers(ctx, &r, b); err != nil {
		return r, err
	}
	if err := s.judgeRefusals(ctx, &r); err != nil {
		return r, err
	}
	s.judgeProcesses(&r)
	return r, s.judgeLogs(&r)
}

// forbiddenRows are queries that must return no rows. They find what a missing
// safeguard leaves behind even if another safeguard has prevented the loss of
// money.
var forbiddenRows = []struct{ check, query string }{
	{"payment_has_its_job", `
		select 'payment ' || p.id || ' was stored without a job'
		from payments p
		where not exists (
			select 1 from river_job j
			where j.kind = 'charge_payments' and j.args -> 'payment_ids' ? p.id::text)`},
	{"handled_event_is_left_alone", `
		-- A process may be frozen between the moment that it notes as the time of
		-- handling and the commit. The end of the job comes after both.
		select 'event ' || e.id || ' was handled at ' || e.handled_at || ' and got job ' || j.id || ' at ' || j.created_at
		from stripe_events e
		left join river_job h on h.kind = 'handle_event' and e.handled_by = 'job ' || h.id
		join river_job j on j.kind = 'handle_event' and j.args ->> 'event_id' = e.id
		where j.created_at > coalesce(h.finalized_at, e.handled_at) + interval '2 seconds'`},
	{"given_up_stays_given_up", `
		select 'payment ' || payment_id || ' was ' || from_status || ' before it succeeded, by ' || cause_kind || ' ' || cause_id
		from payment_moves
		where from_status in ('canceled', 'failed') and to_status = 'succeeded'`},
	{"merchant_is_told_of_every_end", `
		select 'payment ' || p.id || ' is ' || p.status || ', and no event answerBody so'
		from payments p
		where p.status in ('canceled', 'failed', 'succeeded') and not exists (
			select from merchant_events e where e.object_id = p.id and e.type = 'payment.' || p.status)`},
	{"merchant_is_told_of_money_back", `
		select 'payment ' || payment_id || ' has ' || booked || ' of ' || kind || ', and ' || told || ' events say so'
		from (
			select t.payment_id, t.kind, count(*) as booked, (
				select count(*) from merchant_events e
				where e.object_id = t.payment_id and e.type = 'payment.' || case t.kind
					when 'dispute' then 'disputed' when 'dispute_reversal' then 'dispute_reversed'
					when 'refund' then 'refunded' else 'refund_reversed' end) as told
			from transfers t
			where t.kind in ('dispute', 'dispute_reversal', 'refund', 'refund_reversal')
			group by t.payment_id, t.kind
		) b
		where told <> booked`},
	{"balance_told_is_balance_then", `
		select 'payment ' || payment_id || ' was told a balance of ' || balance_after || ', it was ' || balance
		from (
			select p.id as payment_id, p.balance_after,
				sum(case when t.credit_account = a.id then t.amount else -t.amount end) over (partition by a.id order by t.id) as balance,
				t.kind
			from transfers t
			join accounts a on a.kind = 'wallet' and a.id in (t.credit_account, t.debit_account)
			left join payments p on p.id = t.payment_id
		) told
		where kind = 'settlement' and balance_after <> balance`},
}

func (s *storm) findRows(ctx context.Context, r *Report, check, query string) error {
	rows, _ := s.pool.Query(ctx, query)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("%s: %w", check, err)
	}
	for _, detail := range list {
		r.find(check, detail)
	}
	return nil
}

// judgeAnswers repeats every accepted request that had a key and reads every
// payment that a client knows of. No answer may contradict an earlier one.
func (s *storm) judgeAnswers(ctx context.Context, r *Report, b books) error {
	stored, err := s.storedKeys(ctx)
	if err != nil {
		return err
	}
	plans := map[string]Payment{}
	for _, p := range s.plan.Payments {
		if p.Key != "" {
			plans[p.Key] = p
		}
	}
	excused, _, err := s.unstored(ctx)
	if err != nil {
		return err
	}
	r.NeverStored = len(excused)
	byKey, byID := map[string][]claim{}, map[string][]claim{}
	for _, c := range s.clients.claims {
		if slices.Contains(excused, c) {
			continue
		}
		if c.plan.Key != "" {
			byKey[c.plan.Key] = append(byKey[c.plan.Key], c)
		} else {
			byID[c.paymentID] = append(byID[c.paymentID], c)
		}
	}
	for key := range byKey {
		if _, ok := stored[key]; !ok {
			r.find("accepted_request_has_its_answer", key+" was accepted and its key is not known")
		}
	}
	for key, id := range stored {
		a, err := s.clients.replay(ctx, plans[key])
		if err != nil {
			r.find("accepted_request_has_its_answer", err.Error())
			continue
		}
		r.Answers++
		s.judgeReplay(r, key, id, a, b.payments[id], byKey[key])
	}
	for id, claims := range byID {
		a, err := s.clients.look(ctx, claims[0].plan, id)
		if err != nil || a.code != 200 {
			r.find("accepted_request_has_its_answer", fmt.Sprintf("payment %s: %d, %v", id, a.code, err))
			continue
		}
		r.Answers++
		s.compare(r, "payment "+id, claims, a, false)
	}
	return nil
}

// storedKeys returns the clients' keys in the database, with their payments.
func (s *storm) storedKeys(ctx context.Context) (map[string]wallet.ID, error) {
	stored := map[string]wallet.ID{}
	var key string
	var id wallet.ID
	rows, _ := s.pool.Query(ctx, `select key, payment_id from idempotency_keys where payment_id is not null`)
	_, err := pgx.ForEachRow(rows, []any{&key, &id}, func() error {
		stored[key] = id
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read idempotency keys: %w", err)
	}
	return stored, nil
}

func (s *storm) judgeReplay(r *Report, key string, id wallet.ID, a answer, p payment, claims []claim) {
	internal := a.code == 500 && p.Status == wallet.PaymentFailed // a payment that could not be made
	if !a.replayed || (a.code != 200 && a.code != 202 && a.code != 402 && !internal) {
		r.find("accepted_request_has_its_answer", fmt.Sprintf("%s is answered %d (replayed: %t): %s", key, a.code, a.replayed, a.body))
		return
	}
	if len(claims) > 0 && claims[0].plan.Lago || strings.Contains(string(a.body), `"wallet_transactions"`) {
		s.compare(r, key, claims, a, true)
		return
	}
	spelled := wallet.Spell(wallet.PrefixPayment, wallet.ModeTest, id)
	if !internal && !strings.Contains(string(a.body), spelled) {
		r.find("accepted_request_has_its_answer", fmt.Sprintf("%s is answered with another payment than %s: %s", key, spelled, a.body))
	}
	s.compare(r, key, claims, a, true)
}

// compare compares the answers that clients got with the final answer.
func (s *storm) compare(r *Report, what string, claims []claim, a answer, sameForm bool) {
	final := statusOf(a)
	for _, c := range claims {
		if !strings.Contains(string(a.body), c.paymentID) {
			r.find("answers_never_contradict", fmt.Sprintf("%s was payment %s, and is now %s", what, c.paymentID, a.body))
			continue
		}
		if !mayBecome(c.status, final.status) {
			r.find("answers_never_contradict", fmt.Sprintf("%s was told %s, and is now told %s", what, c.status, final.status))
		}
		if c.status == "completed" && c.balance != final.balance {
			r.find("answers_never_contradict", fmt.Sprintf("%s was told a balance of %s, and is now told %s", what, c.balance, final.balance))
		}
		if sameForm && c.status == "declined" && c.body != string(a.body) {
			r.find("answers_never_contradict", fmt.Sprintf("%s was told %s, and is now told %s", what, c.body, a.body))
		}
	}
}

// mayBecome reports whether an answer with status now may follow one with status
// before. A final status must not change.
func mayBecome(before, now string) bool {
	over := func(status string) bool { return status == "failed" || status == "canceled" || status == "declined" }
	switch {
	case before == "processing", before == "pending":
		return true
	case before == "requires_action":
		return now != "processing"
	case over(before):
		return over(now)
	default:
		return before == now
	}
}

func (s *storm) judgeProcesses(r *Report) {
	for _, p := range s.processes {
		if !p.running() {
			r.find("processes_live", fmt.Sprintf("%v ended by itself, see %s", p.args, p.logPath))
		}
	}
}
