package main

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func newTestStory(env map[string]string) (*story, *bytes.Buffer) {
	var out bytes.Buffer
	return newStory(&app{Getenv: func(name string) string { return env[name] }, Stdout: &out}), &out
}

func TestStory(t *testing.T) {
	t.Parallel()

	t.Run("EveryCheckCounts", func(t *testing.T) {
		t.Parallel()

		s, out := newTestStory(nil)
		err := s.tell(t.Context(), []chapter{
			{title: "One", tell: func(_ context.Context, s *story) error {
				s.check(true, "water is wet")
				s.same("the answer", 41, 42)
				return nil
			}},
			{title: "Two", tell: func(context.Context, *story) error { return errors.New("out of words") }},
			{title: "Three", tell: func(_ context.Context, s *story) error {
				s.same("the answer", 42, 42)
				return nil
			}},
		})

		require.EqualError(t, err, "2 of 4 checks did not hold:\n"+
			"the answer is 42, but was 41\nthe chapter was told to its end: out of words")
		require.Contains(t, out.String(), "✓ water is wet\n   ✗ the answer is 42, but was 41\n")
		require.Contains(t, out.String(), "3. Three", "a chapter that fails does not end the story")
	})

	t.Run("NoFailureNoError", func(t *testing.T) {
		t.Parallel()

		s, out := newTestStory(nil)

		require.NoError(t, s.tell(t.Context(), []chapter{{title: "One", tell: func(context.Context, *story) error { return nil }}}))
		require.NotContains(t, out.String(), "\x1b", "a buffer is no terminal")
	})
}
