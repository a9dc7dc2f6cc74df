package stripesim

import (
	_ "embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
)

// The outcomes of a 3DS challenge.
const (
	OutcomeFail    = "fail"
	OutcomeSucceed = "succeed"
)

const challengePath = "/3d_secure_2/hosted"

//go:embed pages.html
var pagesSource string

var pages = template.Must(template.New("pages").Parse(pagesSource))

// challengeURL returns the address of a 3DS page, in Stripe's format. It contains
// the client secret, so that only the cardholder can answer the challenge.
func (t *tx) challengeURL(kind, id, secret, source string) string {
	var b strings.Builder
	b.WriteString(t.s.BaseURL())
	b.WriteString(challengePath)
	b.WriteString("?merchant=acct_1Simulator&")
	b.WriteString(kind)
	b.WriteByte('=')
	b.WriteString(id)
	b.WriteByte('&')
	b.WriteString(kind)
	b.WriteString("_client_secret=")
	b.WriteString(secret)
	b.WriteString("&publishable_key=pk_")
	b.WriteString(t.mode())
	b.WriteString("_simulator&source=")
	b.WriteString(source)
	return b.String()
}

// challenge is a 3DS page with its intent.
type challenge struct {
	acct   *account
	amount string
	id     string
	kind   string // payment_intent or setup_intent
	secret string
	source string

	intent *Intent
	setup  *SetupIntent
}

// findChallenge returns the challenge of a page's query, or nil if there is none.
func (s *Server) findChallenge(q url.Values) *challenge {
	c := &challenge{kind: "payment_intent", source: q.Get("source")}
	if q.Has("setup_intent") {
		c.kind = "setup_intent"
	}
	c.id, c.secret = q.Get(c.kind), q.Get(c.kind+"_client_secret")
	for _, c.acct = range []*account{s.test, s.live} {
		if c.load() {
			return c
		}
	}
	return nil
}

// load reads the current intent. It reports whether the intent exists and the
// address contains its secret.
func (c *challenge) load() bool {
	switch o := c.acct.lookup(c.id).(type) {
	case *Intent:
		c.intent, c.amount = o, money(o.Amount, o.Currency)
		return c.kind == "payment_intent" && o.ClientSecret == c.secret
	case *SetupIntent:
		c.setup = o
		return c.kind == "setup_intent" && o.ClientSecret == c.secret
	}
	return false
}

// open reports whether this page's challenge is still unanswered.
func (c *challenge) open() bool {
	next := c.next()
	return next != nil && next.Source == c.source
}

func (c *challenge) next() *NextAction {
	if c.intent != nil {
		return c.intent.NextAction
	}
	return c.setup.NextAction
}

// answer changes the intent's state and reports whether it did. Only the first
// answer does.
func (c *challenge) answer(passed bool) bool {
	changed := false
	c.acct.change(func(t *tx) {
		if c.kind == "setup_intent" {
			changed = t.answerSetupChallenge(c.id, c.source, passed)
			return
		}
		changed = t.answerChallenge(c.id, c.source, passed)
	})
	c.load()
	return changed
}

// redirectStatus returns the value of redirect_status for the intent's actual
// status.
func (c *challenge) redirectStatus() string {
	status := ""
	if c.intent != nil {
		status = c.intent.Status
	} else {
		status = c.setup.Status
	}
	switch status {
	case StatusSucceeded, StatusRequiresCapture, StatusRequiresConfirmation:
		return "succeeded"
	case StatusProcessing, StatusRequiresAction:
		return "pending"
	}
	return "failed"
}

// returnTo adds Stripe's parameters to a return address and keeps its own.
func (c *challenge) returnTo(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	extra := url.Values{}
	extra.Set(c.kind, c.id)
	extra.Set(c.kind+"_client_secret", c.secret)
	extra.Set("redirect_status", c.redirectStatus())
	if u.RawQuery != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += extra.Encode()
	return u.String()
}

type challengePage struct {
	Amount, ID, Status string
	Open               bool
}

// serveChallenge shows a 3DS page.
func (s *Server) serveChallenge(w http.ResponseWriter, r *http.Request) {
	c := s.findChallenge(r.URL.Query())
	if c == nil {
		s.servePage(w, http.StatusNotFound, "gone", nil)
		return
	}
	s.servePage(w, http.StatusOK, "challenge", challengePage{
		Amount: c.amount, ID: c.id, Open: c.open(), Status: c.redirectStatus(),
	})
}

// answerChallenge handles the forms of a 3DS page. The state changes at most once.
// The customer is always sent back with the actual status.
func (s *Server) answerChallenge(w http.ResponseWriter, r *http.Request) {
	c := s.findChallenge(r.URL.Query())
	if c == nil {
		s.servePage(w, http.StatusNotFound, "gone", nil)
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	outcome := r.PostFormValue("outcome")
	if outcome != OutcomeSucceed && outcome != OutcomeFail {
		s.servePage(w, http.StatusBadRequest, "gone", nil)
		return
	}
	c.answer(outcome == OutcomeSucceed)
	back := c.returnURL()
	if back == "" {
		s.servePage(w, http.StatusOK, "challenge", challengePage{Amount: c.amount, ID: c.id, Status: c.redirectStatus()})
		return
	}
	http.Redirect(w, r, c.returnTo(back), http.StatusSeeOther) //nolint:gosec // the merchant chose the address
}

// returnURL returns the address to send the customer back to, or "".
func (c *challenge) returnURL() string {
	if c.intent != nil {
		return c.intent.ReturnURL
	}
	return c.setup.ReturnURL
}

func (s *Server) servePage(w http.ResponseWriter, status int, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		s.cfg.Log.Debug("page not written", slog.String("error", err.Error()))
	}
}
