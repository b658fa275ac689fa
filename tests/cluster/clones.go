package cluster

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Clones counts the clones that a BE has done since it was laid out, by what its log says of each: SHOW PROC names the
// repairs, but not whether they shipped the missing part or all.
func (c *Cluster) Clones(node string) (full, incremental int, err error) {
	err = c.eachClone(node, func(line string) {
		if strings.Contains(line, "full=true") {
			full++
		} else {
			incremental++
		}
	})
	return full, incremental, err
}

// CloneBytes is what the clones of a BE have moved since it was laid out, by its log.
func (c *Cluster) CloneBytes(node string) (bytes int64, err error) {
	err = c.eachClone(node, func(line string) {
		_, rest, _ := strings.Cut(line, " bytes=")
		text, _, _ := strings.Cut(rest, " ")
		if n, err := strconv.ParseInt(text, 10, 64); err == nil {
			bytes += n
		}
	})
	return bytes, err
}

// eachClone calls f with what the log of a BE says of each clone that was done.
func (c *Cluster) eachClone(node string, f func(line string)) error {
	log, err := os.Open(filepath.Join(c.Dir, node, "log", "be.log"))
	if err != nil {
		return fmt.Errorf("clones of %s: %w", node, err)
	}
	defer log.Close()
	lines := bufio.NewScanner(log)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if line := lines.Text(); strings.Contains(line, `msg="clone ended"`) && strings.Contains(line, "state=DONE") {
			f(line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("clones of %s: %w", node, err)
	}
	return nil
}
