package wallet

import "slices"

// PaymentStatus is the state of a payment.
type PaymentStatus string

// The states of a payment, and who moves it next.
const (
	// PaymentCreated: accepted and committed with its charge job, which moves next.
	PaymentCreated PaymentStatus = "created"
	// PaymentProcessing: Stripe says processing, or its answer was lost. The
	// check job moves next.
	PaymentProcessing PaymentStatus = "processing"
	// PaymentRequiresAction: the cardholder has to pass a 3-D Secure challenge.
	// The cardholder moves next, or the deadline.
	PaymentRequiresAction PaymentStatus = "requires_action"
	// PaymentSucceeded: charged and credited. Nothing leaves this state.
	PaymentSucceeded PaymentStatus = "succeeded"
	// PaymentFailed: declined or refused. It stays so, unless money moved after all.
	PaymentFailed PaymentStatus = "failed"
	// PaymentCanceled: given up before it was charged. It stays so, unless money moved
	// after all.
	PaymentCanceled PaymentStatus = "canceled"
)

// PaymentStatuses lists every state, in the order in which a payment enters them.
var PaymentStatuses = []PaymentStatus{
	PaymentCreated, PaymentProcessing, PaymentRequiresAction, PaymentSucceeded, PaymentFailed, PaymentCanceled,
}

// moves is the table of every move a payment may make:
//
//	from \ to         processing  requires_action  succeeded  failed  canceled
//	created               x              x             x        x        x
//	processing                           x             x        x        x
//	requires_action                                    x        x        x
//	failed, canceled                                   x
//
// Failed and canceled may still become succeeded, because money that moved is always
// credited. Nothing leaves succeeded.
var moves = map[PaymentStatus][]PaymentStatus{
	PaymentCreated: {
		PaymentProcessing, PaymentRequiresAction, PaymentSucceeded, PaymentFailed, PaymentCanceled,
	},
	PaymentProcessing:     {PaymentRequiresAction, PaymentSucceeded, PaymentFailed, PaymentCanceled},
	PaymentRequiresAction: {PaymentSucceeded, PaymentFailed, PaymentCanceled},
	PaymentFailed:         {PaymentSucceeded},
	PaymentCanceled:       {PaymentSucceeded},
}

// CanMove reports whether a payment may move from one state to another.
func CanMove(from, to PaymentStatus) bool {
	return slices.Contains(moves[from], to)
}

// Moves lists every allowed move as two columns of equal length.
func Moves() (from, to []PaymentStatus) {
	for _, f := range PaymentStatuses {
		for _, t := range moves[f] {
			from, to = append(from, f), append(to, t)
		}
	}
	return from, to
}

// Open reports whether the payment has no result yet.
func (s PaymentStatus) Open() bool {
	return s == PaymentCreated || s == PaymentProcessing || s == PaymentRequiresAction
}

// Answered reports whether a caller who waits for the payment can be answered: in
// every state but created and processing.
func (s PaymentStatus) Answered() bool {
	return s != PaymentCreated && s != PaymentProcessing
}

// TransactionStatus is the state of a wallet transaction.
type TransactionStatus string

// The states of a wallet transaction. A failed one may still be settled; a
// settled one stays settled.
const (
	TransactionFailed  TransactionStatus = "failed"
	TransactionPending TransactionStatus = "pending"
	TransactionSettled TransactionStatus = "settled"
)
