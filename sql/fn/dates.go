package fn

import (
	"stele/meta/types"
	sqltypes "stele/sql/types"
	"stele/sql/vec"
)

// asDate returns the type in which a date function takes an argument: DATE and DATETIME as they are, all else as
// DATETIME.
func asDate(t T) T {
	switch t.Kind {
	case types.KindDate:
		return tDate
	case types.KindDateTime, types.KindTimestamp, types.KindTime:
		return dateTime(t.Scale)
	case types.KindChar, types.KindVarChar:
		return dateTime(textFraction(t))
	case types.KindDecimal:
		return dateTime(min(t.Scale, 6))
	}
	if t.IsInteger() {
		return dateTime(0)
	}
	return tDateTime
}

// asTime is the same for functions of the time of day.
func asTime(t T) T {
	switch t.Kind {
	case types.KindDate, types.KindDateTime, types.KindTimestamp:
		return asDate(t)
	case types.KindTime:
		return timeOf(t.Scale)
	case types.KindChar, types.KindVarChar:
		return timeOf(textFraction(t))
	case types.KindDecimal:
		return timeOf(min(t.Scale, 6))
	}
	if t.IsInteger() {
		return timeOf(0)
	}
	return tTime
}

// textFraction returns the fractional digits of a temporal literal; text of which nothing is known may have six. See
// LiteralText.
func textFraction(t T) int32 {
	if t.Scale > 0 {
		return t.Scale - 1
	}
	return 6
}

// local returns the microseconds of a DATE or DATETIME value.
func local(v int64, t T) int64 {
	if t.Kind == types.KindDate {
		return v * sqltypes.Day
	}
	return v
}

// datePart declares an integer function of a date; f gets the days since 1970 and the microseconds of the day.
func datePart(name, syntax, doc string, f func(days, rest int64) int64, aliases ...string) Def {
	return Def{Name: name, Aliases: aliases, Group: "date", Syntax: syntax, Doc: doc, Min: 1, Max: 1, Context: true,
		Rule: func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0])}, tInt, nil },
		Row: func(c *Call, a []vec.Value) (vec.Value, error) {
			return vec.Int(f(sqltypes.FloorDay(local(a[0].I, c.Args[0])))), nil
		},
		Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
			x := a[0]
			if c.Args[0].Kind == types.KindDate {
				return intVec(c, n, func(i int) int64 { return f(x.I64[x.At(i)], 0) }, x), nil
			}
			return intVec(c, n, func(i int) int64 { return f(sqltypes.FloorDay(x.I64[x.At(i)])) }, x), nil
		}}
}

// ofDay makes a function of a date NULL for the zero date, which no calendar has.
func ofDay(d Def) Def {
	row, columns := d.Row, d.Vec
	d.Row = func(c *Call, a []vec.Value) (vec.Value, error) {
		for i := range a {
			if c.isZeroDate(i, a[i].I) {
				return vec.NullValue(), nil
			}
		}
		return row(c, a)
	}
	if columns == nil {
		return d
	}
	d.Vec = func(c *Call, a []Arg, n int) (*vec.Vector, error) {
		out, err := columns(c, a, n)
		if err != nil || out == nil {
			return out, err
		}
		for i := range a {
			for row := 0; c.isDate(i) && row < n; row++ {
				if c.isZeroDate(i, a[i].I64[a[i].At(row)]) {
					out.SetNull(row)
				}
			}
		}
		return out, nil
	}
	return d
}

// isDate reports whether an argument is taken as a date.
func (c *Call) isDate(arg int) bool {
	k := c.Args[arg].Kind
	return k == types.KindDate || k == types.KindDateTime
}

// isZeroDate reports whether the value of an argument is a zero date, with or without a time of day.
func (c *Call) isZeroDate(arg int, v int64) bool {
	return c.isDate(arg) && local(v, c.Args[arg]) < sqltypes.MinDateTime
}

// timePart declares an integer function of a time, datetime or date; f gets the magnitude in microseconds.
func timePart(name, syntax, doc string, f func(micros int64) int64) Def {
	return Def{Name: name, Group: "date", Syntax: syntax, Doc: doc, Min: 1, Max: 1,
		Rule: func(_ string, a []T) ([]T, T, error) { return []T{asTime(a[0])}, tInt, nil },
		Row: func(c *Call, a []vec.Value) (vec.Value, error) {
			return vec.Int(f(clockOf(a[0].I, c.Args[0]))), nil
		},
		Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
			return intVec(c, n, func(i int) int64 { return f(clockOf(a[0].I64[a[0].At(i)], c.Args[0])) }, a[0]), nil
		}}
}

// clockOf returns the time of day, or the magnitude of a TIME.
func clockOf(v int64, t T) int64 {
	switch t.Kind {
	case types.KindDate:
		return 0
	case types.KindTime:
		return max(v, -v)
	}
	_, rest := sqltypes.FloorDay(v)
	return rest
}

func yearOf(days, _ int64) int64  { y, _, _ := sqltypes.DateOf(days); return int64(y) }
func monthOf(days, _ int64) int64 { _, m, _ := sqltypes.DateOf(days); return int64(m) }
func dayOf(days, _ int64) int64   { _, _, d := sqltypes.DateOf(days); return int64(d) }

func init() {
	register(
		datePart("year", "YEAR(d)", "The year.", yearOf),
		datePart("month", "MONTH(d)", "1..12.", monthOf),
		datePart("day", "DAY(d)", "1..31.", dayOf, "dayofmonth"),
		datePart("quarter", "QUARTER(d)", "1..4.", func(d, r int64) int64 { return (monthOf(d, r) + 2) / 3 }),
		ofDay(datePart("dayofweek", "DAYOFWEEK(d)", "1 (Sunday) .. 7.", func(d, _ int64) int64 { return int64((sqltypes.Weekday(d)+1)%7 + 1) })),
		ofDay(datePart("weekday", "WEEKDAY(d)", "0 (Monday) .. 6.", func(d, _ int64) int64 { return int64(sqltypes.Weekday(d)) })),
		ofDay(datePart("dayofyear", "DAYOFYEAR(d)", "1..366.", func(d, _ int64) int64 { return int64(sqltypes.DayOfYear(d)) })),
		ofDay(datePart("weekofyear", "WEEKOFYEAR(d)", "The ISO week.", func(d, _ int64) int64 { w, _ := sqltypes.Week(d, 3); return int64(w) })),
		ofDay(datePart("to_days", "TO_DAYS(d)", "Days since year 0.", func(d, _ int64) int64 { return sqltypes.ToDays(d) })),
		ofDay(datePart("to_seconds", "TO_SECONDS(d)", "Seconds since year 0.", func(d, r int64) int64 { return sqltypes.ToDays(d)*86400 + r/sqltypes.Second })),
		timePart("hour", "HOUR(t)", "The hours, 0..838.", func(m int64) int64 { return m / sqltypes.Hour }),
		timePart("minute", "MINUTE(t)", "0..59.", func(m int64) int64 { return m / sqltypes.Minute % 60 }),
		timePart("second", "SECOND(t)", "0..59.", func(m int64) int64 { return m / sqltypes.Second % 60 }),
		timePart("microsecond", "MICROSECOND(t)", "0..999999.", func(m int64) int64 { return m % sqltypes.Second }),

		weekDef("week", "WEEK(d[, mode])", "The week of the year.", func(w, _ int) int64 { return int64(w) }),
		weekDef("yearweek", "YEARWEEK(d[, mode])", "Year and week as YYYYWW.", func(w, y int) int64 { return int64(y)*100 + int64(w) }),
		nameDef("dayname", "DAYNAME(d)", func(days int64) string { return sqltypes.DayNames[sqltypes.Weekday(days)] }),
		nameDef("monthname", "MONTHNAME(d)", func(days int64) string { return sqltypes.MonthNames[monthOf(days, 0)] }),

		Def{Name: "date", Group: "date", Syntax: "DATE(d)", Doc: "The date of a datetime.", Min: 1, Max: 1, Context: true, Rule: dateRule(tDate), Row: dateRow,
			Vec: func(c *Call, a []Arg, n int) (*vec.Vector, error) {
				return intVec(c, n, func(i int) int64 { d, _ := sqltypes.FloorDay(local(a[0].I64[a[0].At(i)], c.Args[0])); return d }, a[0]), nil
			}},
		Def{Name: "time", Group: "date", Syntax: "TIME(t)", Doc: "The time of a datetime.", Min: 1, Max: 1, Rule: timeRule, Row: timeRow},
		Def{Name: "timestamp", Group: "date", Syntax: "TIMESTAMP(d[, t])", Doc: "d as a datetime, plus a time.", Min: 1, Max: 2, Context: true, TakesNull: true, Rule: timestampRule, Row: nullable(timestampRow)},
		ofDay(Def{Name: "last_day", Group: "date", Syntax: "LAST_DAY(d)", Doc: "The last day of the month.", Min: 1, Max: 1, Context: true, Rule: dateRule(tDate), Row: lastDay}),
		ofDay(Def{Name: "datediff", Group: "date", Syntax: "DATEDIFF(a, b)", Doc: "Days from b to a.", Min: 2, Max: 2, Context: true,
			Rule: func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0]), asDate(a[1])}, tInt, nil }, Row: dateDiff}),
		Def{Name: "from_days", Group: "date", Syntax: "FROM_DAYS(n)", Doc: "The date of a number of days since year 0.", Min: 1, Max: 1, TakesNull: true, Rule: fixed(tDate, tInt),
			Row: nullable(fromDays)},
		Def{Name: "makedate", Group: "date", Syntax: "MAKEDATE(year, day)", Doc: "The date of a day of a year.", Min: 2, Max: 2, TakesNull: true, Rule: fixed(tDate, tInt), Row: nullable(makeDate)},
		Def{Name: "maketime", Group: "date", Syntax: "MAKETIME(h, m, s)", Doc: "A time.", Min: 3, Max: 3, TakesNull: true, Rule: makeTimeRule, Row: nullable(makeTime)},
		Def{Name: "sec_to_time", Group: "date", Syntax: "SEC_TO_TIME(s)", Doc: "Seconds as a time.", Min: 1, Max: 1, Rule: secToTimeRule, Row: secToTime},
		Def{Name: "time_to_sec", Group: "date", Syntax: "TIME_TO_SEC(t)", Doc: "A time as seconds.", Min: 1, Max: 1, Rule: func(_ string, a []T) ([]T, T, error) { return []T{asTime(a[0])}, tInt, nil },
			Row: func(c *Call, a []vec.Value) (vec.Value, error) {
				s := clockOf(a[0].I, c.Args[0]) / sqltypes.Second
				if c.Args[0].Kind == types.KindTime && a[0].I < 0 {
					s = -s
				}
				return vec.Int(s), nil
			}},
		Def{Name: "period_add", Group: "date", Syntax: "PERIOD_ADD(p, n)", Doc: "Period YYYYMM plus n months.", Min: 2, Max: 2, Rule: fixed(tInt, tInt),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Int(period(months(a[0].I) + a[1].I)), nil }},
		Def{Name: "period_diff", Group: "date", Syntax: "PERIOD_DIFF(a, b)", Doc: "Months between two periods YYYYMM.", Min: 2, Max: 2, Rule: fixed(tInt, tInt),
			Row: func(_ *Call, a []vec.Value) (vec.Value, error) { return vec.Int(months(a[0].I) - months(a[1].I)), nil }},
	)
}

func dateRule(result T) Rule {
	return func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0])}, result, nil }
}

func timeRule(_ string, a []T) ([]T, T, error) {
	t := asTime(a[0])
	return []T{t}, timeOf(t.Scale), nil
}

func timeRow(c *Call, a []vec.Value) (vec.Value, error) {
	if c.Args[0].Kind == types.KindTime {
		return a[0], nil
	}
	return vec.Int(clockOf(a[0].I, c.Args[0])), nil
}

func dateRow(c *Call, a []vec.Value) (vec.Value, error) {
	days, _ := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
	return vec.Int(days), nil
}

func lastDay(c *Call, a []vec.Value) (vec.Value, error) {
	days, _ := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
	y, m, _ := sqltypes.DateOf(days)
	return vec.Int(sqltypes.DaysOf(y, m, sqltypes.DaysIn(y, m))), nil
}

func dateDiff(c *Call, a []vec.Value) (vec.Value, error) {
	x, _ := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
	y, _ := sqltypes.FloorDay(local(a[1].I, c.Args[1]))
	return vec.Int(x - y), nil
}

// fromDays knows no day of the year 0.
func fromDays(_ *Call, a []vec.Value) (vec.Value, error) {
	if a[0].I <= 365 {
		return vec.Int(sqltypes.ZeroDate), nil
	}
	return dateInRange(sqltypes.FromDays(a[0].I)), nil
}

func dateInRange(days int64) vec.Value {
	if days < sqltypes.MinDate || days > sqltypes.MaxDate {
		return vec.NullValue()
	}
	return vec.Int(days)
}

// weekDef declares a function of a date and a week mode.
func weekDef(name, syntax, doc string, f func(week, year int) int64) Def {
	return ofDay(Def{Name: name, Group: "date", Syntax: syntax, Doc: doc + " A mode that is NULL is 0.", Min: 1, Max: 2, Context: true, TakesNull: true,
		Rule: func(_ string, a []T) ([]T, T, error) { return []T{asDate(a[0]), tInt}[:len(a)], tInt, nil },
		Row: func(c *Call, a []vec.Value) (vec.Value, error) {
			if a[0].Null {
				return vec.NullValue(), nil
			}
			mode := 0
			if len(a) > 1 && !a[1].Null {
				mode = int(a[1].I & 7)
			}
			if name == "yearweek" {
				mode |= 2
			}
			days, _ := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
			return vec.Int(f(sqltypes.Week(days, mode))), nil
		}})
}

func nameDef(name, syntax string, f func(days int64) string) Def {
	return ofDay(Def{Name: name, Group: "date", Syntax: syntax, Doc: "The English name.", Min: 1, Max: 1, Context: true, Rule: dateRule(varchar(9)),
		Row: func(c *Call, a []vec.Value) (vec.Value, error) {
			days, _ := sqltypes.FloorDay(local(a[0].I, c.Args[0]))
			return vec.Str([]byte(f(days))), nil
		}})
}

func timestampRule(_ string, a []T) ([]T, T, error) {
	d := asDate(a[0])
	want := []T{dateTime(d.Scale)}
	if len(a) > 1 {
		want = append(want, timeOf(asTime(a[1]).Scale))
		d.Scale = max(d.Scale, want[1].Scale)
	}
	return want, dateTime(d.Scale), nil
}

func timestampRow(_ *Call, a []vec.Value) (vec.Value, error) {
	if len(a) == 1 {
		return a[0], nil // a zero date, too
	}
	if a[0].I < sqltypes.MinDateTime {
		return vec.NullValue(), nil
	}
	return dateTimeInRange(a[0].I + a[1].I), nil
}

func dateTimeInRange(v int64) vec.Value {
	if v < sqltypes.MinDateTime || v > sqltypes.MaxDateTime {
		return vec.NullValue()
	}
	return vec.Int(v)
}

func makeDate(_ *Call, a []vec.Value) (vec.Value, error) {
	y, d := a[0].I, a[1].I
	switch {
	case y < 0 || y > 9999 || d < 1 || d > 10000*366:
		return vec.NullValue(), nil
	case y < 70:
		y += 2000
	case y < 100:
		y += 1900
	}
	return dateInRange(sqltypes.DaysOf(int(y), 1, 1) + d - 1), nil
}

// secondsType is the exact type of a number of seconds, which may have a fraction.
func secondsType(t T) T {
	x := numeric(t)
	switch {
	case x.Kind == types.KindBigInt:
		return T{Kind: types.KindBigInt, Unsigned: x.Unsigned}
	case x.Kind == types.KindDecimal && x.Scale <= 6:
		return decimal(18, x.Scale)
	}
	return decimal(18, 6)
}

// secondsOf returns microseconds.
func secondsOf(v int64, t T) (int64, bool) {
	f := sqltypes.Pow10Int64(6 - t.Scale)
	if v > 1<<62/f || v < -(1<<62)/f {
		return 0, false
	}
	return v * f, true
}

func makeTimeRule(_ string, a []T) ([]T, T, error) {
	s := secondsType(a[2])
	return []T{tInt, tInt, s}, timeOf(s.Scale), nil
}

func makeTime(c *Call, a []vec.Value) (vec.Value, error) {
	h, m := a[0].I, a[1].I
	s, ok := secondsOf(a[2].I, c.Args[2])
	if !ok || m < 0 || m > 59 || s < 0 || s >= sqltypes.Minute {
		return vec.NullValue(), nil
	}
	if h > 838 || h < -838 {
		h, m, s = max(-838, min(h, 838)), 59, 59*sqltypes.Second
	}
	if h < 0 {
		return vec.Int(h*sqltypes.Hour - m*sqltypes.Minute - s), nil
	}
	return vec.Int(h*sqltypes.Hour + m*sqltypes.Minute + s), nil
}

func secToTimeRule(_ string, a []T) ([]T, T, error) {
	s := secondsType(a[0])
	return []T{s}, timeOf(s.Scale), nil
}

func secToTime(c *Call, a []vec.Value) (vec.Value, error) {
	s, ok := secondsOf(a[0].I, c.Args[0])
	if !ok {
		s = a[0].I
	}
	return vec.Int(max(-sqltypes.MaxTime, min(s, sqltypes.MaxTime))), nil
}

// months counts the months of a period YYYYMM or YYMM since year 0; period is the inverse.
func months(p int64) int64 {
	if p <= 0 {
		return 0
	}
	y := p / 100
	switch {
	case y < 70:
		y += 2000
	case y < 100:
		y += 1900
	}
	return y*12 + p%100 - 1
}

func period(m int64) int64 {
	y := m / 12
	return y*100 + m%12 + 1
}
