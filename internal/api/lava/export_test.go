package lava

// RefundResource is refundResource.
type RefundResource = refundResource

// OpFundWallet is opFundWallet.
const OpFundWallet = opFundWallet

// FundFingerprint is fundFingerprint.
func FundFingerprint(paymentMethodID string, cents int64) [32]byte {
	return fundFingerprint(paymentMethodID, cents)
}
