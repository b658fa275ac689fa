// Package logfile opens the log of a node: structured lines in a file that rotates by size.
package logfile

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Rotation keeps the logs of a node below half a gigabyte.
const (
	maxFileMB = 64
	maxFiles  = 7
)

// Open returns a logger that writes dir/name at the level (debug, info, warn, error), which may be changed while it
// is in use, and the closer of its file.
func Open(dir, name, level string) (*slog.Logger, *slog.LevelVar, io.Closer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, nil, fmt.Errorf("log folder: %w", err)
	}
	v := new(slog.LevelVar)
	if err := v.UnmarshalText([]byte(level)); err != nil {
		return nil, nil, nil, fmt.Errorf("log level %q: %w", level, err)
	}
	file := &lumberjack.Logger{Filename: filepath.Join(dir, name), MaxSize: maxFileMB, MaxBackups: maxFiles}
	return slog.New(slog.NewTextHandler(file, &slog.HandlerOptions{Level: v})), v, file, nil
}
