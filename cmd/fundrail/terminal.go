package main

import (
	"fmt"
	"io"
	"os"
	"time"
)

// The colors, as a terminal knows them.
const (
	bold  = "1"
	faint = "2"
	red   = "31"
	green = "32"
	cyan  = "36"
)

// terminal tells whether what is written there is for a person who watches, on a
// terminal that can do more than print.
func (a *app) terminal(w io.Writer) bool {
	if a.Getenv("TERM") == "dumb" {
		return false
	}
	if a.Terminal != nil {
		return a.Terminal(w)
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// colors tells whether what is written there may have colors: there is a person,
// who has not said that they want none (NO_COLOR).
func (a *app) colors(w io.Writer) bool { return a.Getenv("NO_COLOR") == "" && a.terminal(w) }

// painter colors text that is written there, if it may have colors.
func (a *app) painter(w io.Writer) func(color, text string) string {
	if !a.colors(w) {
		return func(_, text string) string { return text }
	}
	return func(color, text string) string {
		if text == "" {
			return ""
		}
		return "\x1b[" + color + "m" + text + "\x1b[0m"
	}
}

// verdict paints a line green or red.
func (a *app) verdict(good bool, text string) string {
	color := red
	if good {
		color = green
	}
	return a.painter(a.Stdout)(color, text)
}

// How a wait is shown: not at all if it is short, and then by a line that moves.
const (
	waitQuiet = 300 * time.Millisecond
	waitEvery = 120 * time.Millisecond
)

// waiting shows a person that something goes on, and for how long, until they are
// told the result. A program sees nothing of it.
func (a *app) waiting(what string) (done func()) {
	if !a.terminal(a.Stderr) {
		return func() {}
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		a.showWaiting(what, stop)
	}()
	return func() {
		close(stop)
		<-stopped
	}
}

func (a *app) showWaiting(what string, stop <-chan struct{}) {
	const frames = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
	turns := []rune(frames)
	paint, began := a.painter(a.Stderr), a.Now()
	next := time.NewTimer(waitQuiet)
	defer next.Stop()
	for i := 0; ; i++ {
		select {
		case <-stop:
			if i > 0 {
				_, _ = fmt.Fprint(a.Stderr, "\r\x1b[K") // the line is free again
			}
			return
		case <-next.C:
			next.Reset(waitEvery)
		}
		_, _ = fmt.Fprintf(a.Stderr, "\r\x1b[K%s %s %s",
			paint(cyan, string(turns[i%len(turns)])), what, paint(faint, fmt.Sprintf("%d s", a.Now().Sub(began)/time.Second)))
	}
}
