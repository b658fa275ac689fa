"""Everyday use of PyMySQL against Stele; see stack.go for the contract of these scripts."""
import datetime
import decimal
import os
import ssl
import threading
import time
import traceback

import pymysql
from pymysql.constants import CLIENT
from pymysql.cursors import DictCursor, SSCursor

DB = "everyday_python"


def connect(**more):
    tls = None
    if os.environ.get("STELE_TLS"):
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    args = dict(host=os.environ["STELE_HOST"], port=int(os.environ["STELE_PORT"]), user=os.environ["STELE_USER"],
                password=os.environ["STELE_PASSWORD"], ssl=tls, ssl_disabled=tls is None, database=DB)
    args.update(more)
    return pymysql.connect(**args)


def same(got, want, what=""):
    if got != want:
        raise AssertionError(f"{what}: got {got!r}, want {want!r}")


def fails(code, cls, run):
    try:
        run()
    except cls as e:
        same(e.args[0], code, "error")
        return e
    except pymysql.MySQLError as e:
        raise AssertionError(f"got {e!r}, want a {cls.__name__}") from e
    raise AssertionError(f"no error {code}")


def rows(conn, sql, args=None):
    with conn.cursor() as cur:
        cur.execute(sql, args)
        return cur.fetchall()


def commit_and_rollback():
    a, b = connect(), connect()  # without autocommit, as PyMySQL does
    rows(a, "CREATE TABLE tx (id INT PRIMARY KEY, v INT)")
    rows(a, "INSERT INTO tx VALUES (1, 1), (2, 2)")
    same(rows(b, "SELECT COUNT(*) FROM tx"), ((0,),), "seen before the commit")
    a.commit()
    b.rollback()
    same(rows(b, "SELECT COUNT(*) FROM tx"), ((2,),), "seen after the commit")
    rows(a, "UPDATE tx SET v = 10 WHERE id = 1")
    same(rows(a, "SELECT v FROM tx WHERE id = 1"), ((10,),), "own write")
    a.rollback()
    same(rows(a, "SELECT v FROM tx WHERE id = 1"), ((1,),), "after the rollback")
    same(a.get_autocommit(), False, "autocommit of the server")
    a.autocommit(True)
    rows(a, "DELETE FROM tx WHERE id = 2")
    b.rollback()
    same(rows(b, "SELECT id FROM tx"), ((1,),), "autocommitted")
    a.close()
    b.close()


def connect_options():
    for charset in ("utf8mb4", "utf8", "latin1"):
        c = connect(charset=charset)
        same(rows(c, "SELECT DATABASE()"), ((DB,),), charset)
        c.close()
    c = connect(init_command="SET time_zone = '+02:00'", sql_mode="TRADITIONAL", connect_timeout=5, read_timeout=30)
    same(rows(c, "SELECT @@time_zone"), (("+02:00",),), "init_command")
    c.close()
    fails(1049, pymysql.err.OperationalError, lambda: connect(database="everyday_missing"))
    fails(1045, pymysql.err.OperationalError, lambda: connect(user="nobody", password="x", database=None))


def executemany_and_ids():
    c = connect()
    cur = c.cursor()
    cur.execute("CREATE TABLE auto_ids (id BIGINT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(40))")
    same(cur.executemany("INSERT INTO auto_ids (name) VALUES (%s)", [(f"n{i}",) for i in range(3000)]), 3000)
    first = cur.lastrowid
    if not first:
        raise AssertionError("no lastrowid")
    cur.execute("INSERT INTO auto_ids (name) VALUES ('last')")
    same(rows(c, "SELECT LAST_INSERT_ID()"), ((cur.lastrowid,),), "LAST_INSERT_ID()")
    same(rows(c, "SELECT id FROM auto_ids WHERE name = 'last'"), ((cur.lastrowid,),), "generated key")
    cur.executemany("UPDATE auto_ids SET name = %s WHERE id = %s", [("x", first), ("y", first + 1)])
    same(cur.rowcount, 2, "rowcount of executemany")
    c.commit()
    c.close()


VALUES = (-128, 255, -32768, 2**24 - 1, -(2**31), 2**63 - 1, 2**64 - 1, 1.5, -2.25e100, decimal.Decimal("-12345678.1234"),
          datetime.date(1000, 1, 1), datetime.datetime(9999, 12, 31, 23, 59, 59, 999999), datetime.timedelta(hours=838, minutes=59, seconds=59),
          2024, "fix", "Zoë 🦀 日本 '\"\\%", "🦀" * 5000, b"\x00\x01\xfe\xff'\\", bytes(range(256)) * 100, True)


def all_types():
    c = connect()
    rows(c, "CREATE TABLE kinds (id INT PRIMARY KEY, a TINYINT, b TINYINT UNSIGNED, c SMALLINT, d MEDIUMINT UNSIGNED, e INT,"
            " f BIGINT, g BIGINT UNSIGNED, h FLOAT, i DOUBLE, j DECIMAL(20,4), k DATE, l DATETIME(6), m TIME, n YEAR,"
            " o CHAR(10), p VARCHAR(100), q TEXT, r VARBINARY(20), s BLOB, t BOOLEAN)")
    marks = ", ".join(["%s"] * (len(VALUES) + 1))
    rows(c, f"INSERT INTO kinds VALUES ({marks})", (1,) + VALUES)
    rows(c, f"INSERT INTO kinds VALUES ({marks})", (2,) + (None,) * len(VALUES))
    c.commit()
    got = rows(c, "SELECT a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t FROM kinds ORDER BY id")
    for i, (g, w) in enumerate(zip(got[0], VALUES)):
        same(g, w, f"column {i}")
    same(got[1], (None,) * len(VALUES), "NULLs")
    same(rows(c, "SELECT p FROM kinds WHERE p = %s", (VALUES[15],)), ((VALUES[15],),), "found by its text")
    c.close()


def json_and_enum():
    c = connect()
    rows(c, "CREATE TABLE docs (id INT PRIMARY KEY, doc JSON)")
    rows(c, "INSERT INTO docs VALUES (1, %s)", ('{"a": [1, "🦀"]}',))
    same(rows(c, "SELECT doc FROM docs"), (('{"a": [1, "🦀"]}',),), "JSON")
    c.close()


def streaming():
    c = connect(cursorclass=SSCursor)
    big_table(c)
    cur = c.cursor()
    cur.execute("SELECT id, pad FROM big")
    n, total = 0, 0
    for row in cur.fetchall_unbuffered():
        n += 1
        total += row[0]
    same((n, total), (300000, 299999 * 300000 // 2), "rows of a stream")
    cur.close()
    cur = c.cursor()
    cur.execute("SELECT id FROM big")
    same(len(cur.fetchmany(10)), 10)
    cur.close()  # reads the rest
    c.ping(reconnect=False)
    c.close()


big_lock = threading.Lock()


def big_table(c):
    """300 000 rows, made once."""
    with big_lock, c.cursor(pymysql.cursors.Cursor) as cur:
        cur.execute("CREATE TABLE IF NOT EXISTS big (id INT PRIMARY KEY, pad VARCHAR(40))")
        cur.execute("SELECT COUNT(*) FROM big")
        if cur.fetchone()[0]:
            return
        for at in range(0, 300000, 10000):
            cur.execute("INSERT INTO big VALUES " + ",".join(f"({i},'row number {i}')" for i in range(at, at + 10000)))
        c.commit()


def large_result():
    c = connect()
    big_table(c)
    got = rows(c, "SELECT id, pad FROM big ORDER BY id DESC")
    same(len(got), 300000)
    same(got[0], (299999, "row number 299999"))
    c.close()


def dict_cursor():
    c = connect(cursorclass=DictCursor)
    same(rows(c, "SELECT 1 AS a, 'x' AS `b c`, NULL AS d"), [{"a": 1, "b c": "x", "d": None}])
    c.close()


def errors():
    c = connect()
    rows(c, "CREATE TABLE err (id INT PRIMARY KEY, v TINYINT NOT NULL, s VARCHAR(3))")
    rows(c, "INSERT INTO err VALUES (1, 1, 'a')")
    c.commit()
    e = fails(1062, pymysql.err.IntegrityError, lambda: rows(c, "INSERT INTO err VALUES (1, 1, 'a')"))
    if "Duplicate entry '1' for key" not in str(e.args[1]):
        raise AssertionError(f"text of the duplicate: {e}")
    fails(1064, pymysql.err.ProgrammingError, lambda: rows(c, "SELEC 1"))
    fails(1146, pymysql.err.ProgrammingError, lambda: rows(c, "SELECT * FROM missing"))
    fails(1054, pymysql.err.OperationalError, lambda: rows(c, "SELECT missing FROM err"))
    fails(1048, pymysql.err.IntegrityError, lambda: rows(c, "INSERT INTO err VALUES (2, NULL, 'a')"))
    fails(1364, pymysql.err.OperationalError, lambda: rows(c, "INSERT INTO err (id) VALUES (2)"))
    fails(1264, pymysql.err.DataError, lambda: rows(c, "INSERT INTO err VALUES (2, 1000, 'a')"))
    fails(1406, pymysql.err.DataError, lambda: rows(c, "INSERT INTO err VALUES (2, 1, 'abcd')"))
    fails(1366, pymysql.err.DataError, lambda: rows(c, "INSERT INTO err VALUES (2, 'x', 'a')"))
    fails(1136, pymysql.err.OperationalError, lambda: rows(c, "INSERT INTO err VALUES (2)"))
    fails(1050, pymysql.err.OperationalError, lambda: rows(c, "CREATE TABLE err (id INT PRIMARY KEY)"))
    fails(1007, pymysql.err.ProgrammingError, lambda: rows(c, f"CREATE DATABASE {DB}"))
    fails(1049, pymysql.err.OperationalError, lambda: c.select_db("missing"))
    fails(1008, pymysql.err.OperationalError, lambda: rows(c, "DROP DATABASE missing"))
    fails(1065, pymysql.err.OperationalError, lambda: rows(c, ""))
    fails(1305, pymysql.err.OperationalError, lambda: rows(c, "SELECT no_such_function(1)"))
    fails(1052, pymysql.err.OperationalError, lambda: rows(c, "SELECT id FROM err a JOIN err b ON a.id = b.id"))
    same(rows(c, "SELECT COUNT(*) FROM err"), ((1,),), "rows after the errors")
    c.close()


def drop_missing_table():
    c = connect()
    fails(1051, pymysql.err.OperationalError, lambda: rows(c, "DROP TABLE missing"))
    c.close()


def strict_cast():
    c = connect()
    rows(c, "CREATE TABLE casts (id INT PRIMARY KEY, d DATE)")
    fails(1292, pymysql.err.OperationalError, lambda: rows(c, "INSERT INTO casts SELECT 3, CAST('x' AS DATE)"))
    c.close()


def savepoints():
    c = connect()
    rows(c, "CREATE TABLE sp (id INT PRIMARY KEY)")
    for sql in ("INSERT INTO sp VALUES (1)", "SAVEPOINT sa_1", "INSERT INTO sp VALUES (2)", "ROLLBACK TO SAVEPOINT sa_1", "RELEASE SAVEPOINT sa_1", "COMMIT"):
        rows(c, sql)
    same(rows(c, "SELECT id FROM sp"), ((1,),))
    c.close()


def transaction_conflict():
    a, b = connect(), connect()
    rows(a, "CREATE TABLE clash (id INT PRIMARY KEY, v INT)")
    rows(a, "INSERT INTO clash VALUES (1, 0)")
    a.commit()
    rows(a, "SELECT * FROM clash")
    rows(b, "SELECT * FROM clash")
    rows(a, "UPDATE clash SET v = v + 1")
    a.commit()

    def lost():
        rows(b, "UPDATE clash SET v = v + 1")
        b.commit()
    fails(1213, pymysql.err.OperationalError, lost)
    b.rollback()
    same(rows(b, "SELECT v FROM clash"), ((1,),), "after the conflict")
    a.close()
    b.close()


def multi_statements():
    c = connect(client_flag=CLIENT.MULTI_STATEMENTS)
    cur = c.cursor()
    cur.execute("SELECT 1; SELECT 2, 3; SET @x = 1; SELECT 'end'")
    got = [cur.fetchall()]
    while cur.nextset():
        got.append(cur.fetchall())
    same(got, [((1,),), ((2, 3),), (), (("end",),)])
    cur.execute("SELECT 1; SELECT * FROM missing; SELECT 3")
    fails(1146, pymysql.err.ProgrammingError, cur.nextset)
    c.ping(reconnect=False)
    c.close()
    c = connect()
    fails(1064, pymysql.err.ProgrammingError, lambda: rows(c, "SELECT 1; SELECT 2"))
    c.close()


def found_rows():
    c = connect(client_flag=0)
    rows(c, "CREATE TABLE found (id INT PRIMARY KEY, v INT)")
    rows(c, "INSERT INTO found VALUES (1, 1)")
    c.commit()
    with c.cursor() as cur:
        same(cur.execute("UPDATE found SET v = 1 WHERE id = 1"), 0, "changed rows")
        same(cur.execute("INSERT INTO found VALUES (1, 2) ON DUPLICATE KEY UPDATE v = 2"), 2, "upsert that changes")
        same(cur.execute("REPLACE INTO found VALUES (1, 3)"), 2, "replace")
        same(cur.execute("INSERT IGNORE INTO found VALUES (1, 9)"), 0, "ignored")
    c.close()
    c = connect(client_flag=CLIENT.FOUND_ROWS)
    with c.cursor() as cur:
        same(cur.execute("UPDATE found SET v = v WHERE id = 1"), 1, "found rows")
    c.close()


def kill_query():
    a, b = connect(), connect()
    big_table(b)
    got = []

    def slow():
        try:
            got.append(rows(a, "SELECT COUNT(*) FROM big a JOIN big b ON a.id % 1000 = b.id % 1000 WHERE a.pad < b.pad"))
        except pymysql.MySQLError as e:
            got.append(e.args[0])
    t = threading.Thread(target=slow)
    t.start()
    me = a.thread_id()
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and t.is_alive():
        running = [r for r in rows(b, "SHOW PROCESSLIST") if r[0] == me and r[4] == "Query"]
        if running:
            break
    rows(b, f"KILL QUERY {me}")
    t.join(30)
    same(t.is_alive(), False, "still running")
    same(got, [1317], "answer of the killed query")
    same(rows(a, "SELECT 1"), ((1,),), "connection after KILL QUERY")
    b.kill(me)
    try:  # the statement may arrive before the connection ends: then it is interrupted first
        rows(a, "SELECT 1")
        raise AssertionError("a killed connection answers")
    except pymysql.err.OperationalError as e:
        same(e.args[0] in (1317, 2006, 2013), True, f"answer of a killed connection: {e}")
    fails(1094, pymysql.err.OperationalError, lambda: rows(b, "KILL 4000000000"))
    b.close()


def statement_timeout():
    c = connect()
    big_table(c)
    rows(c, "SET SESSION max_execution_time = 100")
    fails(3024, pymysql.err.OperationalError,
          lambda: rows(c, "SELECT COUNT(*) FROM big a JOIN big b ON a.id % 1000 = b.id % 1000 WHERE a.pad < b.pad"))
    same(rows(c, "SELECT 1"), ((1,),))
    c.close()


def sleep_function():
    c = connect()
    same(rows(c, "SELECT SLEEP(0.1)"), ((0,),))
    c.close()


def big_packets():
    c = connect(max_allowed_packet=64 << 20)
    rows(c, "CREATE TABLE fat (id INT PRIMARY KEY, body LONGTEXT)")
    body = "x" * (17 << 20)  # more than one packet of the protocol
    with c.cursor() as cur:
        cur.execute("SELECT %s AS v", (body,))
        same(len(cur.fetchone()[0]), len(body), "echo of 17 MiB")
    text = "y" * (1 << 20)
    rows(c, "INSERT INTO fat VALUES (1, %s)", (text,))
    same(rows(c, "SELECT body FROM fat")[0][0], text, "row of 1 MiB")
    c.close()


def too_big_packet():
    c = connect()
    limit = int(rows(c, "SELECT @@max_allowed_packet")[0][0])
    try:
        rows(c, "SELECT '" + "x" * limit + "'")
    except pymysql.MySQLError as e:
        if e.args[0] not in (1153, 2006, 2013):
            raise
    else:
        raise AssertionError("accepted more than max_allowed_packet")
    c.close()


def warnings():
    c = connect()
    rows(c, "CREATE TABLE warn (id INT PRIMARY KEY)")
    rows(c, "CREATE TABLE IF NOT EXISTS warn (id INT PRIMARY KEY)")
    same([r[1] for r in c.show_warnings()], [1050], "note of IF NOT EXISTS")
    rows(c, "DROP TABLE IF EXISTS warn, warn2")
    same([r[1] for r in rows(c, "SHOW WARNINGS")], [1051], "note of IF EXISTS")
    c.close()


def introspection():
    c = connect()
    rows(c, "CREATE TABLE intro (id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, v DECIMAL(8,2) DEFAULT 1.50 COMMENT 'price', w VARCHAR(9) NOT NULL)")
    same(rows(c, "DESCRIBE intro"), (("id", "int", "NO", "PRI", None, "auto_increment"), ("v", "decimal(8,2)", "YES", "", "1.50", ""),
                                     ("w", "varchar(9)", "NO", "", None, "")))
    same([r[0] for r in rows(c, "SHOW TABLES LIKE 'intro'")], ["intro"])
    same(rows(c, "SHOW FULL TABLES LIKE 'intro'"), (("intro", "BASE TABLE"),))
    same([r[0] for r in rows(c, "SHOW FULL COLUMNS FROM intro")], ["id", "v", "w"])
    same(rows(c, "SHOW INDEX FROM intro")[0][2:5], ("PRIMARY", 1, "id"))
    if "CREATE TABLE `intro`" not in rows(c, "SHOW CREATE TABLE intro")[0][1]:
        raise AssertionError("SHOW CREATE TABLE")
    if "CREATE DATABASE" not in rows(c, f"SHOW CREATE DATABASE {DB}")[0][1]:
        raise AssertionError("SHOW CREATE DATABASE")
    for sql in ("SHOW VARIABLES LIKE 'sql_mode'", "SHOW SESSION VARIABLES LIKE 'lower_case%'", "SHOW GLOBAL STATUS", "SHOW ENGINES",
                "SHOW COLLATION", "SHOW CHARACTER SET", "SHOW DATABASES", "SHOW TABLE STATUS", "SHOW FULL PROCESSLIST", "SHOW GRANTS",
                "SELECT @@version, @@version_comment, VERSION(), CURRENT_USER(), USER(), CONNECTION_ID()",
                "SHOW VARIABLES WHERE Variable_name IN ('sql_mode', 'autocommit')", "SELECT @@GLOBAL.time_zone, @@session.tx_isolation"):
        if not rows(c, sql):
            raise AssertionError(f"{sql}: no rows")
    for sql in ("SHOW TRIGGERS", "SHOW EVENTS", "SHOW PROCEDURE STATUS", "SHOW FUNCTION STATUS", "SHOW OPEN TABLES", "SHOW PLUGINS"):
        try:
            rows(c, sql)
        except pymysql.MySQLError as e:
            raise AssertionError(f"{sql}: {e}") from e
    c.close()


def reconnect_and_ping():
    c = connect()
    c.ping()
    c.select_db(DB)
    c.close()
    c.ping(reconnect=True)
    same(rows(c, "SELECT 1"), ((1,),))
    c.close()


def sqlalchemy_connect():
    """What SQLAlchemy sends at its first connect, and its reflection."""
    c = connect()
    for sql in ("SELECT DATABASE()", "SELECT @@transaction_isolation", "SHOW VARIABLES LIKE 'sql_mode'", "SHOW VARIABLES LIKE 'lower_case_table_names'",
                "SELECT VERSION()", "SELECT CAST('test plain returns' AS CHAR(60)) AS anon_1", "SELECT CAST('test unicode returns' AS CHAR(60)) AS anon_1",
                "SELECT CAST('test collated returns' AS CHAR CHARACTER SET utf8mb4) COLLATE utf8mb4_bin AS anon_1",
                f"SHOW FULL TABLES FROM `{DB}`", "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET NAMES utf8mb4",
                f"SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = '{DB}' AND table_name = 'x'",
                "SELECT @@lower_case_table_names", "START TRANSACTION", "COMMIT"):
        try:
            rows(c, sql)
        except pymysql.MySQLError as e:
            raise AssertionError(f"{sql}: {e}") from e
    c.close()


def locking_reads():
    c = connect()
    rows(c, "CREATE TABLE locks (id INT PRIMARY KEY)")
    rows(c, "SELECT * FROM locks WHERE id = 1 FOR UPDATE")
    c.close()


def main():
    c = connect(database=None, autocommit=True)
    rows(c, f"DROP DATABASE IF EXISTS {DB}")
    rows(c, f"CREATE DATABASE {DB} DEFAULT CHARACTER SET utf8mb4")
    for case in (commit_and_rollback, connect_options, executemany_and_ids, all_types, json_and_enum, streaming, large_result, dict_cursor,
                 errors, drop_missing_table, strict_cast, savepoints, transaction_conflict, multi_statements, found_rows, kill_query, statement_timeout, sleep_function, big_packets, too_big_packet, warnings,
                 introspection, reconnect_and_ping, sqlalchemy_connect, locking_reads):
        start = time.monotonic()
        try:
            case()
            print(f"pass {case.__name__} {time.monotonic() - start:.1f}s", flush=True)
        except Exception as e:  # every case is told
            at = traceback.extract_tb(e.__traceback__)[1]
            print(f"FAIL {case.__name__}: line {at.lineno}: {type(e).__name__}: {e}".replace("\n", " "), flush=True)
    rows(c, f"DROP DATABASE {DB}")
    c.close()
    print("ok")


main()
