package cluster

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Clones counts the clones that a BE has done since it was laid out, by what its log says of each: SHOW PROC names the
// repairs, but not whether they shipped the missing part or all.
func (c *Cluster) Clones(node string) (full, incremental int, err error) {
	f, err := os.Open(filepath.Join(c.Dir, node, "log", "be.log"))
	if err != nil {
		return 0, 0, fmt.Errorf("clones of %s: %w", node, err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if !strings.Contains(line, `msg="clone ended"`) || !strings.Contains(line, "state=DONE") {
			continue
		}
		if strings.Contains(line, "full=true") {
			full++
		} else {
			incremental++
		}
	}
	if err := lines.Err(); err != nil {
		return 0, 0, fmt.Errorf("clones of %s: %w", node, err)
	}
	return full, incremental, nil
}
