package faults_test

import (
	"testing"

	"github.com/fundrail/fundrail/internal/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }
