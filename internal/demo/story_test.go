package demo

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/fundrail/fundrail/internal/console"
)

func newTestStory() (*story, *bytes.Buffer) {
	var out bytes.Buffer
	return newStory(Options{Out: &out, Paint: console.Plain}), &out
}

func TestStory(t *testing.T) {
	t.Parallel()

	t.Run("EveryCheckCounts", func(t *testing.T) {
		t.Parallel()

		s, out := newTestStory()
		err := s.tell(t.Context(), []chapter{
			{title: "One", run: func(_ context.Context, s *story) error {
				s.check(true, "water is wet")
				s.same("the answer", 41, 42)
				return nil
			}},
			{title: "Two", run: func(context.Context, *story) error { return errors.New("out of words") }},
			{title: "Three", run: func(_ context.Context, s *story) error {
				s.same("the answer", 42, 42)
				return nil
			}},
		})

		require.EqualError(t, err, "2 of 4 checks did not hold:\n"+
			"the answer is 41, not 42\nthe chapter failed: out of words")
		require.Contains(t, out.String(), "✓ water is wet\n   ✗ the answer is 41, not 42\n")
		require.Contains(t, out.String(), "3. Three", "a chapter that fails does not end the story")
	})

	t.Run("NoErrorWithoutFailure", func(t *testing.T) {
		t.Parallel()

		s, out := newTestStory()

		require.NoError(t, s.tell(t.Context(), []chapter{{title: "One", run: func(context.Context, *story) error { return nil }}}))
		require.Contains(t, out.String(), "1. One")
	})
}
