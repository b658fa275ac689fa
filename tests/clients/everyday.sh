#!/bin/sh
# Everyday use of the mariadb command line tools against Stele, mariadb-dump and the reload of its dump above all; see
# stack.go for the contract of these scripts.
set -u

db=everyday_cli
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
if [ -n "${STELE_TLS:-}" ]; then tls=--ssl; else tls=--skip-ssl; fi
export MYSQL_PWD="$STELE_PASSWORD"

tool() {
	name=$1
	shift
	"$name" --no-defaults -h "$STELE_HOST" -P "$STELE_PORT" --protocol=tcp -u "$STELE_USER" $tls "$@"
}
run() { tool mariadb --default-character-set=utf8mb4 --batch --skip-column-names "$@"; }
same() {
	[ "$1" = "$2" ] && return 0
	printf 'got %s, want %s' "$1" "$2" | tr '\n' ' '
	return 1
}

# Each case prints why it fails, and fails.
schema() {
	run -e "DROP DATABASE IF EXISTS $db; CREATE DATABASE $db" || return 1
	run "$db" <<-'SQL'
		CREATE TABLE items (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, name VARCHAR(60) NOT NULL DEFAULT 'none' COMMENT 'it''s', price DECIMAL(10,2),
			born DATE, seen DATETIME(3) DEFAULT CURRENT_TIMESTAMP(3), big BIGINT UNSIGNED, ratio DOUBLE, body TEXT, raw BLOB, doc JSON) COMMENT='all of them';
		INSERT INTO items VALUES (1, 'Zoë''s 🦀 \\ "q"', 12.34, '2024-02-29', '2024-02-29 12:30:15.123', 18446744073709551615, 0.5, 'a\nb\tc', x'00FF275C', '{"a": 1}'),
			(7, '', NULL, NULL, '2024-01-01', NULL, NULL, NULL, NULL, NULL);
		CREATE TABLE pairs (a INT, b VARCHAR(10), v INT, PRIMARY KEY (a, b)) PARTITION BY RANGE (a) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE);
		INSERT INTO pairs VALUES (1, 'x', 1), (20, 'y', NULL);
		CREATE TABLE empty_one (id INT PRIMARY KEY);
		SET sql_mode = '';
		CREATE TABLE zeros (id INT PRIMARY KEY, d DATE NOT NULL DEFAULT '0000-00-00', t DATETIME NOT NULL DEFAULT 0, s TIMESTAMP NOT NULL DEFAULT 0);
		INSERT INTO zeros VALUES (1, 0, 0, 0), (2, '0000-00-00', '0000-00-00 12:00:00', '2024-01-01');
	SQL
}
facts() {
	run "$1" -e "SELECT id, name, price, born, seen, big, ratio, body, HEX(raw), doc FROM items ORDER BY id; SELECT * FROM pairs ORDER BY a; SELECT COUNT(*) FROM empty_one; SELECT * FROM zeros ORDER BY id"
}
# dump_and_reload OPTION...: the reload must hold what was dumped.
dump_and_reload() {
	tool mariadb-dump "$@" "$db" >"$tmp/dump.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	[ -s "$tmp/err" ] && { tr '\n' ' ' <"$tmp/err"; return 1; }
	run -e "DROP DATABASE IF EXISTS ${db}_back; CREATE DATABASE ${db}_back" || return 1
	run "${db}_back" <"$tmp/dump.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	same "$(facts "${db}_back")" "$(facts "$db")" || return 1
	run "${db}_back" -e "INSERT INTO items (price) VALUES (1)" || return 1
	same "$(run "${db}_back" -e 'SELECT COUNT(*) FROM items WHERE id > 7')" 1
}
dump_plain() { dump_and_reload; }
dump_single_transaction() { dump_and_reload --single-transaction --quick; }
# without_locks: what a dump leaves out for a server that has neither table locks, nor tablespaces, nor indexes to switch off.
without_locks="--no-tablespaces --skip-lock-tables --skip-add-locks --skip-disable-keys"
dump_without_locks() { dump_and_reload $without_locks; }
dump_tablespaces() { dump_and_reload --skip-lock-tables --skip-add-locks --skip-disable-keys; }
dump_skip_opt() { dump_and_reload --no-tablespaces --skip-opt --create-options; }
dump_everything() { dump_and_reload $without_locks --routines --events --triggers --hex-blob; }
dump_replace() { dump_and_reload $without_locks --replace --complete-insert --skip-extended-insert; }
dump_databases() {
	tool mariadb-dump $without_locks --databases "$db" >"$tmp/dump.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	before=$(facts "$db")
	run <"$tmp/dump.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	same "$(facts "$db")" "$before"
}
dump_all_databases() {
	tool mariadb-dump --all-databases >"$tmp/all.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	before=$(facts "$db")
	run -e "DROP DATABASE $db"
	run <"$tmp/all.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	same "$(facts "$db")" "$before"
}
dump_where() {
	tool mariadb-dump $without_locks --no-create-info --where='id > 5' "$db" items >"$tmp/dump.sql" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	same "$(grep -c 'INSERT INTO' "$tmp/dump.sql")" 1
}
dump_xml() { tool mariadb-dump $without_locks --xml "$db" >"$tmp/dump.xml" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }; }
show() { same "$(tool mariadb-show "$db" 2>&1 | grep -c 'items\|pairs\|empty_one')" 3 && tool mariadb-show --keys "$db" items >"$tmp/show" 2>&1 || { tr '\n' ' ' <"$tmp/show"; return 1; }; }
admin() {
	for c in ping status version processlist extended-status variables; do
		tool mariadb-admin $c >"$tmp/out" 2>&1 || { echo "$c: $(tr '\n' ' ' <"$tmp/out")"; return 1; }
	done
}
check() { tool mariadb-check "$db" >"$tmp/out" 2>&1 || { tr '\n' ' ' <"$tmp/out"; return 1; }; ! grep -i error "$tmp/out"; }
auto_rehash() { printf 'SELECT 1;\nstatus\n' | tool mariadb --auto-rehash --force "$db" >"$tmp/out" 2>&1 || { tr '\n' ' ' <"$tmp/out"; return 1; }; }
vertical() { same "$(tool mariadb -E "$db" -e 'SELECT id FROM pairs, items WHERE a = 1 AND id = 7' 2>&1 | tail -1)" 'id: 7'; }
column_types() { same "$(tool mariadb -t --column-type-info "$db" -e 'SELECT id FROM items LIMIT 1' 2>&1 | grep -c 'LONG\|PRI_KEY')" 2; }
quick() { same "$(run --quick "$db" -e 'SELECT COUNT(*) FROM items')" 2; }
delimiter() { same "$(printf 'DELIMITER //\nSELECT 1//\nDELIMITER ;\nSELECT 2;\n' | run | tr '\n' ' ')" '1 2 '; }
safe_updates() { run --safe-updates "$db" -e 'SELECT 1' >/dev/null 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }; }
load_data() {
	printf '1\n2\n' >"$tmp/in.txt"
	run --local-infile=1 "$db" -e "LOAD DATA LOCAL INFILE '$tmp/in.txt' INTO TABLE empty_one" 2>"$tmp/err" || { tr '\n' ' ' <"$tmp/err"; return 1; }
	same "$(run "$db" -e 'SELECT COUNT(*) FROM empty_one')" 2
}
import() {
	printf '11\n12\n' >"$tmp/empty_one.txt"
	tool mariadb-import --local "$db" "$tmp/empty_one.txt" >"$tmp/out" 2>&1 || { tr '\n' ' ' <"$tmp/out"; return 1; }
}

for case in schema dump_plain dump_single_transaction dump_without_locks dump_tablespaces dump_skip_opt dump_everything dump_replace dump_databases \
	dump_all_databases dump_where dump_xml show admin check auto_rehash vertical column_types quick delimiter safe_updates load_data import; do
	if why=$($case 2>&1); then echo "pass $case"; else echo "FAIL $case: $(echo "$why" | tr '\n' ' ')"; fi
done
run -e "DROP DATABASE IF EXISTS $db; DROP DATABASE IF EXISTS ${db}_back"
echo ok
