package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/fundrail/fundrail/internal/console"
)

// terminal reports whether w is a terminal that can move its cursor and show colors.
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

// painter returns the painter for w: a colored one if w is a terminal and the user has
// not declined colors (https://no-color.org).
func (a *app) painter(w io.Writer) console.Painter {
	if a.Getenv("NO_COLOR") == "" && a.terminal(w) {
		return console.Colored
	}
	return console.Plain
}

// verdict returns text in green if it is good news, and otherwise in red.
func (a *app) verdict(good bool, text string) string {
	style := console.Red
	if good {
		style = console.Green
	}
	return a.painter(a.Stdout)(style, text)
}

const (
	waitQuiet = 300 * time.Millisecond // a shorter wait is not shown
	waitEvery = 120 * time.Millisecond // the time between two frames
)

// waiting shows on a terminal what the command is doing and for how long, until done is
// called. It writes to standard error, and nothing if that is not a terminal.
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
				_, _ = fmt.Fprint(a.Stderr, "\r\x1b[K") // clears the line
			}
			return
		case <-next.C:
			next.Reset(waitEvery)
		}
		_, _ = fmt.Fprintf(a.Stderr, "\r\x1b[K%s %s %s",
			paint(console.Cyan, string(turns[i%len(turns)])), what, paint(console.Faint, fmt.Sprintf("%d s", a.Now().Sub(began)/time.Second)))
	}
}
