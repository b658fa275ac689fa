package fn

import (
	"strconv"
	"strings"

	"stele/meta/types"
	"stele/sql/errno"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

func init() {
	units := sqltypes.IntervalUnits
	simple := []string{"microsecond", "second", "minute", "hour", "day", "week", "month", "quarter", "year"}
	register(
		Def{Name: "date_add", Aliases: []string{"adddate"}, Group: "date", Syntax: "DATE_ADD(d, INTERVAL n unit) = date_add:unit(d, n)", Doc: "d plus an interval; NULL when it leaves the calendar. TIMESTAMPADD(unit, n, d) is the same.",
			Min: 2, Max: 2, Params: units, TakesNull: true, Context: true, Rule: dateAddRule, Row: nullable(dateAddRow(false)), Vec: dateAddVec(false)},
		Def{Name: "date_sub", Aliases: []string{"subdate"}, Group: "date", Syntax: "DATE_SUB(d, INTERVAL n unit) = date_sub:unit(d, n)", Doc: "d minus an interval.",
			Min: 2, Max: 2, Params: units, TakesNull: true, Context: true, Rule: dateAddRule, Row: nullable(dateAddRow(true)), Vec: dateAddVec(true)},
		Def{Name: "moment_number", Group: "date", Syntax: "MOMENT_NUMBER(s)", Doc: "The number of a date or time that is a text: 20240131. What DATE_ADD makes of a text counts as it where a number is asked for.",
			Min: 1, Max: 1, Rule: fixed(tDouble, tStr), Row: momentNumber},
		Def{Name: "insist", Group: "date", Syntax: "INSIST(d, s, n), insist:str_to_date(d, s, f)", Doc: "d, which is made of s and n by DATE_ADD or STR_TO_DATE; it is an error that it is NULL and they are not. So it is where a statement writes in strict mode.",
			Min: 3, Max: 3, Params: []string{"", "str_to_date"}, TakesNull: true, CanFail: true, Context: true, Rule: func(_ string, a []T) ([]T, T, error) { return a, a[0], nil }, Row: insistRow},
		Def{Name: "extract", Group: "date", Syntax: "EXTRACT(unit FROM d) = extract:unit(d)", Doc: "A part of a date or time; parts of two or more units as one number.", Min: 1, Max: 1, Params: units, Context: true,
			Rule: extractRule, Row: extractRow, Vec: extractVec},
		ofDay(Def{Name: "timestampdiff", Group: "date", Syntax: "TIMESTAMPDIFF(unit, a, b) = timestampdiff:unit(a, b)", Doc: "Whole units from a to b.", Min: 2, Max: 2, Params: simple, Context: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0]), asDate(a[1])}, tInt, nil }, Row: timestampDiff}),
		Def{Name: "timediff", Group: "date", Syntax: "TIMEDIFF(a, b)", Doc: "The time from b to a, both times or both datetimes.", Min: 2, Max: 2, Context: true, TakesNull: true, Rule: timeDiffRule, Row: nullable(timeDiff)},
		Def{Name: "addtime", Group: "date", Syntax: "ADDTIME(a, t)", Doc: "A time or datetime plus a time.", Min: 2, Max: 2, TakesNull: true, Context: true, Rule: addTimeRule, Row: nullable(addTime(1))},
		Def{Name: "subtime", Group: "date", Syntax: "SUBTIME(a, t)", Doc: "A time or datetime minus a time.", Min: 2, Max: 2, TakesNull: true, Context: true, Rule: addTimeRule, Row: nullable(addTime(-1))},
	)
}

// dateAddRule: a DATE stays one unless the unit has a time part, a TIME unless it has days, with which it is one of today; text stays text.
func dateAddRule(param string, a []T) ([]T, T, error) {
	shape, _ := sqltypes.UnitShape(param)
	amount := amountType(param, a[1])
	fraction := shape.Fraction || amount.Kind == types.KindDecimal
	d := a[0]
	d.NotNull = false
	var result T
	switch d.Kind {
	case types.KindDate:
		result = tDate
		if shape.Time {
			result = dateTime(0)
		}
	case types.KindDateTime, types.KindTimestamp:
		d = dateTime(d.Scale)
		result = d
	case types.KindTime:
		if shape.Date {
			d = dateTime(d.Scale)
		}
		result = d
	case types.KindTinyInt, types.KindSmallInt, types.KindMediumInt, types.KindInt, types.KindBigInt:
		return []T{tInt, amount}, varchar(29), nil
	default:
		return []T{text(d), amount}, varchar(29), nil
	}
	if fraction && result.Kind != types.KindDate {
		result.Scale = 6
	}
	return []T{d, amount}, result, nil
}

// amountType is BIGINT where the unit takes one whole number, DECIMAL for seconds with a fraction, else text.
func amountType(unit string, t T) T {
	switch {
	case !sqltypes.IsSimpleUnit(unit):
		return tStr
	case t.IsString():
		return text(t)
	case unit == "second" && !t.IsInteger() && t.Kind != types.KindNull:
		return decimal(18, 6)
	}
	return tInt
}

func (c *Call) interval(v vec.Value) (sqltypes.Interval, bool) {
	switch t := c.Args[1]; {
	case t.Kind == types.KindDecimal:
		m, _ := secondsOf(v.I, t)
		return sqltypes.IntervalOf(c.Param, m/sqltypes.Second, m%sqltypes.Second)
	case t.IsString():
		return sqltypes.ParseInterval(c.Param, v.B)
	}
	return sqltypes.IntervalOf(c.Param, v.I, 0)
}

func dateAddRow(sub bool) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		iv, ok := c.interval(a[1])
		if !ok {
			return vec.NullValue(), nil
		}
		if sub {
			iv = iv.Neg()
		}
		switch c.Args[0].Kind {
		case types.KindDate:
			m, ok := sqltypes.AddInterval(a[0].I*sqltypes.Day, iv)
			if !ok {
				return vec.NullValue(), nil
			}
			if c.Result.Kind == types.KindDate {
				m, _ = sqltypes.FloorDay(m)
			}
			return vec.Int(m), nil
		case types.KindDateTime:
			m, ok := sqltypes.AddInterval(a[0].I, iv)
			return vec.Value{I: m, Null: !ok}, nil
		case types.KindTime:
			m := a[0].I + iv.Micros
			if m > sqltypes.MaxTime || m < -sqltypes.MaxTime {
				return vec.NullValue(), nil
			}
			return vec.Int(m), nil
		}
		t, ok := c.literalMoment(a[0], c.Args[0])
		if !ok {
			return vec.NullValue(), nil
		}
		return addToLiteral(t, iv), nil
	}
}

// insistRow tells a value that is no date from a sum that leaves the calendar. Zero dates have no days after them, and are no error.
func insistRow(c *Call, a []vec.Value) (vec.Value, error) {
	if !a[0].Null || a[1].Null || a[2].Null || c.isZeroDate(1, a[1].I) {
		return a[0], nil
	}
	shown := sqltypes.AppendText(nil, c.Args[1], a[1], c.Ctx.Location())
	if c.Param == "str_to_date" {
		return a[0], sqltypes.Errorf(errno.WrongValueForFunction, "Incorrect %s value: '%s' for function str_to_date", kindWord(c.Args[0]), shown)
	}
	if !c.Args[1].IsTemporal() {
		t, ok := c.literalMoment(a[1], c.Args[1])
		if !ok {
			return a[0], sqltypes.Errorf(errno.TruncatedWrongValue, "Incorrect datetime value: '%s'", shown)
		}
		if t.Micros < sqltypes.MinDateTime {
			return a[0], nil
		}
	}
	return a[0], sqltypes.Errorf(errno.DateTimeOverflow, "Datetime function: %s field overflow", kindWord(c.Args[1]))
}

// kindWord is what errors call a date or time.
func kindWord(t T) string {
	if t.Kind == types.KindTime {
		return "time"
	}
	return "datetime"
}

// momentNumber leaves out all but the digits and the point.
func momentNumber(_ *Call, a []vec.Value) (vec.Value, error) {
	digits := make([]byte, 0, len(a[0].B))
	for _, c := range a[0].B {
		if c >= '0' && c <= '9' || c == '.' {
			digits = append(digits, c)
		}
	}
	f, err := strconv.ParseFloat(string(digits), 64)
	if err != nil {
		return vec.NullValue(), nil
	}
	return vec.Float(f), nil
}

// literalMoment reads the text or number of a type that an interval is added to.
func (c *Call) literalMoment(v vec.Value, from T) (sqltypes.Temporal, bool) {
	if from.IsInteger() {
		return sqltypes.NumberToDateTime(v.I)
	}
	m, _, ok := sqltypes.LeadingDateTime(v.B, c.Ctx.Location())
	return m, ok
}

// addToLiteral adds to a literal; the result looks like the literal, with a time of day if either has one.
func addToLiteral(t sqltypes.Temporal, iv sqltypes.Interval) vec.Value {
	m, ok := sqltypes.AddInterval(t.Micros, iv)
	if !ok {
		return vec.NullValue()
	}
	if !t.HasTime && !iv.Time {
		days, _ := sqltypes.FloorDay(m)
		return vec.Str(sqltypes.AppendText(nil, tDate, vec.Int(days), nil))
	}
	scale := int32(0)
	if m%sqltypes.Second != 0 {
		scale = 6
	}
	return vec.Str(sqltypes.AppendText(nil, dateTime(scale), vec.Int(m), nil))
}

// dateAddVec adds one constant interval to dates.
func dateAddVec(sub bool) func(*Call, []Arg, int) (*vec.Vector, error) {
	return func(c *Call, a []Arg, n int) (*vec.Vector, error) {
		kind := c.Args[0].Kind
		if !a[1].IsConst() || a[1].IsNull(0) || kind != types.KindDate && kind != types.KindDateTime {
			return nil, nil
		}
		iv, ok := c.interval(a[1].Value(0))
		if !ok {
			return vec.NewNull(c.Result, n), nil
		}
		if sub {
			iv = iv.Neg()
		}
		out := vec.New(c.Result, n)
		out.Valid = nulls(n, a[0])
		for i := range out.I64 {
			if out.IsNull(i) {
				continue
			}
			m, ok := sqltypes.AddInterval(local(a[0].I64[a[0].At(i)], c.Args[0]), iv)
			if !ok {
				out.SetNull(i)
				continue
			}
			if c.Result.Kind == types.KindDate {
				m, _ = sqltypes.FloorDay(m)
			}
			out.I64[i] = m
		}
		return out, nil
	}
}

// extractRule: units of the time of day also work on TIME values.
func extractRule(param string, a []T) ([]T, T, error) {
	switch param {
	case "microsecond", "second", "minute", "hour", "second_microsecond", "minute_microsecond", "minute_second", "hour_microsecond", "hour_second", "hour_minute":
		return []T{asTime(a[0])}, tInt, nil
	}
	if strings.HasPrefix(param, "day_") && a[0].Kind == types.KindTime {
		return []T{asTime(a[0])}, tInt, nil
	}
	return []T{asDate(a[0])}, tInt, nil
}

func extractRow(c *Call, a []vec.Value) (vec.Value, error) {
	return vec.Int(extract(c.Param, a[0].I, c.Args[0])), nil
}

func extractVec(c *Call, a []Arg, n int) (*vec.Vector, error) {
	x := a[0]
	return intVec(c, n, func(i int) int64 { return extract(c.Param, x.I64[x.At(i)], c.Args[0]) }, x), nil
}

func extract(unit string, v int64, t T) int64 {
	if t.Kind == types.KindTime {
		if v < 0 {
			return -extractClock(unit, 0, -v)
		}
		return extractClock(unit, 0, v)
	}
	days, rest := sqltypes.FloorDay(local(v, t))
	switch unit {
	case "year":
		return yearOf(days, 0)
	case "quarter":
		return (monthOf(days, 0) + 2) / 3
	case "month":
		return monthOf(days, 0)
	case "week":
		if days == sqltypes.ZeroDate {
			return 0
		}
		w, _ := sqltypes.Week(days, 0)
		return int64(w)
	case "day":
		return dayOf(days, 0)
	case "year_month":
		y, m, _ := sqltypes.DateOf(days)
		return int64(y*100 + m)
	}
	return extractClock(unit, dayOf(days, 0), rest)
}

// extractClock builds the number of a unit such as day_minute (DDhhmm).
func extractClock(unit string, day, rest int64) int64 {
	h, m, s, us := rest/sqltypes.Hour, rest/sqltypes.Minute%60, rest/sqltypes.Second%60, rest%sqltypes.Second
	from, to, composite := strings.Cut(unit, "_")
	if !composite {
		to = from
	}
	order := []string{"day", "hour", "minute", "second", "microsecond"}
	vals := []int64{day, h, m, s, us}
	out, on := int64(0), false
	for i, u := range order {
		if u == from {
			on = true
		}
		if on {
			width := int64(100)
			if u == "microsecond" {
				width = 1000000
			}
			out = out*width + vals[i]
		}
		if u == to {
			break
		}
	}
	return out
}

func timestampDiff(c *Call, a []vec.Value) (vec.Value, error) {
	from, to := local(a[0].I, c.Args[0]), local(a[1].I, c.Args[1])
	switch c.Param {
	case "month":
		return vec.Int(monthsBetween(from, to)), nil
	case "quarter":
		return vec.Int(monthsBetween(from, to) / 3), nil
	case "year":
		return vec.Int(monthsBetween(from, to) / 12), nil
	}
	iv, _ := sqltypes.IntervalOf(c.Param, 1, 0)
	return vec.Int((to - from) / iv.Micros), nil
}

// monthsBetween counts whole months.
func monthsBetween(from, to int64) int64 {
	if from > to {
		return -monthsBetween(to, from)
	}
	fd, fr := sqltypes.FloorDay(from)
	td, tr := sqltypes.FloorDay(to)
	fy, fm, fday := sqltypes.DateOf(fd)
	ty, tm, tday := sqltypes.DateOf(td)
	n := int64(ty-fy)*12 + int64(tm-fm)
	if tday < fday || tday == fday && tr < fr {
		n--
	}
	return n
}

// timeDiffRule: two datetimes when either argument is one, two dates, else two times. Text is read as a time unless it is as long
// as a date.
func timeDiffRule(_ string, a []T) ([]T, T, error) {
	date := func(t T) bool {
		return t.IsTemporal() && t.Kind != types.KindTime || t.IsString() && t.Length >= 18
	}
	if date(a[0]) || date(a[1]) {
		if a[0].Kind == types.KindTime || a[1].Kind == types.KindTime || a[0].IsTemporal() && a[1].IsTemporal() && isDate(a[0]) != isDate(a[1]) {
			return []T{a[0], a[1]}, timeOf(0), nil // of different kinds: NULL, see timeDiff
		}
		x, y := dateTime(asDate(a[0]).Scale), dateTime(asDate(a[1]).Scale)
		return []T{x, y}, timeOf(max(x.Scale, y.Scale)), nil
	}
	x, y := timeOf(asTime(a[0]).Scale), timeOf(asTime(a[1]).Scale)
	return []T{x, y}, timeOf(max(x.Scale, y.Scale)), nil
}

func isDate(t T) bool { return t.Kind == types.KindDate }

func timeDiff(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Args[0].Kind != c.Args[1].Kind {
		return vec.NullValue(), nil
	}
	return vec.Int(max(-sqltypes.MaxTime, min(a[0].I-a[1].I, sqltypes.MaxTime))), nil
}

// addTimeRule: text that is as long as a datetime is one.
func addTimeRule(_ string, a []T) ([]T, T, error) {
	t := asTime(a[1])
	t = timeOf(t.Scale)
	switch {
	case a[0].Kind == types.KindDate || a[0].Kind == types.KindDateTime || a[0].Kind == types.KindTimestamp || a[0].IsString() && a[0].Length >= 18:
		d := asDate(a[0])
		return []T{dateTime(d.Scale), t}, dateTime(max(d.Scale, t.Scale)), nil
	}
	x := timeOf(asTime(a[0]).Scale)
	return []T{x, t}, timeOf(max(x.Scale, t.Scale)), nil
}

func addTime(sign int64) rowFunc {
	return func(c *Call, a []vec.Value) (vec.Value, error) {
		v := a[0].I + sign*a[1].I
		if c.isZeroDate(0, a[0].I) {
			return vec.NullValue(), nil
		}
		if c.Result.Kind == types.KindTime {
			return vec.Int(max(-sqltypes.MaxTime, min(v, sqltypes.MaxTime))), nil
		}
		return dateTimeInRange(v), nil
	}
}
