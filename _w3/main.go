// Dev harness: not committed.
package main

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	_ "github.com/go-sql-driver/mysql"
	"stele/tests/bench"
)

var (
	bin    = flag.String("bin", "/tmp/stele-w3", "")
	nbe    = flag.Int("be", 3, "")
	span   = flag.Duration("span", 2*time.Second, "")
	tests  = flag.String("tests", "ins1,ins16,ins64", "")
	prof   = flag.String("prof", "", "dir for profiles")
	trace  = flag.String("trace", "", "dir for traces")
	rounds = flag.Int("rounds", 1, "")
	peer   = flag.String("peer", "", "mariadb|galera")
	port   = flag.Int("port", 39030, "")
	env    = flag.String("env", "", "K=V,K=V")
	slackus = flag.Int("slack", 0, "")
	straced = flag.String("strace", "", "")
	sopt = flag.String("sopt", "-c", "")
	perfd  = flag.String("perf", "", "")
)

func die(err error) {
	if err != nil {
		fmt.Println("FATAL", err)
		os.Exit(1)
	}
}

type proc struct {
	name string
	pid  int
}

func cpu(pid int) (us int64, vol, invol int64) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return
	}
	s := string(b)
	f := strings.Fields(s[strings.LastIndex(s, ")")+2:])
	u, _ := strconv.ParseInt(f[11], 10, 64)
	k, _ := strconv.ParseInt(f[12], 10, 64)
	us = (u + k) * 10000
	ts, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/status", pid))
	for _, t := range ts {
		b, _ := os.ReadFile(t)
		for _, l := range strings.Split(string(b), "\n") {
			var n int64
			if _, err := fmt.Sscanf(l, "voluntary_ctxt_switches: %d", &n); err == nil {
				vol += n
			}
			if _, err := fmt.Sscanf(l, "nonvoluntary_ctxt_switches: %d", &n); err == nil {
				invol += n
			}
		}
	}
	return
}

func procs(dir string) (out []proc) {
	ps, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, p := range ps {
		b, _ := os.ReadFile(p)
		args := strings.Split(string(b), "\x00")
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(p)))
		for _, n := range []string{"fe1", "fe2", "fe3", "be1", "be2", "be3"} {
			if len(args) > 1 && (args[1] == "fe" || args[1] == "be") && strings.Contains(string(b), dir+"/"+n+"/") {
				out = append(out, proc{n, pid})
			}
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].name < out[j].name })
	return
}

func value(k int64) string { return fmt.Sprintf("%0100d", k*2654435761) }

func main() {
	flag.Parse()
	ctx := context.Background()
	var open func(string) *sql.DB
	var ps []proc
	switch *peer {
	case "mariadb":
		p, err := bench.StartPeer()
		die(err)
		defer p.Close()
		open = p.Open
	case "galera":
		p, err := bench.StartGalera(ctx)
		die(err)
		defer p.Close()
		open = p.Open
	default:
		dir, err := os.MkdirTemp("", "w3-")
		die(err)
		cmd := exec.Command(*bin, "local", "--dir", dir, "--be", strconv.Itoa(*nbe), "--mysql-port", strconv.Itoa(*port), "--http-port", strconv.Itoa(*port-1000))
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
		for _, e := range strings.Split(*env, ",") {
			if e != "" {
				cmd.Env = append(append(cmd.Env, os.Environ()...), e)
			}
		}
		rd, wr := io.Pipe()
		cmd.Stdout, cmd.Stderr = wr, wr
		if *slackus > 0 {
			runtime.LockOSThread()
			syscall.RawSyscall(syscall.SYS_PRCTL, 29, uintptr(*slackus*1000), 0)
		}
		die(cmd.Start())
		if *slackus > 0 {
			syscall.RawSyscall(syscall.SYS_PRCTL, 29, 50000, 0)
			runtime.UnlockOSThread()
		}
		defer func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait(); os.RemoveAll(dir) }()
		go func() {
			b, _ := io.ReadAll(rd)
			_ = b
		}()
		db, _ := sql.Open("mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/", *port))
		for i := 0; ; i++ {
			var n int
			err := db.QueryRow("SELECT COUNT(*) FROM information_schema.backends WHERE alive='true'").Scan(&n)
			if err != nil && i%50 == 49 {
				fmt.Println(err)
			}
			rows, err := db.Query("SHOW BACKENDS")
			if err == nil {
				c, _ := rows.Columns()
				alive := 0
				for rows.Next() {
					v := make([]any, len(c))
					s := make([]sql.NullString, len(c))
					for i := range v {
						v[i] = &s[i]
					}
					rows.Scan(v...)
					for i := range c {
						if c[i] == "Alive" && s[i].String == "true" {
							alive++
						}
					}
				}
				rows.Close()
				if alive == *nbe {
					break
				}
			}
			if i > 300 {
				die(fmt.Errorf("not ready"))
			}
			time.Sleep(100 * time.Millisecond)
		}
		db.Close()
		ps = procs(dir)
		open = func(d string) *sql.DB {
			db, _ := sql.Open("mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/%s", *port, d))
			db.SetMaxOpenConns(96)
			db.SetMaxIdleConns(96)
			return db
		}
	}
	s := &bench.Server{Name: "x", Open: open}
	die(bench.MakeKV(ctx, s))
	db := open("kv")
	defer db.Close()
	self := proc{"client", os.Getpid()}
	var next atomic.Int64
	for r := 0; r < *rounds; r++ {
		for _, t := range strings.Split(*tests, ",") {
			kind := strings.TrimRight(t, "0123456789")
			n, _ := strconv.Atoi(t[len(kind):])
			run := func(d time.Duration) (int64, []time.Duration) {
				var wg sync.WaitGroup
				var total atomic.Int64
				var mu sync.Mutex
				var lat []time.Duration
				start := time.Now()
				for i := 0; i < n; i++ {
					conn, err := db.Conn(ctx)
					die(err)
					wg.Add(1)
					go func() {
						defer wg.Done()
						defer conn.Close()
						var mine []time.Duration
						var st *sql.Stmt
						if kind == "selp" {
							st, _ = conn.PrepareContext(ctx, "SELECT v FROM kv WHERE id = ?")
						}
						if kind == "insp" {
							st, _ = conn.PrepareContext(ctx, "INSERT INTO ins VALUES (?, ?)")
						}
						if kind == "updp" {
							st, _ = conn.PrepareContext(ctx, "UPDATE kv SET v = ? WHERE id = ?")
						}
						for time.Since(start) < d {
							b := time.Now()
							var err error
							var v string
							switch kind {
							case "ins":
								k := next.Add(1)
								_, err = conn.ExecContext(ctx, fmt.Sprintf("INSERT INTO ins VALUES (%d,'%s')", k, value(k)))
							case "insp":
								k := next.Add(1)
								_, err = st.ExecContext(ctx, k, value(k))
							case "upd":
								_, err = conn.ExecContext(ctx, fmt.Sprintf("UPDATE kv SET v = '%s' WHERE id = %d", value(rand.Int64N(1<<30)), rand.Int64N(100000)))
							case "updp":
								_, err = st.ExecContext(ctx, value(rand.Int64N(1<<30)), rand.Int64N(100000))
							case "del":
								_, err = conn.ExecContext(ctx, fmt.Sprintf("DELETE FROM kv WHERE id = %d", rand.Int64N(100000)))
							case "sel":
								err = conn.QueryRowContext(ctx, fmt.Sprintf("SELECT v FROM kv WHERE id = %d", rand.Int64N(100000))).Scan(&v)
							case "selp":
								err = st.QueryRowContext(ctx, rand.Int64N(100000)).Scan(&v)
							case "idle":
								time.Sleep(100 * time.Millisecond)
							case "ping":
								err = conn.PingContext(ctx)
							}
							if err != nil && !strings.Contains(err.Error(), "1213") {
								fmt.Println("ERR", err)
								return
							}
							mine = append(mine, time.Since(b))
							total.Add(1)
						}
						mu.Lock()
						lat = append(lat, mine...)
						mu.Unlock()
					}()
				}
				wg.Wait()
				return total.Load(), lat
			}
			run(300 * time.Millisecond)
			all := append([]proc{self}, ps...)
			type c3 struct{ u, v, i int64 }
			before := map[string]c3{}
			for _, p := range all {
				u, v, i := cpu(p.pid)
				before[p.name] = c3{u, v, i}
			}
			var pw sync.WaitGroup
			grab := func(dir, what, ext string) {
				for i, p := range ps {
					hp := *port - 1000
					if p.name[:2] == "be" {
						hp = bePort(p)
					}
					pw.Add(1)
					_ = i
					go func() {
						defer pw.Done()
						secs := int(span.Seconds())
						if what == "trace" {
							secs = 1
						}
						resp, err := http.Get(fmt.Sprintf("http://127.0.0.1:%d/debug/pprof/%s?seconds=%d", hp, what, secs))
						if err != nil {
							fmt.Println(err)
							return
						}
						b, _ := io.ReadAll(resp.Body)
						if resp.StatusCode != 200 {
							fmt.Println(resp.Status, string(b))
						}
						os.WriteFile(filepath.Join(dir, t+"."+p.name+ext), b, 0o644)
					}()
				}
			}
			if *prof != "" {
				grab(*prof, "profile", ".pprof")
			}
			if *trace != "" {
				grab(*trace, "trace", ".trace")
			}
			var pc *exec.Cmd
			if *perfd != "" {
				var ids []string
				for _, p := range ps {
					ids = append(ids, strconv.Itoa(p.pid))
				}
				pc = exec.Command("perf", "record", "-q", "-g", "-F", "999", "-o", filepath.Join(*perfd, t+".perf"), "-p", strings.Join(ids, ","))
				pc.Start()
			}
			var sc []*exec.Cmd
			if *straced != "" {
				for _, p := range ps {
					c := exec.Command("strace", append(strings.Fields(*sopt), "-f", "-q", "-o", filepath.Join(*straced, t+"."+p.name+".strace"), "-p", strconv.Itoa(p.pid))...)
					c.Start()
					sc = append(sc, c)
				}
				time.Sleep(500 * time.Millisecond)
			}
			b := time.Now()
			ops, lat := run(*span)
			for _, c := range sc {
				c.Process.Signal(os.Interrupt)
				c.Wait()
			}
			if sc != nil {
				fmt.Println("ops under strace", ops)
			}
			if pc != nil {
				pc.Process.Signal(os.Interrupt)
				pc.Wait()
			}
			el := time.Since(b)
			line := ""
			var sum int64
			for _, p := range all {
				u, v, i := cpu(p.pid)
				o := before[p.name]
				if ops > 0 {
					line += fmt.Sprintf(" %s %dus/%.1fv/%.1fi", p.name, (u-o.u)/ops, float64(v-o.v)/float64(ops), float64(i-o.i)/float64(ops))
					sum += (u - o.u) / ops
				}
			}
			sort.Slice(lat, func(i, j int) bool { return lat[i] < lat[j] })
			var p50, p99 time.Duration
			if len(lat) > 0 {
				p50, p99 = lat[len(lat)/2], lat[len(lat)*99/100]
			}
			fmt.Printf("%-7s %7.0f/s p50 %v p99 %v cpu %dus |%s\n", t, float64(ops)/el.Seconds(), p50.Round(time.Microsecond), p99.Round(time.Microsecond), sum, line)
			pw.Wait()
		}
	}
}

func bePort(p proc) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid))
	for _, a := range strings.Split(string(b), "\x00") {
		if strings.HasSuffix(a, ".conf") {
			c, _ := os.ReadFile(a)
			for _, l := range strings.Split(string(c), "\n") {
				var n int
				l = strings.ReplaceAll(l, " ", "")
				if _, err := fmt.Sscanf(l, "http_port=%d", &n); err == nil {
					return n
				}
				if _, err := fmt.Sscanf(l, "webserver_port=%d", &n); err == nil {
					return n
				}
			}
		}
	}
	return 0
}
