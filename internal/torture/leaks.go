package torture

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"

	"github.com/fundrail/fundrail/internal/pgproxy"
)

// secretPattern recognizes one kind of secret.
type secretPattern struct {
	name string
	find *regexp.Regexp
	is   func(found []byte) bool // reports whether a match is a secret; nil means that every match is
}

// secretPatterns recognize secrets by their format, so that they also find those
// that are created during a storm.
var secretPatterns = []secretPattern{
	{"an API key", regexp.MustCompile(`aks_(live|test)_[0-9A-Za-z]{8,}`), nil},
	{"a key of Stripe's", regexp.MustCompile(`\b[prs]k_(live|test)_[0-9A-Za-z]+`), nil},
	{"a signing secret", regexp.MustCompile(`whsec_[0-9A-Za-z+/=]+`), nil},
	{"an intent's client secret", regexp.MustCompile(`_secret_[0-9A-Za-z]+`), nil},
	{"a card's number", regexp.MustCompile(`(?:^|[^0-9A-Za-z-])([2-6](?:[ -]?[0-9]){12,18})(?:[^0-9A-Za-z-]|$)`), isCardNumber},
	{"a password", regexp.MustCompile(`://[^:/@ "]+:[^@/ "]+@`), nil},
}

// isCardNumber reports whether the digits have a valid Luhn checksum. Amounts and
// times rarely do.
func isCardNumber(found []byte) bool {
	sum, digits := 0, 0
	for _, c := range slices.Backward(found) {
		if c < '0' || c > '9' {
			continue
		}
		d := int(c - '0')
		if digits%2 == 1 {
			d *= 2
		}
		sum += d/10 + d%10
		digits++
	}
	return sum%10 == 0
}

// leak is a line of a log that contains a secret. It names the kind of the secret
// only.
type leak struct {
	line int
	what string
}

// findLeaks searches a log for secrets, including the known ones, which are given
// by name. It stops after ten.
func findLeaks(r io.Reader, known map[string]string) (leaks []leak, lines int, err error) {
	const enough = 10
	log := bufio.NewReaderSize(r, 64<<10)
	for len(leaks) < enough {
		line, err := log.ReadBytes('\n')
		if len(line) > 0 {
			lines++
			if what := shown(line, known); what != "" {
				leaks = append(leaks, leak{lines, what})
			}
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return leaks, lines, err
		}
	}
	return leaks, lines, nil
}

// shown returns the name of the first secret in a line, or an empty string.
func shown(line []byte, known map[string]string) string {
	for name, secret := range known {
		if secret != "" && bytes.Contains(line, []byte(secret)) {
			return name
		}
	}
	for _, o := range secretPatterns {
		for _, found := range o.find.FindAllSubmatch(line, -1) {
			if o.is == nil || o.is(found[len(found)-1]) {
				return o.name
			}
		}
	}
	return ""
}

// judgeLogs searches the services' logs for secrets. A storm causes most of the
// errors that are ever logged.
func (s *storm) judgeLogs(r *Report) error {
	known := map[string]string{
		"the key of Stripe's": stripeKey, "the signing secret of Stripe's events": webhookSecret, "the database's address": s.server.DatabaseURL(),
	}
	for i, p := range s.proxies {
		known[fmt.Sprintf("the database's address for process %d", i)] = pgproxy.URL(s.server.DatabaseURL(), p)
	}
	for i, m := range s.merchants {
		known[fmt.Sprintf("the API key of merchant %d", i)] = m.apiKey
		known[fmt.Sprintf("the signing secret of merchant %d", i)] = s.receiver.secrets[i]
	}
	for _, p := range s.processes {
		if err := p.judgeLog(r, known); err != nil {
			return err
		}
	}
	return nil
}

func (p *process) judgeLog(r *Report, known map[string]string) error {
	f, err := os.Open(p.logPath)
	if err != nil {
		return err
	}
	defer f.Close()
	leaks, lines, err := findLeaks(f, known)
	if err != nil {
		return fmt.Errorf("read %s: %w", p.logPath, err)
	}
	r.LogLines += lines
	for _, l := range leaks {
		r.find("logs_show_no_secrets", fmt.Sprintf("line %d of %s shows %s", l.line, p.logPath, l.what))
	}
	return nil
}
