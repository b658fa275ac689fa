package types

import (
	mt "stele/meta/types"
	"stele/sql/vec"
)

func toYear(v vec.Value, from mt.ColumnType, env Env) (vec.Value, problem) {
	if from.IsTemporal() && from.Kind != mt.KindTime {
		dt, _ := toDateTime(v, from, mt.ColumnType{Kind: mt.KindDateTime, Scale: 6}, env)
		days, _ := FloorDay(dt.I)
		y, _, _ := DateOf(days)
		return vec.Int(int64(y)), fine
	}
	x, p := toInteger(v, from, mt.ColumnType{Kind: mt.KindInt}, env, true)
	if p != fine && p != prefix {
		return vec.Int(0), p
	}
	isText := from.Phys() == mt.PhysBytes
	switch y := x.I; {
	case y == 0 && !(isText && len(trimBlanks(v.B)) < 3):
		return x, p
	case y >= 0 && y < 100:
		return vec.Int(int64(expandYear(int(y)))), p
	case y >= 1901 && y <= 2155:
		return x, p
	}
	return vec.Int(0), outside
}

// toDateTime converts to DATE, DATETIME or TIMESTAMP.
func toDateTime(v vec.Value, from, to mt.ColumnType, env Env) (vec.Value, problem) {
	if from.Kind == mt.KindTimestamp && to.Kind == mt.KindTimestamp {
		return vec.Int(RoundFraction(v.I, to.Scale)), fine
	}
	t, cut := localMicros(v, from, env)
	if cut != fine && cut != prefix {
		return vec.Int(ZeroOf(to.Kind)), cut
	}
	if t < MinDateTime {
		return toZeroDate(t, to)
	}
	if to.Kind == mt.KindDate {
		days, _ := FloorDay(t)
		return vec.Int(days), cut
	}
	t = RoundFraction(t, to.Scale)
	if to.Kind == mt.KindTimestamp {
		t = LocalToUTC(t, env.Loc)
		if t < MinTimestamp || t > MaxTimestamp {
			return vec.Int(ZeroDateTime), outside
		}
		return vec.Int(t), cut
	}
	if t > MaxDateTime {
		return vec.Int(ZeroDateTime), outside
	}
	return vec.Int(t), cut
}

// toZeroDate is toDateTime of the zero date, which only a DATETIME keeps a time of day of.
func toZeroDate(t int64, to mt.ColumnType) (vec.Value, problem) {
	switch t = RoundFraction(t, to.Scale); {
	case to.Kind == mt.KindDate:
		return vec.Int(ZeroDate), zeroDate
	case to.Kind == mt.KindTimestamp && t != ZeroDateTime:
		return vec.Int(ZeroDateTime), incorrect
	}
	return vec.Int(t), zeroDate
}

// ZeroOf is the zero date as a value of DATE, DATETIME or TIMESTAMP.
func ZeroOf(k mt.Kind) int64 {
	if k == mt.KindDate {
		return ZeroDate
	}
	return ZeroDateTime
}

// ZeroValue is the implicit default of a type.
func ZeroValue(t mt.ColumnType) vec.Value {
	switch t.Kind {
	case mt.KindDate, mt.KindDateTime, mt.KindTimestamp:
		return vec.Value{I: ZeroOf(t.Kind)}
	case mt.KindJSON:
		return vec.Value{B: []byte("null")}
	case mt.KindBinary:
		return vec.Value{B: make([]byte, t.Length)}
	}
	if t.IsString() {
		return vec.Value{B: []byte{}}
	}
	return vec.Value{}
}

// localMicros returns any value as a datetime of the session's zone.
func localMicros(v vec.Value, from mt.ColumnType, env Env) (int64, problem) {
	switch {
	case from.Kind == mt.KindDate:
		return v.I * Day, fine
	case from.Kind == mt.KindDateTime:
		return v.I, fine
	case from.Kind == mt.KindTimestamp:
		return UTCToLocal(v.I, env.Loc), fine
	case from.Kind == mt.KindTime:
		today, _ := FloorDay(UTCToLocal(env.NowMicros, env.Loc))
		return today*Day + v.I, fine
	case from.Phys() == mt.PhysBytes:
		t, whole, ok := LeadingDateTime(v.B, env.Loc)
		switch {
		case !ok:
			return 0, incorrect
		case !whole:
			return t.Micros, prefix
		}
		return t.Micros, fine
	}
	return numberMicros(v, from, env)
}

func numberMicros(v vec.Value, from mt.ColumnType, env Env) (int64, problem) {
	d, scale, p := decimalValue(v, from, env)
	if p != fine {
		return 0, incorrect
	}
	m, ok := Rescale(d, scale, 6)
	whole := TruncateScale(m, 6, 0)
	n, ok2 := whole.Int64()
	t, ok3 := NumberToDateTime(n)
	if !ok || !ok2 || !ok3 || m.Hi < 0 {
		return 0, incorrect
	}
	_, frac := m.QuoRem(Pow10(6))
	if t.HasTime {
		t.Micros += int64(frac.Lo)
	}
	return t.Micros, fine
}

func toTime(v vec.Value, from, to mt.ColumnType, env Env) (vec.Value, problem) {
	p := fine
	micros := v.I
	switch {
	case from.Kind == mt.KindTime:
	case from.Kind == mt.KindDate:
		micros = 0
	case from.Kind == mt.KindDateTime:
		_, micros = FloorDay(v.I)
	case from.Kind == mt.KindTimestamp:
		_, micros = FloorDay(UTCToLocal(v.I, env.Loc))
	case from.Phys() == mt.PhysBytes:
		t, inRange, ok := ParseTime(v.B)
		if !ok {
			if t, inRange, ok = leadingTime(v.B); !ok {
				return vec.Int(0), incorrect
			}
			p = prefix
		}
		if !inRange {
			p = outside
		}
		micros = t.Micros
	default:
		if micros, p = numberTime(v, from, env); p == incorrect {
			return vec.Int(0), p
		}
	}
	micros = RoundFraction(micros, to.Scale)
	if micros > MaxTime {
		return vec.Int(MaxTime), outside
	}
	if micros < -MaxTime {
		return vec.Int(-MaxTime), outside
	}
	return vec.Int(micros), p
}

func numberTime(v vec.Value, from mt.ColumnType, env Env) (int64, problem) {
	d, scale, p := decimalValue(v, from, env)
	m, ok := Rescale(d, scale, 6)
	if p != fine || !ok {
		return 0, incorrect
	}
	whole, frac := m.QuoRem(Pow10(6))
	n, ok := whole.Int64()
	if !ok {
		return 0, incorrect
	}
	t, inRange, ok := NumberToTime(n)
	switch {
	case !ok:
		return 0, incorrect
	case !inRange:
		return t, outside
	}
	return t + int64(frac.Lo), fine
}
