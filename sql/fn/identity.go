package fn

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	uuidBytes := T{Kind: types.KindVarBinary, Length: 16}
	register(
		Def{Name: "is_ipv4", Group: "encoding", Syntax: "IS_IPV4(s)", Doc: "Whether s is an IPv4 address.", Min: 1, Max: 1, Rule: fixed(tBool, tStr), Row: isAddress(netip.Addr.Is4)},
		Def{Name: "is_ipv6", Group: "encoding", Syntax: "IS_IPV6(s)", Doc: "Whether s is an IPv6 address.", Min: 1, Max: 1, Rule: fixed(tBool, tStr), Row: isAddress(netip.Addr.Is6)},
		Def{Name: "uuid_to_bin", Group: "encoding", Syntax: "UUID_TO_BIN(s[, swap])", Doc: "The 16 bytes of a UUID; with swap the high part of its time comes first.", Min: 1, Max: 2, CanFail: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{tStr, tInt}[:len(a)], uuidBytes, nil }, Row: uuidToBin},
		Def{Name: "bin_to_uuid", Group: "encoding", Syntax: "BIN_TO_UUID(b[, swap])", Doc: "The UUID of 16 bytes.", Min: 1, Max: 2, CanFail: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{tBin, tInt}[:len(a)], varchar(36), nil }, Row: binToUUID},
		Def{Name: "soundex", Group: "string", Syntax: "SOUNDEX(s)", Doc: "How s sounds in English: a letter and digits.", Min: 1, Max: 1, Rule: onTexts(unknownLength), Row: soundex},
		Def{Name: "make_set", Group: "string", Syntax: "MAKE_SET(bits, s, ...)", Doc: "Those strings whose bits are set, with commas between.", Min: 2, Max: -1, TakesNull: true,
			Rule: func(_ string, a []T) ([]T, T, error) {
				return append([]T{tInt}, repeat([]T{tStr}, len(a)-1)...), tStr, nil
			}, Row: makeSet},
		Def{Name: "export_set", Group: "string", Syntax: "EXPORT_SET(bits, on, off[, separator[, n]])", Doc: "on or off for each of the n lowest bits (64), the lowest first, with a separator between (a comma).", Min: 3, Max: 5,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{tInt, tStr, tStr, tStr, tInt}[:len(a)], tStr, nil }, Row: exportSet},
		Def{Name: "get_format", Group: "date", Syntax: "GET_FORMAT(DATE|TIME|DATETIME, s)", Doc: "The format of dates, times or both as 'EUR', 'USA', 'JIS', 'ISO' or 'INTERNAL' has them.", Min: 1, Max: 1, TakesNull: true,
			Params: []string{"date", "time", "datetime"}, Rule: fixed(varchar(17), tStr), Row: nullable(getFormat)},
	)
}

func isAddress(kind func(netip.Addr) bool) rowFunc {
	return func(_ *Call, a []vec.Value) (vec.Value, error) {
		ip, err := netip.ParseAddr(string(a[0].B))
		return vec.Bool(err == nil && ip.Zone() == "" && kind(ip)), nil
	}
}

// swapped tells whether the time of a UUID is turned round, by which those of one machine sort by their time.
func swapped(a []vec.Value) bool { return len(a) > 1 && a[1].I != 0 }

func uuidToBin(_ *Call, a []vec.Value) (vec.Value, error) {
	s := string(a[0].B)
	if !isUUID(s) {
		return vec.Value{}, sqltypes.Errorf(errno.WrongValueForFunction, "Incorrect string value: '%.64s' for function uuid_to_bin", s)
	}
	b, err := hex.DecodeString(strings.NewReplacer("-", "", "{", "", "}", "").Replace(s))
	if err != nil {
		panic("BUG: digits of a UUID: " + err.Error())
	}
	if swapped(a) {
		b = bytes.Join([][]byte{b[6:8], b[4:6], b[:4], b[8:]}, nil)
	}
	return vec.Str(b), nil
}

func binToUUID(_ *Call, a []vec.Value) (vec.Value, error) {
	b := a[0].B
	if len(b) != 16 {
		return vec.Value{}, sqltypes.Errorf(errno.WrongValueForFunction, "Incorrect string value: '%x' for function bin_to_uuid", b[:min(len(b), 32)])
	}
	if swapped(a) {
		b = bytes.Join([][]byte{b[4:8], b[2:4], b[:2], b[8:]}, nil)
	}
	return vec.Str(fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])), nil
}

// soundexCodes are the digits of the letters A to Z, 0 for those that are passed over.
const soundexCodes = "01230120022455012623010202"

func soundex(_ *Call, a []vec.Value) (vec.Value, error) {
	var out []byte
	last := byte(0)
	for _, c := range bytes.ToUpper(a[0].B) {
		if c < 'A' || c > 'Z' {
			continue
		}
		code := soundexCodes[c-'A']
		switch {
		case out == nil:
			out = append(out, c)
		case code != '0' && code != last:
			out = append(out, code)
		}
		if code != '0' || len(out) == 1 {
			last = code
		}
	}
	for out != nil && len(out) < 4 {
		out = append(out, '0')
	}
	return vec.Str(append([]byte{}, out...)), nil
}

func makeSet(_ *Call, a []vec.Value) (vec.Value, error) {
	if a[0].Null {
		return vec.NullValue(), nil
	}
	var parts [][]byte
	for i, v := range a[1:] {
		if !v.Null && i < 64 && a[0].I>>i&1 != 0 {
			parts = append(parts, v.B)
		}
	}
	return vec.Str(bytes.Join(parts, []byte(","))), nil
}

func exportSet(_ *Call, a []vec.Value) (vec.Value, error) {
	separator, n := []byte(","), 64
	if len(a) > 3 {
		separator = a[3].B
	}
	if len(a) > 4 && a[4].I >= 0 && a[4].I < 64 {
		n = int(a[4].I)
	}
	parts := make([][]byte, n)
	for i := range parts {
		parts[i] = a[2].B
		if a[0].I>>i&1 != 0 {
			parts[i] = a[1].B
		}
	}
	return vec.Str(bytes.Join(parts, separator)), nil
}

// dateTimeFormats are the formats of dates and times by the names that GET_FORMAT knows.
var dateTimeFormats = map[string]map[string]string{
	"date": {"USA": "%m.%d.%Y", "JIS": "%Y-%m-%d", "ISO": "%Y-%m-%d", "EUR": "%d.%m.%Y", "INTERNAL": "%Y%m%d"},
	"time": {"USA": "%h:%i:%s %p", "JIS": "%H:%i:%s", "ISO": "%H:%i:%s", "EUR": "%H.%i.%s", "INTERNAL": "%H%i%s"},
	"datetime": {"USA": "%Y-%m-%d %H.%i.%s", "JIS": "%Y-%m-%d %H:%i:%s", "ISO": "%Y-%m-%d %H:%i:%s", "EUR": "%Y-%m-%d %H.%i.%s",
		"INTERNAL": "%Y%m%d%H%i%s"},
}

func getFormat(c *Call, a []vec.Value) (vec.Value, error) {
	format, ok := dateTimeFormats[c.Param][strings.ToUpper(string(a[0].B))]
	if !ok {
		return vec.NullValue(), nil
	}
	return vec.Str([]byte(format)), nil
}
