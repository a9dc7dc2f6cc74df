package wallet

import (
	"encoding/binary"
	"time"
)

// FirstID returns the smallest id that can be made at a time, which is truncated to
// milliseconds. Ids that were made earlier are smaller, so a range of time is a range
// of ids.
func FirstID(at time.Time) ID {
	const version, variant = 0x70, 0x80
	var stamp [8]byte
	binary.BigEndian.PutUint64(stamp[:], uint64(max(at.UnixMilli(), 0)))
	var id ID
	copy(id[:6], stamp[2:])
	id[6], id[8] = version, variant
	return id
}
