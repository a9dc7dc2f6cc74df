// Package dashboard serves the pages under /admin, where operators look up payments and
// wallets and control jobs, queues and events. The server renders the pages. Every write
// calls the function that the service itself uses, and stores one audit row in the same
// transaction. Package views reads the data of the pages; package jobs moves money.
package dashboard
