package torture

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/fundrail/fundrail/internal/stripesim"
)

// counts counts the actions of a storm, other than the simulator's rules.
type counts struct {
	deliveredAgain, disputed, disputesLost, disputesWon, forged, frozen, hungUp, keysForgotten, killed, outages atomic.Int64
	refunded, refundsFailed, restarts, requests, silences, stubborn, terminated, termed, unreachable            atomic.Int64
}

// act performs one action of the plan. It undoes the action after its duration.
func (s *storm) act(ctx context.Context, a Action) {
	switch a.Kind {
	case ActionDispute:
		s.dispute(ctx, a)
	case ActionRefund:
		s.refund(ctx, a)
	case ActionForge:
		s.forge(ctx, a)
	case ActionFreeze:
		s.freeze(ctx, a)
	case ActionKill:
		s.endProcess(ctx, a, syscall.SIGKILL, &s.counts.killed)
	case ActionLine:
		s.breakLine(ctx, a)
	case ActionTerm:
		s.endProcess(ctx, a, syscall.SIGTERM, &s.counts.termed)
	case ActionOutage:
		s.outage(ctx, a)
	case ActionReplay:
		s.replay(a)
	case ActionRestart:
		s.restart(ctx, a)
	case ActionSilence:
		s.silence(ctx, a)
	case ActionTerminate:
		s.terminate(ctx, a)
	}
}

func (s *storm) endProcess(ctx context.Context, a Action, sig syscall.Signal, count *atomic.Int64) {
	p := s.processes[a.Process]
	p.busy.Lock()
	defer p.busy.Unlock()
	if !p.running() || ctx.Err() != nil {
		return
	}
	count.Add(1)
	p.ending(s.Now())
	if p.end(sig) {
		s.counts.stubborn.Add(1)
	}
	pause(ctx, a.For)
	if err := p.start(); err != nil {
		s.Log.ErrorContext(ctx, "process not started again", slog.Any("error", err))
	}
}

// freeze stops a process until others consider its jobs lost, and then lets it
// continue.
func (s *storm) freeze(ctx context.Context, a Action) {
	p := s.processes[a.Process]
	p.busy.Lock()
	defer p.busy.Unlock()
	if !p.running() || ctx.Err() != nil {
		return
	}
	s.counts.frozen.Add(1)
	p.signal(syscall.SIGSTOP)
	pause(ctx, a.For)
	p.signal(syscall.SIGCONT)
}

func (s *storm) outage(ctx context.Context, a Action) {
	const id = "Stripe away"
	s.counts.outages.Add(1)
	s.outages.push(func() {
		s.mustAdd(s.sim.AddFault(stripesim.Fault{
			ID: id, Kind: stripesim.FaultStatus, Status: 503, HTML: true, When: stripesim.Before,
		}))
	})
	pause(ctx, a.For)
	s.outages.pop(func() { s.retire(id) })
}

func (s *storm) silence(ctx context.Context, a Action) {
	const id = "webhook: dropped, in a silence"
	s.counts.silences.Add(1)
	s.silences.push(func() {
		s.mustAdd(s.sim.AddWebhookFault(stripesim.WebhookFault{ID: id, Kind: stripesim.HookDrop}))
	})
	pause(ctx, a.For)
	s.silences.pop(func() { s.retire(id) })
}

// retire removes a rule and keeps its count.
func (s *storm) retire(id string) {
	for _, f := range s.sim.Faults() {
		if f.Rule.ID == id {
			s.keepReport(id, f.Applied)
		}
	}
	for _, f := range s.sim.WebhookFaults() {
		if f.Rule.ID == id {
			s.keepReport(id, f.Applied)
		}
	}
	s.sim.RemoveFault(id)
}

// replay delivers some of the latest events again, in any order: duplicates that
// arrive long after the first.
func (s *storm) replay(a Action) {
	events := s.sim.Events(false, "payment_intent.*")
	if len(events) == 0 {
		return
	}
	const reach = 200
	recent := events[max(0, len(events)-reach):]
	var ids []string
	for i := range a.Count {
		ids = append(ids, recent[(a.Pick+uint64(i)*7)%uint64(len(recent))].ID)
	}
	if err := s.sim.Replay(ids, stripesim.ReplayOptions{Concurrent: a.Pick%2 == 0, Seed: a.Pick | 1, Times: 2}); err == nil {
		s.counts.deliveredAgain.Add(int64(2 * len(ids)))
	}
}

// forge sends an event with a valid signature, as an attacker with the secret
// could. It claims that an intent has succeeded which has not.
func (s *storm) forge(ctx context.Context, a Action) {
	var open []stripesim.Intent
	for _, in := range s.sim.Intents(false) {
		if in.Status != stripesim.StatusSucceeded && in.Metadata.Get("payment_id") != "" {
			open = append(open, in)
		}
	}
	if len(open) == 0 {
		return
	}
	in := open[a.Pick%uint64(len(open))]
	body, err := json.Marshal(map[string]any{
		"id": fmt.Sprintf("evt_forged%d", a.Pick), "object": "event", "type": "payment_intent.succeeded",
		"api_version": stripesim.APIVersion, "created": s.Now().Unix(), "livemode": false,
		"data": map[string]any{"object": map[string]any{
			"id": in.ID, "object": "payment_intent", "status": "succeeded", "amount": in.Amount, "amount_received": in.Amount,
			"currency": in.Currency, "metadata": map[string]string{"payment_id": in.Metadata.Get("payment_id")},
		}},
	})
	if err != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if _, err := s.sim.Forge(ctx, stripesim.Forgery{Body: body, Secret: webhookSecret}); err == nil {
		s.counts.forged.Add(1)
	}
}

// terminate closes some of the services' database connections.
func (s *storm) terminate(ctx context.Context, a Action) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	rows, _ := s.pool.Query(ctx, `
		select pg_terminate_backend(pid) from (
			select pid from pg_stat_activity
			where backend_type = 'client backend' and application_name <> 'torture' and pid <> pg_backend_pid()
			order by (pid * 7919 + $1) % 1009 limit $2
		) victims`, int64(a.Pick%1009), a.Count)
	cut, err := pgx.CollectRows(rows, pgx.RowTo[bool])
	if err == nil {
		s.counts.terminated.Add(int64(len(cut)))
	}
}

func (s *storm) restart(ctx context.Context, a Action) {
	// A restart that has begun must finish. Otherwise the drain has no database.
	ctx = context.WithoutCancel(ctx)
	if a.Hard {
		if err := s.server.Kill(ctx); err != nil {
			s.Log.ErrorContext(ctx, "database not killed", slog.Any("error", err))
		}
	}
	if err := s.server.Restart(ctx); err != nil {
		s.Log.ErrorContext(ctx, "database not restarted", slog.Any("error", err))
		return
	}
	s.counts.restarts.Add(1)
}

// forgetKeys makes the simulator forget old idempotency keys until ctx ends. Stripe
// forgets them after a day.
func (s *storm) forgetKeys(ctx context.Context) {
	for pause(ctx, time.Second) {
		s.forgetOldKeys(ctx)
	}
}

func (s *storm) forgetOldKeys(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	rows, _ := s.pool.Query(ctx, `
		select id::text from payments
		where status in ('created', 'processing') and created_at < $1`, s.Now().Add(-keysKept))
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return // the database can be down during a storm
	}
	for _, id := range ids {
		if s.sim.PruneKey("charge:" + id + ":1") {
			s.counts.keysForgotten.Add(1)
		}
	}
}
