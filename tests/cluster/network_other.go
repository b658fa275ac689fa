//go:build !linux

package cluster

import (
	"errors"
	"testing"
)

// Main runs the tests of a package: only Linux has what a Network needs.
func Main(m *testing.M) int { return m.Run() }

// Networked reports whether clusters of this test process may have a Network.
func Networked() bool { return false }

type network struct{}

func newNetwork() (*network, error) { return nil, errors.New("a cluster has a network only on Linux") }

func (*network) plug(string) error                           { return nil }
func (*network) inside(_ string, command ...string) []string { return command }
func (*network) lose(_, _ string) error                      { return nil }
func (*network) mend() error                                 { return nil }
func (*network) close() error                                { return nil }
