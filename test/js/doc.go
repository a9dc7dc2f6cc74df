// Package js tests the service with Lago's published JavaScript client. npm installs
// the client during the test from its configured registry.
package js
