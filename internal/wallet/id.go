package wallet

import (
	"errors"
	"strings"

	"github.com/google/uuid"
	"github.com/oklog/ulid/v2"
)

// ID identifies a row. It is a UUID of version 7, so that ids sort by the time at
// which they were made.
type ID = uuid.UUID

// Prefix is the kind of row that an id in the Lava dialect identifies.
type Prefix string

// The prefixes of the Lava dialect.
const (
	PrefixCustomer      Prefix = "con"
	PrefixDelivery      Prefix = "del"
	PrefixEvent         Prefix = "evt"
	PrefixPayment       Prefix = "pay"
	PrefixPaymentMethod Prefix = "pm"
	PrefixRefund        Prefix = "re"
	PrefixWallet        Prefix = "wal"
	PrefixWebhook       Prefix = "wh"
)

// ErrMalformedID reports a string that is not an id.
var ErrMalformedID = errors.New("malformed id")

// NewID makes an id for a new row.
func NewID() ID {
	return uuid.Must(uuid.NewV7()) // fails only if the system has no source of randomness
}

// Spell writes an id the way the Lava dialect shows it: prefix, "test" in test
// mode, and the same 128 bits as a ULID, as in pay_test_01J9Z3NDEKTSV4RRFFQ69G5FAV.
func Spell(prefix Prefix, mode Mode, id ID) string {
	var b strings.Builder
	b.Grow(len(prefix) + len("_test_") + ulid.EncodedSize)
	b.WriteString(string(prefix))
	b.WriteByte('_')
	if mode == ModeTest {
		b.WriteString("test_")
	}
	b.WriteString(ulid.ULID(id).String())
	return b.String()
}

// ParseID reads an id that Spell wrote for the same prefix and mode. It accepts a UUID
// too, because that is the same id in its other spelling. The error is
// ErrMalformedID.
func ParseID(prefix Prefix, mode Mode, s string) (ID, error) {
	if len(s) == 36 {
		if id, err := uuid.Parse(s); err == nil {
			return id, nil
		}
	}
	rest, ok := strings.CutPrefix(s, string(prefix)+"_")
	if ok && mode == ModeTest {
		rest, ok = strings.CutPrefix(rest, "test_")
	}
	if !ok {
		return ID{}, ErrMalformedID
	}
	id, err := ulid.ParseStrict(rest)
	if err != nil {
		return ID{}, ErrMalformedID
	}
	return ID(id), nil
}
