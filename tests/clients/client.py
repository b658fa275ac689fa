"""PyMySQL against Stele; see stack.go for the contract of these scripts."""
import datetime
import decimal
import os
import ssl

import pymysql

tls = None
if os.environ.get("STELE_TLS"):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
conn = pymysql.connect(
    host=os.environ["STELE_HOST"], port=int(os.environ["STELE_PORT"]), user=os.environ["STELE_USER"],
    password=os.environ["STELE_PASSWORD"], ssl=tls, ssl_disabled=tls is None, autocommit=True,
)
cur = conn.cursor()


def code_of(sql):
    try:
        cur.execute(sql)
    except pymysql.MySQLError as e:
        return e.args[0]
    return 0


cur.execute("SELECT 1")
assert str(cur.fetchone()[0]) == "1"
if not os.environ.get("STELE_LOGIN_ONLY"):
    db = "clients_python"
    cur.execute(f"DROP DATABASE IF EXISTS {db}")
    cur.execute(f"CREATE DATABASE {db}")
    conn.select_db(db)
    cur.execute(
        "CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2), born DATE, seen DATETIME(3),"
        " ratio DOUBLE, big BIGINT UNSIGNED, data VARBINARY(20))"
    )
    n = cur.execute(
        "INSERT INTO t VALUES (%s, %s, %s, %s, %s, %s, %s, %s), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        (1, "Zoë's", decimal.Decimal("12.34"), datetime.date(2024, 2, 29),
         datetime.datetime(2024, 2, 29, 12, 30, 15, 123000), 0.5, 2**64 - 1, b"\x00\xff"),
    )
    assert n == 2, n
    cur.execute("SELECT name, price, born, seen, ratio, big, data FROM t WHERE id = %s", (1,))
    row = cur.fetchone()
    want = ("Zoë's", decimal.Decimal("12.34"), datetime.date(2024, 2, 29),
            datetime.datetime(2024, 2, 29, 12, 30, 15, 123000), 0.5, 2**64 - 1, b"\x00\xff")
    assert row == want, row
    cur.execute("SELECT name, price, big FROM t WHERE id = 2")
    assert cur.fetchone() == (None, None, None)
    assert code_of("INSERT INTO t (id) VALUES (1)") == 1062
    assert code_of("SELECT * FROM missing") == 1146
    assert code_of("SELEC 1") == 1064
    conn.begin()
    cur.execute("DELETE FROM t WHERE id = 1")
    conn.rollback()
    cur.execute("SELECT COUNT(*) FROM t")
    assert cur.fetchone()[0] == 2
    cur.execute(f"DROP DATABASE {db}")
conn.ping()
conn.close()
print("ok")
