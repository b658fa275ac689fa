package conf

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// namedHost faults a host that nobody could be told: each node gives its own to the others and to clients.
func namedHost(v *Values, host *Item[string]) (faults []Fault) {
	if !isHost(host.Get(v)) {
		faults = append(faults, crossFault(v, host.Spec, "must be a host name or an IP address, without a port"))
	}
	return faults
}

// isHost says whether a text has the form of a name or address. Whether it can be found is seen when it is used.
func isHost(text string) bool {
	return net.ParseIP(text) != nil || text != "" && !strings.ContainsAny(text, " \t:/[],;\"'")
}

// nodeAddresses faults entries of lists of other nodes that are no host:port.
func nodeAddresses(v *Values, lists ...*Item[[]string]) (faults []Fault) {
	for _, list := range lists {
		for _, text := range list.Get(v) {
			host, port, err := net.SplitHostPort(text)
			if n, portErr := strconv.Atoi(port); err != nil || portErr != nil || n < 1 || n > 65535 || !isHost(host) {
				faults = append(faults, crossFault(v, list.Spec, fmt.Sprintf("has %q, which is no host:port", text)))
			}
		}
	}
	return faults
}

// namedFolders faults folders that must have a name and have none.
func namedFolders(v *Values, folders ...*Item[string]) (faults []Fault) {
	for _, folder := range folders {
		if folder.Get(v) == "" {
			faults = append(faults, crossFault(v, folder.Spec, "must name a folder"))
		}
	}
	return faults
}
