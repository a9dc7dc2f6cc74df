package bench

import (
	"fmt"
	"strconv"
	"sync/atomic"

	"github.com/fundrail/fundrail/internal/wallet"
)

// fundBody is a fund request of 25 dollars to a card.
const fundBody = `{"payment_method_id":"%s","amount":"25.00"}`

// deck hands out fund requests, each to the next card, so that no card is used
// again before all others were.
type deck struct {
	cards []dealt
	next  atomic.Int64
	// run tells the idempotency keys of one deck from those of another.
	run string
}

// dealt is a card with all of its request that never changes.
type dealt struct {
	challenge bool
	// head is the request up to the value of Idempotency-Key, body what follows
	// the header.
	head, body string
}

func newDeck(run, host string, merchants []merchant) *deck {
	d := &deck{run: run}
	for _, m := range merchants {
		for _, c := range m.cards {
			body := fmt.Sprintf(fundBody, wallet.Spell(wallet.PrefixPaymentMethod, wallet.ModeTest, c.id))
			d.cards = append(d.cards, dealt{
				challenge: c.challenge,
				head: fmt.Sprintf("POST /v1/wallet/fund HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n"+
					"Content-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: ", host, m.apiKey, len(body)),
				body: body,
			})
		}
	}
	return d
}

// deal encodes the next request. One whose card asks for a challenge always waits
// for its answer, which says where the challenge is.
func (d *deck) deal(buf []byte, async bool) (request []byte, challenge bool) {
	n := d.next.Add(1)
	c := &d.cards[n%int64(len(d.cards))]
	buf = append(buf, c.head...)
	buf = append(buf, d.run...)
	buf = strconv.AppendInt(buf, n, 10)
	if async && !c.challenge {
		buf = append(buf, "\r\nPrefer: respond-async"...)
	}
	buf = append(buf, "\r\n\r\n"...)
	return append(buf, c.body...), c.challenge
}
