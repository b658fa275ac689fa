package raftlog

import (
	"context"
	"io"
	"log"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// hclogger lets the Raft library log through slog.
type hclogger struct {
	l    *slog.Logger
	name string
	args []any
}

func newHclog(l *slog.Logger, name string) hclog.Logger {
	return &hclogger{l: l.With("component", name), name: name}
}

var slogLevels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug - 4, hclog.Debug: slog.LevelDebug, hclog.Info: slog.LevelInfo,
	hclog.Warn: slog.LevelWarn, hclog.Error: slog.LevelError,
}

func (h *hclogger) Log(level hclog.Level, msg string, args ...any) {
	h.l.Log(context.Background(), slogLevels[level], msg, args...)
}
func (h *hclogger) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h *hclogger) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h *hclogger) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h *hclogger) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h *hclogger) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h *hclogger) is(l slog.Level) bool  { return h.l.Enabled(context.Background(), l) }
func (h *hclogger) IsTrace() bool         { return h.is(slog.LevelDebug - 4) }
func (h *hclogger) IsDebug() bool         { return h.is(slog.LevelDebug) }
func (h *hclogger) IsInfo() bool          { return h.is(slog.LevelInfo) }
func (h *hclogger) IsWarn() bool          { return h.is(slog.LevelWarn) }
func (h *hclogger) IsError() bool         { return h.is(slog.LevelError) }
func (h *hclogger) ImpliedArgs() []any    { return h.args }
func (h *hclogger) Name() string          { return h.name }
func (h *hclogger) SetLevel(hclog.Level)  {}
func (h *hclogger) GetLevel() hclog.Level { return hclog.NoLevel }
func (h *hclogger) With(args ...any) hclog.Logger {
	return &hclogger{l: h.l.With(args...), name: h.name, args: append(append([]any{}, h.args...), args...)}
}
func (h *hclogger) Named(name string) hclog.Logger {
	return &hclogger{l: h.l.With("part", name), name: h.name + "." + name, args: h.args}
}
func (h *hclogger) ResetNamed(name string) hclog.Logger { return h.Named(name) }

func (h *hclogger) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(h.l.Handler(), slog.LevelInfo)
}
func (h *hclogger) StandardWriter(o *hclog.StandardLoggerOptions) io.Writer {
	return h.StandardLogger(o).Writer()
}
