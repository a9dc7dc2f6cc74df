package stripesim

import (
	"sync"
	"time"
)

// keyRetention is how long a key is kept, by the virtual clock.
const keyRetention = 24 * time.Hour

const maxKeyLength = 255

// keyRecord is the record of one idempotency key: the request that used it first
// and, after that has run, its answer.
type keyRecord struct {
	answer  answer
	at      int64
	digest  [32]byte
	done    bool
	method  string
	path    string
	request string // the id of the request that executed
}

// keyStore is the idempotency layer of one mode.
type keyStore struct {
	live bool
	mu   sync.Mutex
	recs map[string]*keyRecord
}

// begin claims a key for a request. It returns the record to finish, the stored
// answer to replay, or an error.
func (k *keyStore) begin(key string, c *call) (rec, replay *keyRecord, err *apiError) {
	digest := c.form.digest()
	now := c.s.clock.now().UnixNano()
	k.mu.Lock()
	defer k.mu.Unlock()
	old := k.recs[key]
	if old != nil && old.done && now-old.at >= int64(keyRetention) {
		old = nil
	}
	switch {
	case old == nil:
		rec = &keyRecord{at: now, digest: digest, method: c.r.Method, path: c.r.URL.Path, request: c.id}
		if k.recs == nil {
			k.recs = map[string]*keyRecord{}
		}
		k.recs[key] = rec
		return rec, nil, nil
	case old.path != c.r.URL.Path || old.method != c.r.Method:
		return nil, nil, keyMismatch("Keys for idempotent requests can only be used for the same endpoint they " +
			"were first used for ('" + c.r.URL.Path + "' vs '" + old.path + "'). Try using a key other than '" +
			key + "' if you meant to execute a different request.")
	case old.digest != digest:
		return nil, nil, keyMismatch("Keys for idempotent requests can only be used with the same parameters they " +
			"were first used with. Try using a key other than '" + key + "' if you meant to execute a different request.")
	case !old.done:
		return nil, nil, keyInUse(key)
	}
	return nil, old, nil
}

// finish stores the answer that later requests with the key get.
func (k *keyStore) finish(rec *keyRecord, a answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	rec.answer, rec.done = a, true
}

// abandon forgets the key of a request that did not execute.
func (k *keyStore) abandon(key string, rec *keyRecord) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.recs[key] == rec {
		delete(k.recs, key)
	}
}

// prune forgets a key as if its retention had ended. It reports whether the key was
// known.
func (k *keyStore) prune(key string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	rec := k.recs[key]
	if rec == nil || !rec.done {
		return false
	}
	delete(k.recs, key)
	return true
}

func (k *keyStore) clear() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.recs = nil
}
