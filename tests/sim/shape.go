package sim

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"stele/fe/sched"
)

// parseShape reads the words of a cluster line.
func parseShape(args []string) (Shape, error) {
	s := Shape{BEs: 10, Disks: 1, Tablets: 300, Replicas: 3, Tables: 3, SizeMin: 64 << 20, SizeMax: 1 << 30, Capacity: 4 << 40,
		Bandwidth: 100 << 20, PaceMs: 10, Seed: 1, Limits: sched.DefaultLimits()}
	s.Limits.ToleranceMs = 60_000
	for _, a := range args {
		key, value, ok := strings.Cut(a, "=")
		if !ok {
			return s, fmt.Errorf("%s is not KEY=VALUE", a)
		}
		if err := s.set(key, value); err != nil {
			return s, fmt.Errorf("%s: %w", a, err)
		}
	}
	return s, nil
}

func (s *Shape) set(key, value string) (err error) {
	whole := func(to *int) {
		*to, err = strconv.Atoi(value)
	}
	millis := func(to *int64) { *to, err = duration(value) }
	switch key {
	case "bes":
		whole(&s.BEs)
	case "disks":
		whole(&s.Disks)
	case "zones":
		whole(&s.Zones)
	case "tablets":
		whole(&s.Tablets)
	case "replicas":
		whole(&s.Replicas)
	case "tables":
		whole(&s.Tables)
	case "colocate":
		whole(&s.Colocate)
	case "slots":
		whole(&s.Limits.RepairSlots)
	case "balancing":
		whole(&s.Limits.MaxBalancing)
	case "queue":
		whole(&s.Limits.MaxScheduling)
	case "size":
		from, to, ok := strings.Cut(value, "..")
		if !ok {
			to = from
		}
		if s.SizeMin, err = bytes(from); err == nil {
			s.SizeMax, err = bytes(to)
		}
	case "capacity":
		s.Capacity, err = bytes(value)
	case "bandwidth":
		s.Bandwidth, err = bytes(value)
	case "tolerance":
		millis(&s.Limits.ToleranceMs)
	case "scan":
		millis(&s.Limits.ScanMs)
	case "pace":
		millis(&s.PaceMs)
	case "seed":
		s.Seed, err = strconv.ParseUint(value, 10, 64)
	default:
		err = fmt.Errorf("no such setting")
	}
	return err
}

var units = []struct {
	name string
	n    int64
}{{"TB", 1 << 40}, {"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}}

func bytes(text string) (int64, error) {
	for _, u := range units {
		if n, ok := strings.CutSuffix(text, u.name); ok {
			v, err := strconv.ParseInt(n, 10, 64)
			return v * u.n, err
		}
	}
	return strconv.ParseInt(text, 10, 64)
}

func duration(text string) (int64, error) {
	d, err := time.ParseDuration(text)
	return d.Milliseconds(), err
}
