#!/bin/sh
# The mariadb command line client against Stele; see stack.go for the contract of these scripts.
set -eu

run() {
	if [ -n "${STELE_TLS:-}" ]; then tls=--ssl; else tls=--skip-ssl; fi
	set -- -h "$STELE_HOST" -P "$STELE_PORT" --protocol=tcp -u "$STELE_USER" $tls \
		${STELE_COMPRESS:+--compress} --batch --skip-column-names "$@"
	MYSQL_PWD=$STELE_PASSWORD mariadb --no-defaults "$@"
}
same() {
	if [ "$1" != "$2" ]; then
		printf 'got:\n%s\nwant:\n%s\n' "$1" "$2" >&2
		exit 1
	fi
}
# fails CODE SQL: the statement must fail with that error.
fails() {
	out=$(run -e "$2" 2>&1) && { echo "no error: $2" >&2; exit 1; }
	case $out in
	*"ERROR $1 "*) ;;
	*) echo "$2: $out, want error $1" >&2; exit 1 ;;
	esac
}

same "$(run -e 'SELECT 1')" 1
if [ -z "${STELE_LOGIN_ONLY:-}" ]; then
	db=clients_cli
	run -e "DROP DATABASE IF EXISTS $db; CREATE DATABASE $db"
	run "$db" <<-'SQL'
		CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2), born DATE, seen DATETIME(3),
			ratio DOUBLE, big BIGINT UNSIGNED);
		INSERT INTO t VALUES (1, 'Zoë''s', 12.34, '2024-02-29', '2024-02-29 12:30:15.123', 0.5, 18446744073709551615),
			(2, NULL, NULL, NULL, NULL, NULL, NULL);
	SQL
	same "$(run "$db" -e 'SELECT * FROM t ORDER BY id' | tr '\t' ' ')" \
		"1 Zoë's 12.34 2024-02-29 2024-02-29 12:30:15.123 0.5 18446744073709551615
2 NULL NULL NULL NULL NULL NULL"
	same "$(run "$db" -e "SELECT price FROM t WHERE name = 'Zoë''s' AND ratio < 1")" 12.34
	fails 1062 "INSERT INTO $db.t (id) VALUES (1)"
	fails 1146 "SELECT * FROM $db.missing"
	fails 1064 "SELEC 1"
	fails 1049 "USE ${db}_missing"
	run -e "DROP DATABASE $db"
fi
echo ok
