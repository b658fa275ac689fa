package stmt

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"stele/meta/catalog"
	"stele/sql/syntax"
)

// ResolveTimeout bounds the look-up of the name of a new BE.
const ResolveTimeout = 5 * time.Second

// Addresses reads the hosts of a statement, written as strings or bare.
func Addresses(a syntax.Args) ([]syntax.HostPort, error) {
	if a.Has("hosts") {
		return a.HostPorts("hosts"), nil
	}
	var out []syntax.HostPort
	for _, text := range a.Names("texts") {
		hp, err := ParseAddress(text)
		if err != nil {
			return nil, err
		}
		out = append(out, hp)
	}
	return out, nil
}

// ParseAddress reads "host:port".
func ParseAddress(text string) (syntax.HostPort, error) {
	hp, ok := syntax.SplitHostPort(text)
	if ok {
		return hp, nil
	}
	colon := strings.LastIndexByte(text, ':')
	if n, err := strconv.ParseInt(text[colon+1:], 10, 64); colon > 0 && err == nil && (n < 1 || n > 65535) {
		return hp, Refusal("Port is out of range: %d", n)
	}
	return hp, Refusal("Invalid host port: %s", text)
}

// BackendsAt finds the BEs of a statement; missing is the text for one that is not there.
func BackendsAt(e *Env, a syntax.Args, missing string) ([]*catalog.BE, error) {
	hosts, err := Addresses(a)
	if err != nil {
		return nil, err
	}
	var out []*catalog.BE
	for _, hp := range hosts {
		be, ok := e.Catalog.BEAt(hp.Host, int(hp.Port))
		if !ok {
			return nil, Refusal("%s[%s:%d]", missing, hp.Host, hp.Port)
		}
		if !slices.Contains(out, be) {
			out = append(out, be)
		}
	}
	return out, nil
}

// HostList prints the addresses of BEs.
func HostList(bes []*catalog.BE) string {
	texts := make([]string, len(bes))
	for i, be := range bes {
		texts[i] = net.JoinHostPort(be.Host, strconv.Itoa(be.Port))
	}
	return strings.Join(texts, ", ")
}
