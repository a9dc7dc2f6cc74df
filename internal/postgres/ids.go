package postgres

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/fundrail/fundrail/internal/wallet"
)

// RegisterTypes makes a connection encode and decode ids as 16 bytes. Without it pgx
// converts each id to text and parses it again, which made two thirds of the allocations of
// a step of a payment. It is meant for AfterConnect of a pool's configuration.
func RegisterTypes(_ context.Context, conn *pgx.Conn) error {
	m := conn.TypeMap()
	id := &pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: idCodec{}}
	m.RegisterType(id)
	m.RegisterType(&pgtype.Type{
		Name: "_uuid", OID: pgtype.UUIDArrayOID, Codec: idArrayCodec{&pgtype.ArrayCodec{ElementType: id}},
	})
	return nil
}

var (
	errIDLength = errors.New("id is not 16 bytes long")
	errNullID   = errors.New("cannot scan null into an id")
)

// idCodec is pgx's codec with a faster plan for wallet.ID.
type idCodec struct{ pgtype.UUIDCodec }

// PlanEncode implements pgtype.Codec.
func (c idCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		switch value.(type) {
		case wallet.ID, *wallet.ID:
			return encodeID{}
		}
	}
	return c.UUIDCodec.PlanEncode(m, oid, format, value)
}

// PlanScan implements pgtype.Codec.
func (c idCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*wallet.ID); ok && format == pgtype.BinaryFormatCode {
		return scanID{}
	}
	return c.UUIDCodec.PlanScan(m, oid, format, target)
}

type encodeID struct{}

// Encode implements pgtype.EncodePlan.
func (encodeID) Encode(value any, buf []byte) ([]byte, error) {
	switch id := value.(type) {
	case wallet.ID:
		return append(buf, id[:]...), nil
	case *wallet.ID:
		if id != nil {
			return append(buf, id[:]...), nil
		}
	}
	return nil, nil // NULL
}

type scanID struct{}

// Scan implements pgtype.ScanPlan.
func (scanID) Scan(src []byte, target any) error {
	id, ok := target.(*wallet.ID)
	if src == nil || !ok {
		return errNullID
	}
	if len(src) != len(id) {
		return errIDLength
	}
	copy(id[:], src)
	return nil
}

// idArrayCodec is pgx's codec with a faster plan for slices of wallet.ID.
type idArrayCodec struct{ *pgtype.ArrayCodec }

// PlanEncode implements pgtype.Codec.
func (c idArrayCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		switch value.(type) {
		case []wallet.ID, []*wallet.ID:
			return encodeIDs{}
		}
	}
	return c.ArrayCodec.PlanEncode(m, oid, format, value)
}

type encodeIDs struct{}

// Encode implements pgtype.EncodePlan. The format is that of PostgreSQL's
// array_recv: the number of dimensions, whether there are nulls, the type of the elements,
// the length and lower bound of the only dimension, and each element after its length.
func (encodeIDs) Encode(value any, buf []byte) ([]byte, error) {
	switch ids := value.(type) {
	case []wallet.ID:
		if ids == nil {
			return nil, nil
		}
		buf = appendArrayHeader(buf, len(ids), false)
		for i := range ids {
			buf = appendElement(buf, &ids[i])
		}
	case []*wallet.ID:
		if ids == nil {
			return nil, nil
		}
		buf = appendArrayHeader(buf, len(ids), true)
		for _, id := range ids {
			buf = appendElement(buf, id)
		}
	}
	return buf, nil
}

func appendArrayHeader(buf []byte, n int, nulls bool) []byte {
	dimensions, hasNulls := uint32(1), uint32(0)
	if n == 0 {
		dimensions = 0
	}
	if nulls {
		hasNulls = 1
	}
	buf = binary.BigEndian.AppendUint32(buf, dimensions)
	buf = binary.BigEndian.AppendUint32(buf, hasNulls)
	buf = binary.BigEndian.AppendUint32(buf, pgtype.UUIDOID)
	if n == 0 {
		return buf
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(n)) //nolint:gosec // a slice of ids is much shorter than 1<<32
	return binary.BigEndian.AppendUint32(buf, 1)
}

func appendElement(buf []byte, id *wallet.ID) []byte {
	if id == nil {
		return binary.BigEndian.AppendUint32(buf, 1<<32-1) // a length of -1 means null
	}
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(id)))
	return append(buf, id[:]...)
}
