// Package views reads what the dashboard shows: lists, search results, the story of
// a payment, counts and ages. It only reads. What the service itself reads or writes
// is in package postgres, which does not know this package.
//
// Every query is bounded, because an operator may open any page while the service is
// busy: lists read a page or at most a window of rows (see ListWindow), and counts
// stop at a cap.
package views
