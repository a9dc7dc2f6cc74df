// Package dashboard serves the pages under /admin, with which operators find a customer's
// money and steer jobs, queues and events. Pages are rendered on the server. Every write
// calls the function that the service itself uses, and writes one audit row in the same
// transaction. Package views reads what the pages show; package jobs moves money.
package dashboard
