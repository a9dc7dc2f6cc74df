// Package js holds Lago's published JavaScript client against the service. The
// client comes from the package registry that the machine is configured for;
// nothing of it is kept here.
package js
