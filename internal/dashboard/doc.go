// Package dashboard is what operators see: server-rendered pages under /admin that
// answer where a customer's money is, and the few writes by which a person steers
// the machine. Every write goes through the function that the machine itself uses,
// and is one audit row in the same transaction. Reading is package postgres's
// business, moving money package jobs'.
package dashboard
