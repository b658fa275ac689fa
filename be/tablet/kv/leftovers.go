package kv

import (
	"fmt"
	"os"
	"path/filepath"
)

// dropEmptyLogs deletes log files without a byte. Badger creates a file before it gives it a length, and cuts a file to
// nothing before it removes it; killed in between, it would not open again ("Create a new file"). Nothing acknowledged is
// lost: what a file that is being removed held is in tables or in other value logs, and a new one held nothing.
func dropEmptyLogs(dir string) error {
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return err
		}
		for _, name := range names {
			info, err := os.Stat(name)
			if err != nil {
				return err
			}
			if info.Size() > 0 {
				continue
			}
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("delete an empty log: %w", err)
			}
		}
	}
	return nil
}
