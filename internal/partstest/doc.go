// Package partstest starts the programs that stand between Fundrail and its database in real
// set-ups, from Debian's packages, for tests. A part ends with its test, and also when the
// test's process is killed. What a part is expected to do is left to the tests.
package partstest
