package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// networkEnv tells a test process what part it plays: see Main.
const (
	networkEnv   = "STELE_TEST_NETWORK"
	partKeeper   = "keeper"
	partTests    = "tests"
	namespaceSet = syscall.CLONE_NEWNET | syscall.CLONE_NEWPID | syscall.CLONE_NEWNS
)

// Main runs the tests of a package in namespaces of their own (network, processes, mounts), in which clusters may have a
// Network. The test process starts itself twice: the keeper is process 1 of the namespace and buries whoever is left
// without a parent, its child runs the tests. Where the system does not permit namespaces the tests run as they are, and
// Networked says no.
//
// Every process in the namespace ends with the keeper, and the keeper with the test process, however that ends.
func Main(m *testing.M) int {
	switch os.Getenv(networkEnv) {
	case partTests:
		return m.Run()
	case partKeeper:
		return keep()
	}
	if !namespacesPermitted() {
		return m.Run()
	}
	runtime.LockOSThread() // the kernel ends the keeper with the thread that started it
	defer runtime.UnlockOSThread()
	cmd := again(partKeeper)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaceSet, Pdeathsig: syscall.SIGKILL}
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces:", err)
		return 2
	}
	go func() { // ends with the process
		sig := <-quit
		_ = cmd.Process.Signal(sig) // it has ended already if that fails
	}()
	err := cmd.Wait()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces:", err)
		return 2
	}
	if code := cmd.ProcessState.ExitCode(); code >= 0 {
		return code
	}
	return 2 // ended by a signal
}

func again(part string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), networkEnv+"="+part)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return cmd
}

// namespacesPermitted tries what Main and Network need.
func namespacesPermitted() bool {
	for _, tool := range []string{"ip", "nsenter", "sleep"} {
		if _, err := exec.LookPath(tool); err != nil {
			return false
		}
	}
	probe := exec.Command("ip", "link", "add", "stele", "type", "bridge")
	probe.SysProcAttr = &syscall.SysProcAttr{Cloneflags: namespaceSet}
	return probe.Run() == nil
}

// keep runs the tests as a child and buries every process of the namespace that ends.
func keep() int {
	err := errors.Join(
		syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""),
		syscall.Mount("proc", "/proc", "proc", 0, ""),
		run("ip", "link", "set", "lo", "up"), // for clusters without a Network
	)
	if err != nil {
		fmt.Fprintln(os.Stderr, "set up the namespaces:", err)
		return 2
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTERM)
	tests := again(partTests)
	if err := tests.Start(); err != nil {
		fmt.Fprintln(os.Stderr, "run the tests in namespaces:", err)
		return 2
	}
	go func() { // ends with the process
		for sig := range stop {
			_ = tests.Process.Signal(sig) // it has ended already if that fails
		}
	}()
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			fmt.Fprintln(os.Stderr, "wait for the tests:", err)
			return 2
		case pid == tests.Process.Pid && status.Exited():
			return status.ExitStatus()
		case pid == tests.Process.Pid:
			fmt.Fprintln(os.Stderr, "the tests ended by", status.Signal())
			return 2
		}
	}
}

// Networked reports whether clusters of this test process may have a Network.
func Networked() bool { return os.Getenv(networkEnv) == partTests }

// network gives every node a network namespace with an address of its own. All of them are on one bridge, as is the test
// process. A cut link is an address whose packets go to a machine that does not exist: nothing is refused, everything is
// lost, in connections that exist as well as in new ones.
type network struct {
	mu      sync.Mutex
	holders map[string]*exec.Cmd // by node: the process that keeps the namespace
	cut     map[[2]string]bool   // directed
}

const (
	bridge     = "stele"
	testHost   = "10.199.0.254"
	nowhere    = "02:00:00:00:00:01" // no interface has it
	subnetBits = "/24"
)

var bridgeOnce = sync.OnceValue(func() error {
	return errors.Join(
		run("ip", "link", "add", bridge, "type", "bridge"),
		run("ip", "addr", "add", testHost+subnetBits, "dev", bridge),
		run("ip", "link", "set", bridge, "up"),
	)
})

func newNetwork() (*network, error) {
	if !Networked() {
		return nil, errors.New("a cluster with a network needs the tests to run in cluster.Main, as a user who may make namespaces")
	}
	return &network{holders: map[string]*exec.Cmd{}, cut: map[[2]string]bool{}}, bridgeOnce()
}

// plug makes the namespace of a node. The port of the node on the bridge is named after it, so that one cluster at a time
// may have a network.
func (w *network) plug(node string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.holders[node] != nil {
		return nil
	}
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if err := holder.Start(); err != nil {
		return fmt.Errorf("network of %s: %w", node, err)
	}
	w.holders[node] = holder
	port := "v-" + node
	return errors.Join(
		run("ip", "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", fmt.Sprint(holder.Process.Pid)),
		run("ip", "link", "set", port, "master", bridge, "up"),
		run(w.inside(node, "ip", "link", "set", "lo", "up")...),
		run(w.inside(node, "ip", "addr", "add", networkHost(node)+subnetBits, "dev", "eth0")...),
		run(w.inside(node, "ip", "link", "set", "eth0", "up")...),
	)
}

// inside is the command that runs another one in the namespace of a node.
func (w *network) inside(node string, command ...string) []string {
	return slices.Concat([]string{"nsenter", "--net=/proc/" + fmt.Sprint(w.holders[node].Process.Pid) + "/ns/net"}, command)
}

// lose has the packets from one node to another go nowhere.
func (w *network) lose(from, to string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[[2]string{from, to}] = true
	return run(w.inside(from, "ip", "neigh", "replace", networkHost(to), "lladdr", nowhere, "dev", "eth0", "nud", "permanent")...)
}

// mend ends every cut.
func (w *network) mend() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for link := range w.cut {
		errs = append(errs, run(w.inside(link[0], "ip", "neigh", "del", networkHost(link[1]), "dev", "eth0")...))
	}
	clear(w.cut)
	return errors.Join(errs...)
}

func (w *network) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for node, holder := range w.holders {
		// The namespace, and with it the pair of interfaces, goes some time after its last process: not before the next cluster.
		errs = append(errs, run("ip", "link", "del", "v-"+node), holder.Process.Kill())
		_ = holder.Wait() // the error says that it was killed
	}
	return errors.Join(errs...)
}

func run(command ...string) error {
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, out)
	}
	return nil
}
