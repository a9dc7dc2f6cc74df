package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// waitingPayments is the number of payments that the events are about. They wait
// for their challenges, so each event changes its payment and gets a job.
const waitingPayments = 50_000

// events creates signed events about succeeded payments. Each is a delivered event
// of the simulator with new ids.
type events struct {
	body                    []byte
	eventAt, intentAt, idAt []int // the offsets of the ids
	history                 *history
	host                    string
	next                    atomic.Int64
	run                     string
	secret                  string
}

func newEvents(sample []byte, h *history, t *target) (*events, error) {
	var e struct {
		ID   string `json:"id"`
		Data struct {
			Object struct {
				ID       string            `json:"id"`
				Metadata map[string]string `json:"metadata"`
			} `json:"object"`
		} `json:"data"`
	}
	if err := json.Unmarshal(sample, &e); err != nil {
		return nil, fmt.Errorf("read an event: %w", err)
	}
	payment := e.Data.Object.Metadata["payment_id"]
	if payment == "" || len(e.Data.Object.ID) != len(h.intentID(0)) || len(e.ID) < 24 {
		return nil, fmt.Errorf("ids cannot be written into the event: %s", sample)
	}
	return &events{
		body:     sample,
		eventAt:  occurrences(sample, e.ID),
		intentAt: occurrences(sample, e.Data.Object.ID),
		idAt:     occurrences(sample, payment),
		history:  h,
		host:     t.processes[0].addr,
		run:      e.ID[:len(e.ID)-12],
		secret:   t.secret,
	}, nil
}

func occurrences(in []byte, what string) []int {
	var list []int
	for from := 0; ; {
		i := bytes.Index(in[from:], []byte(what))
		if i < 0 {
			return list
		}
		list = append(list, from+i)
		from += i + len(what)
	}
}

// eventWriter creates requests for one client.
type eventWriter struct {
	*events
	buf  []byte
	body []byte
	mac  hash.Hash
}

func (e *events) writer() *eventWriter {
	return &eventWriter{events: e, body: bytes.Clone(e.body), mac: hmac.New(sha256.New, []byte(e.secret))}
}

// request returns the request that delivers the next event.
func (w *eventWriter) request(now time.Time) []byte {
	n := w.next.Add(1)
	about := n % w.history.count
	id := fmt.Sprintf("%s%012d", w.run, n)
	intent, payment := w.history.intentID(about), w.history.id(about, ofPayment).String()
	for _, at := range w.eventAt {
		copy(w.body[at:], id)
	}
	for _, at := range w.intentAt {
		copy(w.body[at:], intent)
	}
	for _, at := range w.idAt {
		copy(w.body[at:], payment)
	}
	stamp := strconv.AppendInt(nil, now.Unix(), 10)
	w.mac.Reset()
	_, _ = w.mac.Write(append(stamp, '.')) // a hash's Write never fails
	_, _ = w.mac.Write(w.body)
	w.buf = fmt.Appendf(w.buf[:0], "POST /webhooks/stripe HTTP/1.1\r\nHost: %s\r\nContent-Type: application/json; charset=utf-8\r\n"+
		"Stripe-Signature: t=%s,v1=%s\r\nContent-Length: %d\r\n\r\n",
		w.host, stamp, hex.EncodeToString(w.mac.Sum(nil)), len(w.body))
	w.buf = append(w.buf, w.body...)
	return w.buf
}

// Intake is the result of measuring how events are stored. Times are microseconds
// per event.
type Intake struct {
	Events      int64   `json:"events"`
	PerSecond   float64 `json:"events_per_second"`
	Latency     Latency `json:"latency"`
	AppCPU      float64 `json:"app_cpu_us"`
	PostgresCPU float64 `json:"postgres_cpu_us"`
	DriverCPU   float64 `json:"driver_cpu_us"`
	Commits     float64 `json:"commits"`
	WALBytes    float64 `json:"wal_bytes"`
	Jobs        float64 `json:"jobs"`
}

// intake delivers events with the given number of clients for d.
func (b *bench) intake(ctx context.Context, t *target, e *events, clients int, d time.Duration) (Intake, error) {
	before, err := b.count(ctx, t)
	if err != nil {
		return Intake{}, err
	}
	var (
		began = b.Now()
		until = began.Add(d)
		took  = make([][]time.Duration, clients)
		errs  = make([]error, clients)
		wg    sync.WaitGroup
	)
	for i := range clients {
		wg.Go(func() {
			c, err := dial(ctx, e.host)
			if err != nil {
				errs[i] = err
				return
			}
			defer c.close()
			w := e.writer()
			for since := b.Now(); since.Before(until) && ctx.Err() == nil; {
				status, body, err := c.do(w.request(since))
				if err == nil && status != http.StatusOK {
					err = fmt.Errorf("answered %d %s", status, body)
				}
				if err != nil {
					errs[i] = fmt.Errorf("deliver an event: %w", err)
					return
				}
				now := b.Now()
				took[i] = append(took[i], now.Sub(since))
				since = now
			}
		})
	}
	wg.Wait()
	ended := b.Now()
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return Intake{}, err
	}
	after, err := b.count(ctx, t)
	if err != nil {
		return Intake{}, err
	}
	var all []time.Duration
	for _, part := range took {
		all = append(all, part...)
	}
	n := float64(len(all))
	cpu := func(a, b time.Duration) float64 { return over(float64((b - a).Microseconds()), n) }
	return Intake{
		Events:      int64(len(all)),
		PerSecond:   over(n, ended.Sub(began).Seconds()),
		Latency:     newLatency(all),
		AppCPU:      cpu(before.app, after.app),
		PostgresCPU: cpu(before.postgres, after.postgres),
		DriverCPU:   cpu(before.driver, after.driver),
		Commits:     over(float64(after.commits-before.commits), n),
		WALBytes:    over(float64(after.wal-before.wal), n),
		Jobs:        over(float64(after.jobs-before.jobs), n),
	}, nil
}
