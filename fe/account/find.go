package account

import (
	"cmp"
	"net/netip"
	"strings"

	"stele/meta/model"
)

// Find finds the account that a client comes in under: of those whose host matches its address the most specific one, the
// named one before the anonymous one (""). Only then does the user name count: as in MySQL, an account for a specific host
// hides one for %.
func Find(accounts []*model.User, user, host string) (*model.User, bool) {
	var best *model.User
	for _, u := range accounts {
		if u.Name != "" && u.Name != user || !MatchHost(u.Host, host) {
			continue
		}
		if best == nil || moreSpecific(u, best) {
			best = u
		}
	}
	return best, best != nil
}

func moreSpecific(a, b *model.User) bool {
	byHost := cmp.Compare(hostRank(a.Host), hostRank(b.Host))
	return byHost > 0 || byHost == 0 && a.Name != "" && b.Name == ""
}

// hostRank orders host patterns: an exact one, then networks by their length, then patterns by what stands before the first
// wildcard, then %.
func hostRank(pattern string) int {
	if _, bits, ok := network(pattern); ok {
		return 1<<20 + bits
	}
	return literalPrefix(pattern, 0)
}

// MatchHost reports whether the address of a client (without a port) matches the host of an account: an address or name, a
// pattern with % and _, or a network as address/netmask or address/bits. Names compare without case; localhost is the loopback.
func MatchHost(pattern, host string) bool {
	pattern, host = strings.ToLower(pattern), strings.ToLower(host)
	if pattern == "%" || pattern == host {
		return true
	}
	addr, err := netip.ParseAddr(host)
	if err == nil {
		addr = addr.Unmap()
		if net, bits, ok := network(pattern); ok {
			prefix, err := net.Prefix(bits)
			return err == nil && prefix.Contains(addr)
		}
		if pattern == "localhost" {
			return addr.IsLoopback()
		}
		if exact, err := netip.ParseAddr(pattern); err == nil {
			return exact.Unmap() == addr
		}
		host = addr.String()
	}
	return like(pattern, host, 0)
}

// network reads address/netmask and address/bits.
func network(pattern string) (netip.Addr, int, bool) {
	text, mask, ok := strings.Cut(pattern, "/")
	if !ok {
		return netip.Addr{}, 0, false
	}
	if p, err := netip.ParsePrefix(pattern); err == nil {
		return p.Addr(), p.Bits(), true
	}
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, 0, false
	}
	m, err := netip.ParseAddr(mask)
	if err != nil || !m.Is4() || !addr.Is4() {
		return netip.Addr{}, 0, false
	}
	bits := 0
	ended := false
	for _, b := range m.As4() {
		for i := 7; i >= 0; i-- {
			switch set := b>>i&1 == 1; {
			case set && ended:
				return netip.Addr{}, 0, false // not a mask
			case set:
				bits++
			default:
				ended = true
			}
		}
	}
	return addr, bits, true
}
