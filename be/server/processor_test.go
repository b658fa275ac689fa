package server

import (
	"runtime"
	"testing"
	"time"
)

// TestProcessor keeps one processor busy and looks at what is measured.
func TestProcessor(t *testing.T) {
	if _, ok := processorTime(); !ok {
		t.Skip("the system does not tell")
	}
	var p processor
	begun := time.Now()
	if first := p.used(begun); first != 0 {
		t.Errorf("before anything was measured: %v", first)
	}
	n := 0
	for end := begun.Add(200 * time.Millisecond); time.Now().Before(end); {
		n++
	}
	spent, _ := processorTime()
	if spent == 0 || n == 0 {
		t.Fatal("no time was spent")
	}
	if early := p.used(begun.Add(cpuWindow / 2)); early != 0 {
		t.Errorf("measured over too short a time: %v", early)
	}
	used := p.used(begun.Add(cpuWindow))
	if most := 1.0; used <= 0 || used > most {
		t.Errorf("%v of %d processors were used", used, runtime.NumCPU())
	}
	if again := p.used(begun.Add(cpuWindow + time.Millisecond)); again != used {
		t.Errorf("%v, then %v at once", used, again)
	}
}
