package cluster

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// setItems gives items of a configuration file other values: the line of an item is replaced, a new item is appended.
func setItems(path string, items map[string]string) error {
	if len(items) == 0 {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("edit configuration: %w", err)
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		key, _, _ := strings.Cut(line, "=")
		if _, replaced := items[strings.TrimSpace(key)]; !replaced {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	for key, value := range items {
		lines = append(lines, key+" = "+value)
	}
	slices.Sort(lines[len(lines)-len(items):])
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o640); err != nil {
		return fmt.Errorf("edit configuration: %w", err)
	}
	return nil
}
