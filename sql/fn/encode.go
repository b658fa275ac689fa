package fn

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"net/netip"
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/vec"
)

// digest declares a function of bytes to fixed hexadecimal text.
func digest(name, alias, syntax string, size int32, f func([]byte) []byte) Def {
	d := Def{Name: name, Group: "encoding", Syntax: syntax, Doc: "The digest in hexadecimal.", Min: 1, Max: 1, Rule: onTexts(always(varchar(size))),
		Row: func(_ *Call, a []vec.Value) (vec.Value, error) {
			return vec.Str([]byte(hex.EncodeToString(f(a[0].B)))), nil
		}}
	if alias != "" {
		d.Aliases = []string{alias}
	}
	return d
}

func init() {
	register(
		digest("md5", "", "MD5(s)", 32, func(b []byte) []byte { s := md5.Sum(b); return s[:] }),
		digest("sha1", "sha", "SHA1(s)", 40, func(b []byte) []byte { s := sha1.Sum(b); return s[:] }),
		Def{Name: "sha2", Group: "encoding", Syntax: "SHA2(s, bits)", Doc: "The SHA-2 digest of 224, 256 (or 0), 384 or 512 bits.", Min: 2, Max: 2, TakesNull: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{text(a[0]), tInt}, varchar(128), nil }, Row: nullable(sha2)},
		Def{Name: "crc32", Group: "encoding", Syntax: "CRC32(s)", Doc: "The CRC-32 checksum.", Min: 1, Max: 1, Rule: onTexts(always(tUint)),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) {
				return vec.Int(int64(crc32.ChecksumIEEE(a[0].B))), nil
			}},
		Def{Name: "to_base64", Group: "encoding", Syntax: "TO_BASE64(s)", Doc: "Base64 in lines of 76 characters.", Min: 1, Max: 1, Rule: onTexts(always(tStr)), Row: toBase64},
		Def{Name: "from_base64", Group: "encoding", Syntax: "FROM_BASE64(s)", Doc: "The bytes of base64 text; NULL when it is none.", Min: 1, Max: 1, TakesNull: true, Rule: onTexts(always(tBin)), Row: nullable(fromBase64)},
		Def{Name: "hex", Group: "encoding", Syntax: "HEX(x)", Doc: "Hexadecimal digits of a number or of the bytes of a string.", Min: 1, Max: 1, Rule: hexRule, Row: hexRow},
		Def{Name: "unhex", Group: "encoding", Syntax: "UNHEX(s)", Doc: "The bytes of hexadecimal text; NULL when it is none.", Min: 1, Max: 1, TakesNull: true, Rule: onTexts(always(tBin)), Row: nullable(unhex)},
		Def{Name: "bin", Group: "encoding", Syntax: "BIN(n)", Doc: "Binary digits.", Min: 1, Max: 1, Rule: baseRule, Row: baseRow(2)},
		Def{Name: "oct", Group: "encoding", Syntax: "OCT(n)", Doc: "Octal digits.", Min: 1, Max: 1, Rule: baseRule, Row: baseRow(8)},
		Def{Name: "conv", Group: "encoding", Syntax: "CONV(n, from, to)", Doc: "Digits of base from as digits of base to (2..36; negative = signed).", Min: 3, Max: 3, TakesNull: true,
			Rule: fixed(varchar(65), tStr, tInt, tInt), Row: nullable(conv)},
		Def{Name: "ascii", Group: "encoding", Syntax: "ASCII(s)", Doc: "The first byte.", Min: 1, Max: 1, Rule: onTexts(always(tInt)), Row: asciiRow},
		Def{Name: "ord", Group: "encoding", Syntax: "ORD(s)", Doc: "The code of the first character: its bytes as a number.", Min: 1, Max: 1, Rule: onTexts(always(tInt)), Row: ordRow},
		Def{Name: "char", Group: "encoding", Syntax: "CHAR(n, ...)", Doc: "The bytes with the given codes; NULLs are skipped.", Min: 1, Max: -1, TakesNull: true, Rule: fixed(tBin, tInt), Row: charRow},
		Def{Name: "format", Group: "string", Syntax: "FORMAT(x, d[, locale])", Doc: "With d digits after the point and commas between thousands, or what a locale has in their place; one that is not known is en_US.", Min: 2, Max: 3, TakesNull: true, Rule: formatRule, Row: formatRow},
		Def{Name: "uuid", Group: "encoding", Syntax: "UUID()", Doc: "A new random UUID.", Min: 0, Max: 0, Volatile: true, Rule: fixed(varchar(36)), Row: uuidRow},
		Def{Name: "is_uuid", Group: "encoding", Syntax: "IS_UUID(s)", Doc: "Whether s is a UUID.", Min: 1, Max: 1, Rule: fixed(tBool, tStr),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Bool(isUUID(string(a[0].B))), nil }},
		Def{Name: "inet_aton", Group: "encoding", Syntax: "INET_ATON(s)", Doc: "An IPv4 address as a number.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(tUint, tStr), Row: nullable(inetAton)},
		Def{Name: "inet_ntoa", Group: "encoding", Syntax: "INET_NTOA(n)", Doc: "A number as an IPv4 address.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(varchar(15), tInt), Row: nullable(inetNtoa)},
		Def{Name: "inet6_aton", Group: "encoding", Syntax: "INET6_ATON(s)", Doc: "An IPv6 or IPv4 address as bytes.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(T{Kind: types.KindVarBinary, Length: 16}, tStr), Row: nullable(inet6Aton)},
		Def{Name: "inet6_ntoa", Group: "encoding", Syntax: "INET6_NTOA(b)", Doc: "The bytes of an address as text.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(varchar(39), tBin), Row: nullable(inet6Ntoa)},
	)
}

func sha2(_ *Call, a []vec.Value) (vec.Value, error) {
	var sum []byte
	switch b := a[0].B; a[1].I {
	case 224:
		s := sha256.Sum224(b)
		sum = s[:]
	case 0, 256:
		s := sha256.Sum256(b)
		sum = s[:]
	case 384:
		s := sha512.Sum384(b)
		sum = s[:]
	case 512:
		s := sha512.Sum512(b)
		sum = s[:]
	default:
		return vec.NullValue(), nil
	}
	return vec.Str([]byte(hex.EncodeToString(sum))), nil
}

func toBase64(_ *Call, a []vec.Value) (vec.Value, error) {
	s := base64.StdEncoding.EncodeToString(a[0].B)
	var out []byte
	for len(s) > 76 {
		out = append(append(out, s[:76]...), '\n')
		s = s[76:]
	}
	return vec.Str(append(out, s...)), nil
}

func fromBase64(_ *Call, a []vec.Value) (vec.Value, error) {
	s := strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, string(a[0].B))
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return vec.NullValue(), nil
	}
	return vec.Str(b), nil
}

// hexRule takes numbers as unsigned integers and everything else as text.
func hexRule(_ string, a []T) ([]T, T, error) {
	switch {
	case a[0].IsInteger():
		return []T{tUint}, varchar(16), nil
	case a[0].IsNumeric():
		return []T{tDouble}, varchar(16), nil
	}
	t := text(a[0])
	return []T{t}, textResult(2 * int64(t.Length)), nil
}

func hexRow(c *Call, a []vec.Value) (vec.Value, error) {
	switch c.Args[0].Phys() {
	case types.PhysInt64:
		return vec.Str([]byte(strings.ToUpper(strconv.FormatUint(uint64(a[0].I), 16)))), nil
	case types.PhysFloat64:
		return vec.Str([]byte(strings.ToUpper(strconv.FormatUint(wrapped(a[0].F), 16)))), nil
	}
	return vec.Str([]byte(strings.ToUpper(hex.EncodeToString(a[0].B)))), nil
}

// wrapped rounds to 64 bits, negative numbers as two's complement, and gives all ones for what does not fit.
func wrapped(x float64) uint64 {
	switch x = math.Round(x); {
	case x <= math.MinInt64 || x >= math.MaxUint64:
		return math.MaxUint64
	case x < 0:
		return uint64(int64(x))
	}
	return uint64(x)
}

func unhex(_ *Call, a []vec.Value) (vec.Value, error) {
	s := string(a[0].B)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return vec.NullValue(), nil
	}
	return vec.Str(b), nil
}

// baseRule takes integers as they are; of anything else BIN and OCT, like CONV, read the digits that its text begins with.
func baseRule(_ string, a []T) ([]T, T, error) {
	if a[0].IsInteger() {
		return []T{tUint}, varchar(64), nil
	}
	return []T{tStr}, varchar(64), nil
}

func baseRow(base int) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		if c.Args[0].IsString() {
			return conv(c, []vec.Value{a[0], vec.Int(10), vec.Int(int64(base))})
		}
		return vec.Str(strconv.AppendUint(nil, uint64(a[0].I), base)), nil
	}
}

func conv(_ *Call, a []vec.Value) (vec.Value, error) {
	from, to := a[1].I, a[2].I
	fromSigned, toSigned := from < 0, to < 0
	if fromSigned {
		from = -from
	}
	if toSigned {
		to = -to
	}
	if from < 2 || from > 36 || to < 2 || to > 36 {
		return vec.NullValue(), nil
	}
	s := strings.ToLower(strings.TrimSpace(string(a[0].B)))
	neg := strings.HasPrefix(s, "-")
	s = strings.TrimLeft(s, "+-")
	var v uint64
	for _, c := range []byte(s) {
		d := strings.IndexByte("0123456789abcdefghijklmnopqrstuvwxyz", c)
		if d < 0 || int64(d) >= from {
			break
		}
		if v > (math.MaxUint64-uint64(d))/uint64(from) {
			v = math.MaxUint64
			break
		}
		v = v*uint64(from) + uint64(d)
	}
	if neg {
		if fromSigned && v > 1<<63 {
			v = 1 << 63
		}
		v = -v
	}
	out := strconv.FormatUint(v, int(to))
	if toSigned {
		out = strconv.FormatInt(int64(v), int(to))
	}
	return vec.Str([]byte(strings.ToUpper(out))), nil
}

func asciiRow(_ *Call, a []vec.Value) (vec.Value, error) {
	if len(a[0].B) == 0 {
		return vec.Int(0), nil
	}
	return vec.Int(int64(a[0].B[0])), nil
}

func ordRow(c *Call, a []vec.Value) (vec.Value, error) {
	n := charOffset(a[0].B, 1, isBinary(c.Args[0]))
	v := int64(0)
	for _, b := range a[0].B[:n] {
		v = v<<8 | int64(b)
	}
	return vec.Int(v), nil
}

func charRow(_ *Call, a []vec.Value) (vec.Value, error) {
	var out []byte
	for _, x := range a {
		if x.Null {
			continue
		}
		n := uint32(x.I)
		for shift := 24; shift >= 0; shift -= 8 {
			if b := byte(n >> shift); shift == 0 || n>>shift != 0 {
				out = append(out, b)
			}
		}
	}
	return vec.Str(out), nil
}

func uuidRow(_ *Call, _ []vec.Value) (vec.Value, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return vec.Value{}, fmt.Errorf("draw uuid: %w", err)
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return vec.Str(fmt.Appendf(nil, "%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])), nil
}

func isUUID(s string) bool {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	if len(s) == 36 {
		if s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
			return false
		}
		s = s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	}
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 32
}

// inetAton also takes short forms: '127.1' is 127.0.0.1.
func inetAton(_ *Call, a []vec.Value) (vec.Value, error) {
	parts := strings.Split(string(a[0].B), ".")
	if len(parts) > 4 {
		return vec.NullValue(), nil
	}
	v := uint64(0)
	for i, p := range parts {
		n, err := strconv.ParseUint(p, 10, 8)
		if err != nil {
			return vec.NullValue(), nil
		}
		if i == len(parts)-1 {
			v <<= 8 * uint(4-len(parts))
		}
		v = v<<8 | n
	}
	return vec.Int(int64(v)), nil
}

func inetNtoa(_ *Call, a []vec.Value) (vec.Value, error) {
	n := a[0].I
	if n < 0 || n > math.MaxUint32 {
		return vec.NullValue(), nil
	}
	return vec.Str(fmt.Appendf(nil, "%d.%d.%d.%d", n>>24, n>>16&255, n>>8&255, n&255)), nil
}

func inet6Aton(_ *Call, a []vec.Value) (vec.Value, error) {
	ip, err := netip.ParseAddr(string(a[0].B))
	if err != nil || ip.Zone() != "" {
		return vec.NullValue(), nil
	}
	return vec.Str(ip.AsSlice()), nil
}

func inet6Ntoa(_ *Call, a []vec.Value) (vec.Value, error) {
	ip, ok := netip.AddrFromSlice(a[0].B)
	if !ok {
		return vec.NullValue(), nil
	}
	return vec.Str([]byte(ip.String())), nil
}
