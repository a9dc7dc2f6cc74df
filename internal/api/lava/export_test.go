package lava

import (
	"context"

	"github.com/fundrail/fundrail/internal/postgres"
)

// RefundResource is refundResource.
type RefundResource = refundResource

// Store is store.
func (d *Dialect) Store(ctx context.Context, p postgres.NewPayment) (bool, error) {
	return d.store(ctx, p)
}

// OpFundWallet is opFundWallet.
const OpFundWallet = opFundWallet

// FundFingerprint is fundFingerprint.
func FundFingerprint(paymentMethodID string, cents int64) [32]byte {
	return fundFingerprint(paymentMethodID, cents)
}
