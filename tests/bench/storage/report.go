//go:build bench

package storage

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Report is the outcome.
type Report struct{ lines []line }

type line struct {
	what, ours, theirs string
	ratio, mark        float64
	atMost             bool // the mark is an upper bound
	note               string
}

// Ratio adds a measurement with its mark: ratio must be at least (or at most) that.
func (r *Report) Ratio(what, ours, theirs string, ratio, mark float64, atMost bool) {
	r.lines = append(r.lines, line{what: what, ours: ours, theirs: theirs, ratio: ratio, mark: mark, atMost: atMost})
}

// Beside adds a measurement with that of a peer, for which there is no mark.
func (r *Report) Beside(what, ours, theirs string, ratio float64) {
	r.lines = append(r.lines, line{what: what, ours: ours, theirs: theirs, ratio: ratio, note: "–"})
}

// Fact adds a measurement without a mark.
func (r *Report) Fact(what, ours string) {
	r.lines = append(r.lines, line{what: what, ours: ours, note: "–"})
}

// Missing says what could not be measured and why.
func (r *Report) Missing(what string, err error) {
	why := strings.ReplaceAll(err.Error(), "\n", " ")
	r.lines = append(r.lines, line{what: what, note: "not measured: " + why[:min(len(why), 120)]})
}

// String prints the report as Markdown.
func (r *Report) String() string {
	var b strings.Builder
	b.WriteString("| measurement | Stele's store | compared with | ratio | must | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, l := range r.lines {
		if l.note != "" {
			ratio := ""
			if l.ratio != 0 {
				ratio = fmt.Sprintf("%.2f ", l.ratio)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s| | %s |\n", l.what, l.ours, l.theirs, ratio, l.note)
			continue
		}
		sign, good := "≥", l.ratio >= l.mark
		if l.atMost {
			sign, good = "≤", l.ratio <= l.mark
		}
		verdict := "reached"
		if !good {
			verdict = "**short**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %.2f | %s %g | %s |\n", l.what, l.ours, l.theirs, l.ratio, sign, l.mark, verdict)
	}
	return b.String()
}

// cpuTime returns the user and system time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic("BUG: getrusage: " + err.Error())
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// timed returns the wall and CPU time of f.
func timed(f func() error) (wall, cpu time.Duration, err error) {
	c, w := cpuTime(), time.Now()
	err = f()
	return time.Since(w), cpuTime() - c, err
}

// best runs f several times and returns the least wall and CPU times: what is added by others is noise.
func best(n int, f func() error) (wall, cpu time.Duration, err error) {
	for i := range n {
		w, c, err := timed(f)
		if err != nil {
			return 0, 0, err
		}
		if i == 0 {
			wall, cpu = w, c
		}
		wall, cpu = min(wall, w), min(cpu, c)
	}
	return wall, cpu, nil
}

func quantile(d []time.Duration, q float64) time.Duration {
	slices.Sort(d)
	return d[min(len(d)-1, int(q*float64(len(d))))]
}

// diskBytes returns what a folder takes on disk: sparse files count for what they hold.
func diskBytes(dir string) (n int64) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0
	}
	for _, e := range entries {
		if e.IsDir() {
			n += diskBytes(dir + "/" + e.Name())
		} else if info, err := e.Info(); err == nil {
			n += info.Sys().(*syscall.Stat_t).Blocks * 512
		}
	}
	return n
}

func perSecond(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

func mbps(n int64, d time.Duration) float64 { return float64(n) / 1e6 / d.Seconds() }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(b) }
