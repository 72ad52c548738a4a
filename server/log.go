package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"
)

// logHandler writes lines in the form that tools know from redis-server:
// pid:role date level text, followed by what else is known.
type logHandler struct {
	mu    *sync.Mutex // guards w
	w     io.Writer
	level slog.Leveler
	attrs string
}

func newLogHandler(w io.Writer, level slog.Leveler) *logHandler {
	return &logHandler{mu: new(sync.Mutex), w: w, level: level}
}

// Log levels, by Redis' names of the parameter loglevel.
const (
	levelVerbose = slog.Level(-2)
	levelNotice  = slog.LevelInfo
)

func parseLevel(name string) slog.Level {
	switch name {
	case "debug":
		return slog.LevelDebug
	case "verbose":
		return levelVerbose
	case "warning":
		return slog.LevelWarn
	case "nothing":
		return slog.Level(100)
	}
	return levelNotice
}

func (h *logHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

func (h *logHandler) Handle(_ context.Context, r slog.Record) error {
	mark := "*"
	switch {
	case r.Level >= slog.LevelWarn:
		mark = "#"
	case r.Level <= slog.LevelDebug:
		mark = "."
	case r.Level < levelNotice:
		mark = "-"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%d:M %s %s %s%s", os.Getpid(), r.Time.Format("02 Jan 2006 15:04:05.000"), mark, r.Message, h.attrs)
	r.Attrs(func(a slog.Attr) bool {
		writeAttr(&b, a)
		return true
	})
	b.WriteByte('\n')
	h.mu.Lock()
	defer h.mu.Unlock()
	_, err := io.WriteString(h.w, b.String())
	return err
}

func writeAttr(b *strings.Builder, a slog.Attr) {
	v := a.Value.Resolve()
	switch v.Kind() {
	case slog.KindTime:
		fmt.Fprintf(b, " %s=%s", a.Key, v.Time().Format(time.RFC3339Nano))
	case slog.KindString:
		fmt.Fprintf(b, " %s=%q", a.Key, v.String())
	default:
		fmt.Fprintf(b, " %s=%v", a.Key, v.Any())
	}
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var b strings.Builder
	b.WriteString(h.attrs)
	for _, a := range attrs {
		writeAttr(&b, a)
	}
	return &logHandler{mu: h.mu, w: h.w, level: h.level, attrs: b.String()}
}

func (h *logHandler) WithGroup(string) slog.Handler { return h }

// logFile opens where the lines go: a file that is appended to, or stdout.
func logFile(path string, stdout io.Writer) (io.Writer, io.Closer, error) {
	if path == "" {
		return stdout, nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, nil, fmt.Errorf("can't open the log file: %w", err)
	}
	return f, f, nil
}
