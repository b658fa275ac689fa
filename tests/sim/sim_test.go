package sim

import (
	"os"
	"path/filepath"
	"testing"
)

// play runs the scripts of a folder and prints what came of each phase.
func play(t *testing.T, folder string) {
	files, err := filepath.Glob(filepath.Join("testdata", folder, "*.sim"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", folder, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := Play(string(text))
			for i := range r.Phases {
				report(t, &r.Phases[i])
			}
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

func report(t *testing.T, p *Phase) {
	steps := max(p.Stats.Steps-p.before.Steps, 1)
	ratio := 0.0
	if p.BoundMs > 0 {
		ratio = p.TookMs / p.BoundMs
	}
	t.Logf("%-20s bound %.1f s, took %.1f s (%.2fx), %d clones, %d new replicas, %d drops, %.1f GB; %d steps, %.2f ms each, %d ms at most; %d MB heap, %.1f s of CPU",
		p.Name, p.BoundMs/1000, p.TookMs/1000, ratio, p.Stats.Clones-p.before.Clones, p.Stats.Adds-p.before.Adds, p.Stats.Drops-p.before.Drops,
		float64(p.Stats.Bytes-p.before.Bytes)/(1<<30), steps, float64(p.Stats.StepSumNs-p.before.StepSumNs)/1e6/float64(steps), p.Stats.StepMaxNs/1e6,
		p.HeapMB, p.CPU.Seconds())
}

func TestSmall(t *testing.T) { play(t, "small") }
