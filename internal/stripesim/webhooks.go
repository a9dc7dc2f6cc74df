package stripesim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// configuredID is the id of the endpoint of the configuration.
const configuredID = "we_configured"

// maxAttemptsLogged limits the log of delivery attempts.
const maxAttemptsLogged = 10_000

// Attempt is one attempt to deliver an event.
type Attempt struct {
	At       time.Time `json:"at"` // by the virtual clock
	Endpoint string    `json:"endpoint"`
	Error    string    `json:"error,omitempty"` // why there was no answer
	Event    string    `json:"event"`
	Number   int       `json:"number"`           // from 1
	Status   int       `json:"status,omitempty"` // of the answer
	Type     string    `json:"type"`
}

// message is the content of one delivery attempt, before it is signed.
type message struct {
	at      time.Time
	body    []byte // the bytes that are sent
	secrets []string
	signed  []byte // the bytes that are signed
}

// delivery is the delivery of one event to one endpoint.
type delivery struct {
	attempt int // the number of attempts so far
	acct    *account
	counted bool // included in the event's pending_webhooks
	ep      *WebhookEndpoint
	ev      *Event
	faults  []WebhookFault
	lane    string // deliveries with the same lane run one after the other; empty means no lane
	pending int64  // pending_webhooks in the body
	waiters *sync.WaitGroup
}

// sender delivers events with a queue and a fixed number of goroutines. Deliveries
// of one lane, which is an object at an endpoint, run in order. Different lanes run
// in parallel.
type sender struct {
	client *http.Client
	ctx    context.Context
	cancel context.CancelFunc
	s      *Server
	wg     sync.WaitGroup

	mu        sync.Mutex
	attempts  []Attempt
	busy      map[string][]*delivery // the lanes in progress, with the deliveries that wait for them
	closed    bool
	held      map[string][]*delivery // collected by reordering rules
	idle      chan struct{}          // closed while no delivery is queued or in flight
	inFlight  int
	queue     []*delivery
	ready     *sync.Cond
	scheduled int // retries and delayed deliveries
	total     DeliveryCounts
}

// DeliveryCounts are the counters of a simulator's deliveries.
type DeliveryCounts struct {
	Confirmed int64 `json:"confirmed"` // answered with a 2xx status
	Dropped   int64 `json:"dropped"`   // by a fault
	Failed    int64 `json:"failed"`    // attempts without a 2xx answer
	GivenUp   int64 `json:"given_up"`  // all attempts have failed
	InFlight  int   `json:"in_flight"`
	Queued    int   `json:"queued"`
	Scheduled int   `json:"scheduled"` // retries and delayed deliveries
}

func newSender(s *Server) *sender {
	n := s.cfg.WebhookConcurrency
	ctx, cancel := context.WithCancel(context.Background())
	snd := &sender{
		cancel: cancel,
		client: &http.Client{
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
			Timeout:       s.cfg.WebhookTimeout,
			Transport: &http.Transport{
				DisableCompression:  true,
				IdleConnTimeout:     90 * time.Second,
				MaxIdleConns:        2 * n,
				MaxIdleConnsPerHost: 2 * n,
				TLSHandshakeTimeout: 10 * time.Second,
			},
		},
		busy: map[string][]*delivery{},
		ctx:  ctx,
		idle: make(chan struct{}),
		s:    s,
	}
	close(snd.idle)
	snd.ready = sync.NewCond(&snd.mu)
	return snd
}

func (d *sender) start() {
	for range d.s.cfg.WebhookConcurrency {
		d.wg.Go(d.work)
	}
}

// stop ends the workers. Deliveries in flight may take until ctx ends.
func (d *sender) stop(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	d.ready.Broadcast()
	d.mu.Unlock()
	stopped := make(chan struct{})
	go func() { d.wg.Wait(); close(stopped) }()
	var err error
	select {
	case <-stopped:
	case <-ctx.Done():
		d.cancel()
		<-stopped
		err = ctx.Err()
	}
	d.cancel()
	d.client.CloseIdleConnections()
	return err
}

// publish starts the deliveries of an event to every endpoint that wants it. It
// adds deliveries that must precede the answer to an API request to wait.
func (d *sender) publish(a *account, ev *Event, wait *sync.WaitGroup) {
	targets := a.targetsOf(ev.Type)
	for _, ep := range targets {
		d.send(&delivery{
			acct: a, counted: true, ep: ep, ev: ev, lane: ep.ID + ev.objectID, pending: int64(len(targets)),
		}, wait)
	}
}

// enqueue queues a delivery behind the others of its lane.
func (d *sender) enqueue(dl *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		d.releaseWaiters(dl)
		return
	}
	if d.inFlight == 0 && len(d.queue) == 0 && len(d.busy) == 0 {
		d.idle = make(chan struct{})
	}
	if dl.lane != "" {
		if waiting, busy := d.busy[dl.lane]; busy {
			d.busy[dl.lane] = append(waiting, dl)
			return
		}
		d.busy[dl.lane] = nil
	}
	d.queue = append(d.queue, dl)
	d.ready.Signal()
}

// releaseWaiters lets the API request continue that waits for the delivery.
func (d *sender) releaseWaiters(dl *delivery) {
	if dl.waiters != nil {
		dl.waiters.Done()
		dl.waiters = nil
	}
}

func (d *sender) work() {
	for {
		dl := d.next()
		if dl == nil {
			return
		}
		d.attempt(dl)
		d.finished(dl)
	}
}

func (d *sender) next() *delivery {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.queue) == 0 && !d.closed {
		d.ready.Wait()
	}
	if d.closed {
		return nil
	}
	dl := d.queue[0]
	d.queue[0] = nil
	d.queue = d.queue[1:]
	d.inFlight++
	return dl
}

// finished starts the next delivery of the lane.
func (d *sender) finished(dl *delivery) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.inFlight--
	if waiting := d.busy[dl.lane]; len(waiting) > 0 {
		d.busy[dl.lane] = waiting[1:]
		d.queue = append(d.queue, waiting[0])
		d.ready.Signal()
	} else {
		delete(d.busy, dl.lane)
	}
	d.releaseWaiters(dl)
	d.settle()
}

// attempt makes one delivery attempt, and schedules the next if it fails.
func (d *sender) attempt(dl *delivery) {
	ep := dl.acct.current(dl.ep)
	if ep == nil {
		return // the endpoint was disabled or deleted
	}
	dl.ep = ep
	dl.attempt++
	status, err := d.post(dl)
	ok := err == nil && status >= 200 && status < 300
	d.record(dl, status, err, ok)
	if ok {
		dl.confirm()
		return
	}
	d.retry(dl)
}

func (d *sender) post(dl *delivery) (int, error) {
	buf, _ := bufPool.Get().(*[]byte)
	defer bufPool.Put(buf)
	body := dl.ev.appendPending((*buf)[:0], dl.pending)
	*buf = body[:0]
	msg := message{
		at:      d.s.cfg.Now().Add(time.Duration(d.s.settings.skew.Load())),
		body:    body,
		secrets: dl.ep.Secrets,
		signed:  body,
	}
	dl.garble(&msg)
	req, err := http.NewRequestWithContext(d.ctx, http.MethodPost, dl.ep.URL, bytes.NewReader(msg.body))
	if err != nil {
		return 0, err
	}
	req.Header["Content-Type"] = webhookContentType
	req.Header["User-Agent"] = webhookUserAgent
	req.Header["Stripe-Signature"] = []string{Sign(msg.signed, msg.at, msg.secrets...)}
	res, err := d.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 64<<10)) // drained, so that the connection can be reused
	return res.StatusCode, nil
}

var (
	webhookContentType = []string{"application/json; charset=utf-8"}
	webhookUserAgent   = []string{"Stripe/1.0 (+https://stripe.com/docs/webhooks)"}
)

// Sign returns the Stripe-Signature header of a body. It has the timestamp and one
// v1 for each secret.
func Sign(body []byte, at time.Time, secrets ...string) string {
	t := strconv.FormatInt(at.Unix(), 10)
	header := append(make([]byte, 0, 16+68*len(secrets)), "t="...)
	header = append(header, t...)
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		_, _ = mac.Write([]byte(t + ".")) // a hash's Write never fails
		_, _ = mac.Write(body)
		header = append(header, ",v1="...)
		header = hex.AppendEncode(header, mac.Sum(nil))
	}
	return string(header)
}

// confirm records, once, that the event was delivered to this endpoint.
func (dl *delivery) confirm() {
	if dl.counted {
		dl.counted = false
		dl.ev.pending.Add(-1)
		dl.acct.s.journal.delivered(dl.acct.live, dl.ev.ID, dl.ep.ID)
	}
}

// retry schedules the next attempt, or gives up.
func (d *sender) retry(dl *delivery) {
	if !dl.counted {
		return // duplicates and replays have one attempt only
	}
	if dl.attempt > len(d.s.cfg.WebhookRetry) {
		dl.ev.failed.Store(true)
		d.mu.Lock()
		d.total.GivenUp++
		d.mu.Unlock()
		d.s.cfg.Log.Warn("webhook given up",
			slog.String("event_id", dl.ev.ID), slog.String("type", dl.ev.Type), slog.Int("attempts", dl.attempt))
		return
	}
	again := *dl
	again.waiters = nil
	d.after(d.s.cfg.WebhookRetry[dl.attempt-1], &again)
}

// after queues a delivery when the virtual clock has moved by wait.
func (d *sender) after(wait time.Duration, dl *delivery) {
	d.mu.Lock()
	d.scheduled++
	d.mu.Unlock()
	d.s.clock.schedule(&timer{
		Due: d.s.clock.now().Add(wait).UnixNano(), ID: dl.ev.ID, Kind: timerDelivery, Live: dl.acct.live,
		run: func() {
			d.enqueue(dl) // before scheduled decreases, so that the delivery is always counted
			d.mu.Lock()
			d.scheduled--
			d.mu.Unlock()
		},
	})
}

func (d *sender) record(dl *delivery, status int, err error, ok bool) {
	a := Attempt{
		At: d.s.clock.now(), Endpoint: dl.ep.ID, Event: dl.ev.ID, Number: dl.attempt, Status: status, Type: dl.ev.Type,
	}
	if err != nil && !errors.Is(err, http.ErrUseLastResponse) {
		a.Error = err.Error()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ok {
		d.total.Confirmed++
	} else {
		d.total.Failed++
	}
	if len(d.attempts) >= maxAttemptsLogged {
		d.attempts = slices.Delete(d.attempts, 0, maxAttemptsLogged/2)
	}
	d.attempts = append(d.attempts, a)
}

func (d *sender) counts() DeliveryCounts {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.total
	c.InFlight, c.Scheduled = d.inFlight, d.scheduled
	c.Queued = len(d.queue)
	for _, waiting := range d.busy {
		c.Queued += len(waiting)
	}
	return c
}

// waitIdle returns when no delivery is queued or in flight.
func (d *sender) waitIdle(ctx context.Context) error {
	for {
		d.mu.Lock()
		idle := d.idle
		d.mu.Unlock()
		select {
		case <-idle:
		case <-ctx.Done():
			return ctx.Err()
		}
		if c := d.counts(); c.InFlight == 0 && c.Queued == 0 {
			return nil
		}
	}
}
