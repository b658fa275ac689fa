package types

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	mt "stele/meta/types"
	"stele/sql/errno"
	"stele/sql/vec"
)

// Env is what conversions need from the session.
type Env struct {
	Loc       *time.Location // session time zone; nil = UTC
	NowMicros int64          // statement time, microseconds UTC: TIME converts to DATETIME with the current date
	// ZeroDates: a column takes '0000-00-00' as it takes any date (sql_mode without NO_ZERO_DATE).
	ZeroDates bool
}

// problem says what was lost in a conversion; the value is then the nearest that the target has.
type problem uint8

const (
	fine      problem = iota
	prefix            // a number with something after it
	incorrect         // not a value of the type at all
	outside           // beyond the range
	tooLong
	badText  // not UTF-8, or not JSON
	zeroDate // the zero date: nothing is lost, but a column may refuse it
)

// Cast converts as CAST and implicit conversions in a SELECT do: what is not a value of the target becomes NULL for
// temporal types and the nearest number for numeric ones, long strings are cut. Only invalid JSON is an error.
func Cast(v vec.Value, from, to mt.ColumnType, env Env) (vec.Value, error) {
	if v.Null || from.Kind == mt.KindNull || to.Kind == mt.KindNull {
		return vec.NullValue(), nil
	}
	out, p := convert(v, from, to, env, false)
	switch {
	case p == incorrect && to.IsTemporal(), p == outside && to.IsTemporal() && (to.Kind != mt.KindTime || from.IsNumeric()), p == badText && to.Kind != mt.KindJSON:
		return vec.NullValue(), nil
	case p == badText:
		return vec.NullValue(), Errorf(errno.InvalidJSONArgument, "Invalid JSON text in argument 1 to function cast_as_json")
	}
	return out, nil
}

// CastStrict is Cast within a statement that writes in strict mode: what is not a value of the target is error 1292.
func CastStrict(v vec.Value, from, to mt.ColumnType, env Env) (vec.Value, error) {
	out, err := Cast(v, from, to, env)
	if err != nil || v.Null || from.Kind == mt.KindNull || to.Kind == mt.KindNull {
		return out, err
	}
	_, p := convert(v, from, to, env, false)
	if p != incorrect && p != prefix && p != tooLong && !(p == outside && to.IsTemporal()) {
		return out, nil
	}
	text := AppendText(nil, from, v, env.Loc)
	if len(text) > 128 {
		text = text[:128]
	}
	if to.IsTemporal() && to.Kind != mt.KindTime && p != prefix {
		return out, Errorf(errno.TruncatedWrongValue, "Incorrect datetime value: '%s'", text)
	}
	return out, Errorf(errno.TruncatedWrongValue, "Truncated incorrect %s value: '%s'", castName(to), text)
}

// castName is how MySQL calls the target of a cast in an error.
func castName(t mt.ColumnType) string {
	switch {
	case t.IsInteger():
		return "INTEGER"
	case t.Kind == mt.KindFloat || t.Kind == mt.KindDouble:
		return "DOUBLE"
	case t.Kind == mt.KindDecimal:
		return "DECIMAL"
	case t.Kind == mt.KindTimestamp:
		return "datetime"
	case t.IsTemporal():
		return kindNames[t.Kind]
	case t.IsString() && t.Length > 0:
		name := "CHAR"
		if t.Kind == mt.KindBinary || t.Kind == mt.KindVarBinary {
			name = "BINARY"
		}
		return name + "(" + strconv.Itoa(int(t.Length)) + ")"
	}
	return strings.ToUpper(TypeName(t))
}

// Convert converts a value to be stored in a column of type to. In strict mode whatever does not fit is an error
// (1264, 1265, 1292, 1366, 1406, 1048; complete it by WithColumn); otherwise the nearest value is stored, which is the
// zero date for an incorrect date. Zero dates are taken.
func Convert(v vec.Value, from, to mt.ColumnType, strict bool, tz *time.Location) (vec.Value, error) {
	out, _, err := store(v, from, to, strict, Env{Loc: tz, ZeroDates: true})
	return out, err
}

// store is Convert; bent says without strict mode what was lost.
func store(v vec.Value, from, to mt.ColumnType, strict bool, env Env) (out vec.Value, bent *Error, err error) {
	if v.Null || from.Kind == mt.KindNull {
		if to.NotNull {
			return v, nil, ErrNull()
		}
		return vec.NullValue(), nil, nil
	}
	out, p := convert(v, from, to, Env{Loc: env.Loc, NowMicros: env.NowMicros}, true)
	if p == fine || p == zeroDate && env.ZeroDates {
		return out, nil, nil
	}
	if strict || p == badText && to.Kind == mt.KindJSON {
		return out, nil, storeError(p, v, from, to, env.Loc)
	}
	if p == badText {
		out, _ = toString(vec.Str(wellFormed(v.B)), from, to, env, true)
	}
	return out, storeWarning(p, v, from, to, env.Loc), nil
}

// storeWarning says what a value that was bent to fit has lost. The numbers of what is too long, and of times, differ from those of the
// errors.
func storeWarning(p problem, v vec.Value, from, to mt.ColumnType, tz *time.Location) *Error {
	switch {
	case p == zeroDate && to.Kind != mt.KindTimestamp:
		return errColumnRange()
	case p == tooLong, to.IsTemporal() && p != outside, to.Kind == mt.KindDate, to.Kind == mt.KindDateTime:
		return errTruncated()
	case p == outside:
		return errColumnRange()
	case p == incorrect && (to.Kind == mt.KindFloat || to.Kind == mt.KindDouble):
		return errIncorrect(errno.WrongValue, "double", string(AppendText(nil, from, v, tz)))
	}
	return storeError(p, v, from, to, tz)
}

func storeError(p problem, v vec.Value, from, to mt.ColumnType, tz *time.Location) *Error {
	text := string(AppendText(nil, from, v, tz))
	switch {
	case p == tooLong:
		return errTooLong()
	case p == badText && to.Kind == mt.KindJSON:
		return Errorf(errno.InvalidJSONText, "Invalid JSON text: '%.64s' is not JSON", text)
	case p == badText:
		return errIncorrect(errno.WrongValue, "string", quoteBytes(v.B))
	case to.Kind == mt.KindTime && p != outside, to.IsTemporal() && to.Kind != mt.KindTime:
		name := kindNames[to.Kind]
		if to.Kind == mt.KindTimestamp {
			name = "datetime"
		}
		return errIncorrect(errno.TruncatedWrongValue, name, text)
	case p == outside:
		return errColumnRange()
	case p == prefix, to.Kind == mt.KindFloat || to.Kind == mt.KindDouble:
		return errTruncated()
	case to.Kind == mt.KindDecimal:
		return errIncorrect(errno.WrongValue, "decimal", text)
	}
	return errIncorrect(errno.WrongValue, "integer", text)
}

// wellFormed is the beginning of a text up to what is not UTF-8.
func wellFormed(b []byte) []byte {
	end := 0
	for end < len(b) {
		r, n := utf8.DecodeRune(b[end:])
		if r == utf8.RuneError && n <= 1 {
			break
		}
		end += n
	}
	return b[:end]
}

func quoteBytes(b []byte) string {
	const hex = "0123456789ABCDEF"
	var out []byte
	b = b[len(wellFormed(b)):]
	for _, c := range b[:min(len(b), 6)] {
		if c >= ' ' && c <= '~' {
			out = append(out, c)
			continue
		}
		out = append(out, '\\', 'x', hex[c>>4], hex[c&15])
	}
	return string(out)
}

// convert is the one conversion; store tells that the target is a column, whose length and range count.
func convert(v vec.Value, from, to mt.ColumnType, env Env, store bool) (vec.Value, problem) {
	switch to.Kind {
	case mt.KindFloat, mt.KindDouble:
		f, p := toFloat(v, from, env)
		if to.Kind == mt.KindFloat {
			if math.Abs(f) > math.MaxFloat32 {
				return vec.Float(math.Copysign(math.MaxFloat32, f)), outside
			}
			f = float64(float32(f))
		}
		return vec.Float(f), p
	case mt.KindDecimal:
		return toDecimal(v, from, to, env)
	case mt.KindDate, mt.KindDateTime, mt.KindTimestamp:
		return toDateTime(v, from, to, env)
	case mt.KindTime:
		return toTime(v, from, to, env)
	case mt.KindBool:
		if store {
			return toInteger(v, from, mt.ColumnType{Kind: mt.KindTinyInt}, env, true)
		}
		f, p := toFloat(v, from, env)
		return vec.Bool(f != 0), p
	case mt.KindYear:
		return toYear(v, from, env)
	case mt.KindJSON:
		return toJSON(v, from, env)
	}
	if to.IsString() {
		return toString(v, from, to, env, store)
	}
	return toInteger(v, from, to, env, store)
}

func toFloat(v vec.Value, from mt.ColumnType, env Env) (float64, problem) {
	switch from.Phys() {
	case mt.PhysFloat64:
		return v.F, fine
	case mt.PhysDec128:
		return DecimalToFloat(v.Dec128(), from.Scale), fine
	case mt.PhysBytes:
		f, complete := ParseFloat(v.B)
		if !complete && math.Abs(f) == math.MaxFloat64 {
			return f, outside
		}
		return f, prefixProblem(v.B, complete)
	}
	switch {
	case from.Kind == mt.KindDecimal:
		return DecimalToFloat(vec.Int128Of(v.I), from.Scale), fine
	case from.Unsigned:
		return float64(uint64(v.I)), fine
	case from.IsTemporal():
		whole, micros := temporalNumber(v.I, from, env)
		return float64(whole) + float64(micros)/1e6, fine
	}
	return float64(v.I), fine
}

func temporalNumber(v int64, from mt.ColumnType, env Env) (whole, micros int64) {
	if from.Kind == mt.KindTimestamp {
		v = UTCToLocal(v, env.Loc)
	}
	return TemporalToNumber(from.Kind, v)
}

// prefixProblem tells a string that starts with a number from one that does not.
func prefixProblem(s []byte, complete bool) problem {
	if complete {
		return fine
	}
	if _, ok := scanNumber(s); ok {
		return prefix
	}
	return incorrect
}

// decimalValue returns any value as an exact decimal and its scale.
func decimalValue(v vec.Value, from mt.ColumnType, env Env) (Int128, int32, problem) {
	switch {
	case from.Kind == mt.KindDecimal && from.Phys() == mt.PhysDec128:
		return v.Dec128(), from.Scale, fine
	case from.Kind == mt.KindDecimal:
		return vec.Int128Of(v.I), from.Scale, fine
	case from.Phys() == mt.PhysBytes:
		d, scale, used, fits := ParseDecimal(v.B)
		if !fits {
			return d, scale, outside
		}
		return d, scale, prefixProblem(v.B, used == len(v.B) && used > 0)
	case from.Phys() == mt.PhysFloat64:
		var text []byte
		d, scale, _, fits := ParseDecimal(AppendFloat(text, v.F, 64))
		if !fits {
			return d, scale, outside
		}
		return d, scale, fine
	case from.IsTemporal():
		whole, micros := temporalNumber(v.I, from, env)
		if from.Scale == 0 {
			return vec.Int128Of(whole), 0, fine
		}
		d, _ := vec.Int128Of(whole).Mul(Pow10(6))
		d, _ = d.Add(vec.Int128Of(micros))
		return d, 6, fine
	case from.Unsigned:
		return vec.Int128OfUint(uint64(v.I)), 0, fine
	}
	return vec.Int128Of(v.I), 0, fine
}

func toDecimal(v vec.Value, from, to mt.ColumnType, env Env) (vec.Value, problem) {
	precision := to.Length
	if precision == 0 {
		precision = 10
	}
	d, scale, p := decimalValue(v, from, env)
	r, ok := d, p != outside
	if ok {
		r, ok = Rescale(d, scale, to.Scale)
	}
	if !ok || !FitsDecimal(r, precision) {
		r, _ = Pow10(precision).Sub(vec.Int128Of(1))
		if d.Hi < 0 {
			r = r.Neg()
		}
		p = outside
	}
	if to.Phys() == mt.PhysDec128 {
		return vec.Dec(r), p
	}
	return vec.Int(int64(r.Lo)), p
}

// IntRange returns the bounds of a signed integer kind, or zero and the upper bound of an unsigned one.
func IntRange(t mt.ColumnType) (lo int64, hi uint64) {
	bits := 64
	switch t.Kind {
	case mt.KindTinyInt, mt.KindBool:
		bits = 8
	case mt.KindSmallInt:
		bits = 16
	case mt.KindMediumInt:
		bits = 24
	case mt.KindInt:
		bits = 32
	}
	if t.Unsigned {
		return 0, math.MaxUint64 >> (64 - bits)
	}
	return math.MinInt64 >> (64 - bits), math.MaxInt64 >> (64 - bits)
}

func toInteger(v vec.Value, from, to mt.ColumnType, env Env, store bool) (vec.Value, problem) {
	if from.Phys() == mt.PhysBytes && !store {
		return castTextToInt(v.B, to)
	}
	var d Int128
	p := fine
	if from.IsInteger() {
		if d = vec.Int128Of(v.I); from.Unsigned {
			d = vec.Int128OfUint(uint64(v.I))
		}
	} else {
		if from.Phys() == mt.PhysFloat64 { // to even, as MySQL's rint; decimals and texts round away from zero
			v.F = math.RoundToEven(v.F)
		}
		var scale int32
		if d, scale, p = decimalValue(v, from, env); p != outside {
			d, _ = Rescale(d, scale, 0)
		}
	}
	if !store && p != outside {
		if x, ok := wrapInt(d, to, from); ok {
			return vec.Int(x), p
		}
	}
	lo, hi := IntRange(to)
	if d.Cmp(vec.Int128Of(lo)) < 0 {
		return vec.Int(lo), outside
	}
	if d.Cmp(vec.Int128OfUint(hi)) > 0 {
		return vec.Int(int64(hi)), outside
	}
	return vec.Int(int64(d.Lo)), p
}

// wrapInt gives CAST AS SIGNED/UNSIGNED its 64-bit wrap around: a negative integer as unsigned and a large unsigned one
// as signed keep their bits. Other numbers only wrap when negative and cast to unsigned.
func wrapInt(d Int128, to, from mt.ColumnType) (int64, bool) {
	if to.Kind != mt.KindBigInt {
		return 0, false
	}
	if x, ok := d.Int64(); ok && to.Unsigned && x < 0 && from.Kind != mt.KindDecimal {
		return x, true
	}
	if !to.Unsigned && d.Hi == 0 && from.IsInteger() {
		return int64(d.Lo), true
	}
	return 0, false
}

func castTextToInt(s []byte, to mt.ColumnType) (vec.Value, problem) {
	mag, neg, complete, fits := ParseInt(s)
	p := prefixProblem(s, complete)
	if !fits {
		p = outside
	}
	if lo, hi := IntRange(to); to.Kind != mt.KindBigInt {
		switch {
		case neg && mag > uint64(-lo):
			return vec.Int(lo), outside
		case !neg && mag > hi:
			return vec.Int(int64(hi)), outside
		}
	}
	if neg {
		if mag > 1<<63 {
			return vec.Int(math.MinInt64), outside
		}
		return vec.Int(-int64(mag)), p
	}
	return vec.Int(int64(mag)), p
}

func toJSON(v vec.Value, from mt.ColumnType, env Env) (vec.Value, problem) {
	switch {
	case from.Kind == mt.KindJSON:
		return v, fine
	case from.Phys() == mt.PhysBytes:
		if !json.Valid(v.B) {
			return v, badText
		}
		return v, fine
	case from.Kind == mt.KindBool:
		if v.I != 0 {
			return vec.Str([]byte("true")), fine
		}
		return vec.Str([]byte("false")), fine
	}
	text := AppendText(nil, from, v, env.Loc)
	if from.IsTemporal() {
		text = append(append([]byte{'"'}, text...), '"')
	}
	return vec.Str(text), fine
}

func toString(v vec.Value, from, to mt.ColumnType, env Env, store bool) (vec.Value, problem) {
	s := v.B
	if from.Phys() != mt.PhysBytes {
		s = AppendText(nil, from, v, env.Loc)
	}
	character := to.Kind == mt.KindChar || to.Kind == mt.KindVarChar || to.Kind == mt.KindText
	if character && (store || fromBinary(from)) && !utf8.Valid(s) {
		return vec.Str(s), badText
	}
	p := fine
	limit := int(to.Length)
	switch {
	case limit == 0 && to.Kind == mt.KindText && store, limit == 0 && to.Kind == mt.KindBlob && store:
		limit = 65535
	case limit == 0:
		return vec.Str(padded(s, to, store)), fine
	}
	if character && to.Kind != mt.KindText {
		if cut := RunePrefix(s, limit); cut < len(s) {
			if len(bytes.TrimRight(s[cut:], " ")) > 0 {
				p = tooLong
			}
			s = s[:cut]
		}
	} else if len(s) > limit {
		p = tooLong
		for s = s[:limit]; character && len(s) > 0 && !utf8.Valid(s[max(0, len(s)-4):]) && !utf8.Valid(s); {
			s = s[:len(s)-1]
		}
	}
	return vec.Str(padded(s, to, store)), p
}

func fromBinary(t mt.ColumnType) bool {
	return t.Kind == mt.KindBinary || t.Kind == mt.KindVarBinary || t.Kind == mt.KindBlob
}

// padded gives CHAR columns no trailing spaces and BINARY(n) its zero bytes.
func padded(s []byte, to mt.ColumnType, store bool) []byte {
	switch {
	case to.Kind == mt.KindChar && store:
		return bytes.TrimRight(s, " ")
	case to.Kind == mt.KindBinary && len(s) < int(to.Length):
		return append(s[:len(s):len(s)], make([]byte, int(to.Length)-len(s))...)
	}
	return s
}

// RunePrefix returns how many bytes the first n characters take.
func RunePrefix(s []byte, n int) int {
	if len(s) <= n {
		return len(s)
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, w := utf8.DecodeRune(s[i:])
		i += w
	}
	return i
}
