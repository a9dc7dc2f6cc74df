package wallet

// Mode keeps test data and live data apart. Every row has one, and no query
// crosses it.
type Mode string

// The two modes.
const (
	ModeLive Mode = "live"
	ModeTest Mode = "test"
)

// Modes lists both modes.
var Modes = []Mode{ModeLive, ModeTest}
