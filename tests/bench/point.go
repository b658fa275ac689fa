package bench

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// kvRows is how many rows point statements choose from.
const kvRows = 100_000

const kvSchema = "CREATE TABLE kv (id BIGINT NOT NULL, v VARCHAR(120) NOT NULL, PRIMARY KEY (id))"

// MakeKV makes database kv anew, with a filled table kv and an empty table ins.
func MakeKV(ctx context.Context, s *Server) error {
	setup := s.Open("")
	defer setup.Close()
	for _, text := range []string{"DROP DATABASE IF EXISTS kv", "CREATE DATABASE kv", strings.Replace(kvSchema, "TABLE kv", "TABLE kv.kv", 1),
		strings.Replace(kvSchema, "TABLE kv", "TABLE kv.ins", 1)} {
		if _, err := setup.ExecContext(ctx, text); err != nil {
			return fmt.Errorf("%s: %s: %w", s.Name, text, err)
		}
	}
	const batch = 2000
	for first := 0; first < kvRows; first += batch {
		if _, err := setup.ExecContext(ctx, "INSERT INTO kv.kv VALUES "+kvTuples(int64(first), batch)); err != nil {
			return fmt.Errorf("%s: fill kv: %w", s.Name, err)
		}
	}
	return nil
}

func kvTuples(first int64, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "(%d,'%s')", first+int64(i), kvValue(first+int64(i)))
	}
	return b.String()
}

// kvValue is a text of 100 bytes.
func kvValue(key int64) string { return fmt.Sprintf("%0100d", key*2654435761) }

func randomKey() int64 { return rand.Int64N(kvRows) }

// pointTest is one kind of statement by some clients.
type pointTest struct {
	name    string
	clients int
	work    Client
}

func insertTests() []pointTest {
	var next atomic.Int64
	insert := execute(func() string {
		key := next.Add(1)
		return fmt.Sprintf("INSERT INTO ins VALUES (%d,'%s')", key, kvValue(key))
	})
	var tests []pointTest
	for _, clients := range []int{1, 16, 64} {
		tests = append(tests, pointTest{"durable INSERT of one row", clients, insert})
	}
	return tests
}

func pointTests() []pointTest {
	update := execute(func() string {
		return fmt.Sprintf("UPDATE kv SET v = '%s' WHERE id = %d", kvValue(rand.Int64N(1<<30)), randomKey())
	})
	return append(insertTests(),
		pointTest{"SELECT by primary key, text", 1, read(randomKey)}, pointTest{"SELECT by primary key, text", 16, read(randomKey)},
		pointTest{"SELECT by primary key, prepared", 1, readPrepared(randomKey)},
		pointTest{"SELECT by primary key, prepared", 16, readPrepared(randomKey)},
		pointTest{"durable UPDATE by primary key", 16, update})
}

// MeasurePoints runs every point test on every server in turn, as many rounds as are asked for.
func MeasurePoints(ctx context.Context, t *Table, servers []*Server, rounds int, span time.Duration, around func(*Server, string) func()) error {
	return measure(ctx, t, servers, MakeKV, pointTests(), rounds, span, around)
}

// MeasureInserts runs those of them that insert.
func MeasureInserts(ctx context.Context, t *Table, servers []*Server, rounds int, span time.Duration) error {
	return measure(ctx, t, servers, MakeKV, insertTests(), rounds, span, func(*Server, string) func() { return func() {} })
}

func measure(ctx context.Context, t *Table, servers []*Server, fill func(context.Context, *Server) error, tests []pointTest, rounds int,
	span time.Duration, around func(*Server, string) func()) error {
	for _, s := range servers {
		if err := fill(ctx, s); err != nil {
			return err
		}
	}
	return measureIn(ctx, t, servers, "kv", tests, rounds, span, around)
}

// paceUnit are the units of a pace: how many statements, the time that one in a hundred exceeds, the CPU time of the server's processes a
// statement.
const paceUnit = "1/s · p99 ms · CPU µs"

// clientsOf ends the name of what so many clients do.
func clientsOf(n int) string {
	if n == 1 {
		return "1 client"
	}
	return strconv.Itoa(n) + " clients"
}

// measureIn runs tests in a database that is there.
func measureIn(ctx context.Context, t *Table, servers []*Server, database string, tests []pointTest, rounds int, span time.Duration,
	around func(*Server, string) func()) error {
	for _, test := range tests {
		seen := map[string][]measuredPace{}
		name := test.name + ", " + clientsOf(test.clients)
		for range rounds {
			for _, s := range servers {
				done := around(s, name)
				pace, cpu, err := s.paced(func() (Pace, error) { return Run(ctx, s, database, test.clients, span, test.work) })
				done()
				if err != nil {
					return fmt.Errorf("%s: %s: %w", s.Name, name, err)
				}
				seen[s.Name] = append(seen[s.Name], measuredPace{pace, cpu})
			}
		}
		for _, s := range servers {
			m := medianPace(seen[s.Name])
			beside := []float64{float64(m.P99.Microseconds()) / 1000}
			if s.Pids != nil {
				beside = append(beside, m.cpu)
			}
			t.Put(name, paceUnit, true, s.Name, m.PerSecond, beside...)
		}
	}
	return nil
}

// measuredPace is the pace of one round with the CPU time in µs that the server's processes took a statement.
type measuredPace struct {
	Pace
	cpu float64
}

// medianPace returns the round of the median rate, whole: a rate beside the p99 of another round would tell of a pause where there was none.
func medianPace(rounds []measuredPace) measuredPace {
	slices.SortFunc(rounds, func(a, b measuredPace) int { return cmp.Compare(a.PerSecond, b.PerSecond) })
	return rounds[(len(rounds)-1)/2]
}

// paced runs clients and returns, beside their pace, the CPU time in µs that the server's processes took a statement, if they are known.
func (s *Server) paced(run func() (Pace, error)) (Pace, float64, error) {
	if s.Pids == nil {
		pace, err := run()
		return pace, 0, err
	}
	before, err := s.cpuSeconds()
	if err != nil {
		return Pace{}, 0, err
	}
	pace, err := run()
	if err != nil {
		return Pace{}, 0, err
	}
	after, err := s.cpuSeconds()
	return pace, (after - before) * 1e6 / float64(pace.Done), err
}
