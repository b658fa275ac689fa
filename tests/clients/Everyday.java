import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.sql.*;
import java.time.*;
import java.util.*;

/** Everyday use of MariaDB Connector/J against Stele; see stack.go for the contract of these scripts. */
public class Everyday {
    static final String DB = "everyday_java";

    interface Case {
        void run() throws Exception;
    }

    static Connection connect(String db, String... options) throws SQLException {
        String url = "jdbc:mariadb://" + System.getenv("STELE_HOST") + ":" + System.getenv("STELE_PORT") + "/" + db;
        Properties p = new Properties();
        p.setProperty("user", System.getenv("STELE_USER"));
        p.setProperty("password", System.getenv("STELE_PASSWORD"));
        p.setProperty("allowPublicKeyRetrieval", "true");
        if (!System.getenv().getOrDefault("STELE_TLS", "").isEmpty()) {
            p.setProperty("useSsl", "true");
            p.setProperty("trustServerCertificate", "true");
        }
        for (int i = 0; i < options.length; i += 2) {
            p.setProperty(options[i], options[i + 1]);
        }
        return DriverManager.getConnection(url, p);
    }

    static void same(Object got, Object want, String what) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }

    static void exec(Connection c, String... statements) throws SQLException {
        try (Statement st = c.createStatement()) {
            for (String sql : statements) {
                st.execute(sql);
            }
        }
    }

    static String one(Connection c, String sql) throws SQLException {
        try (Statement st = c.createStatement(); ResultSet rs = st.executeQuery(sql)) {
            return rs.next() ? rs.getString(1) : "no row";
        }
    }

    static void fails(int code, String state, Connection c, String sql) throws SQLException {
        try {
            exec(c, sql);
        } catch (SQLException e) {
            same(e.getErrorCode() + "/" + e.getSQLState(), code + "/" + state, sql);
            return;
        }
        throw new AssertionError(sql + ": no error " + code);
    }

    /** The values of one column of a metadata result. */
    static List<String> column(ResultSet rs, String name) throws SQLException {
        List<String> out = new ArrayList<>();
        try (rs) {
            while (rs.next()) {
                out.add(rs.getString(name));
            }
        }
        return out;
    }

    static void allTypes(String prepared) throws Exception {
        try (Connection c = connect(DB, "useServerPrepStmts", prepared)) {
            exec(c, "DROP TABLE IF EXISTS kinds", "CREATE TABLE kinds (id INT PRIMARY KEY, a TINYINT, b SMALLINT, c INT UNSIGNED, d BIGINT, e BIGINT UNSIGNED,"
                + " f FLOAT, g DOUBLE, h DECIMAL(30,10), i DATE, j DATETIME(6), k TIMESTAMP(3), l TIME(3), m YEAR, n CHAR(5),"
                + " o VARCHAR(100), p LONGTEXT, q VARBINARY(10), r LONGBLOB, s BOOLEAN, t JSON)");
            byte[] blob = new byte[100000];
            new Random(1).nextBytes(blob);
            LocalDateTime dt = LocalDateTime.of(2024, 2, 29, 23, 59, 59, 123456000);
            try (PreparedStatement st = c.prepareStatement("INSERT INTO kinds VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)")) {
                st.setInt(1, 1);
                st.setByte(2, (byte) -128);
                st.setShort(3, (short) -32768);
                st.setLong(4, 4294967295L);
                st.setLong(5, Long.MIN_VALUE);
                st.setObject(6, new BigInteger("18446744073709551615"));
                st.setFloat(7, 1.5f);
                st.setDouble(8, -1e100);
                st.setBigDecimal(9, new BigDecimal("-12345678901234567890.0123456789"));
                st.setObject(10, LocalDate.of(1000, 1, 1));
                st.setObject(11, dt);
                st.setTimestamp(12, Timestamp.valueOf("2024-02-29 12:30:15.123"));
                st.setObject(13, LocalTime.of(23, 59, 59, 123000000));
                st.setInt(14, 2024);
                st.setString(15, "fix");
                st.setString(16, "Zo\u00eb \ud83e\udd80 \u65e5\u672c '\"\\%");
                st.setCharacterStream(17, new java.io.StringReader("\ud83e\udd80".repeat(5000)));
                st.setBytes(18, new byte[] {0, -1, 39, 92});
                st.setBinaryStream(19, new java.io.ByteArrayInputStream(blob));
                st.setBoolean(20, true);
                st.setString(21, "{\"a\": [1, 2]}");
                same(st.executeUpdate(), 1, "inserted");
                st.setInt(1, 2);
                for (int i = 2; i <= 21; i++) {
                    st.setNull(i, Types.NULL);
                }
                same(st.executeUpdate(), 1, "inserted NULLs");
            }
            try (PreparedStatement st = c.prepareStatement("SELECT * FROM kinds WHERE id = ?")) {
                st.setInt(1, 1);
                try (ResultSet rs = st.executeQuery()) {
                    same(rs.next(), true, "a row");
                    same(rs.getByte("a"), (byte) -128, "tinyint");
                    same(rs.getShort("b"), (short) -32768, "smallint");
                    same(rs.getLong("c"), 4294967295L, "int unsigned");
                    same(rs.getLong("d"), Long.MIN_VALUE, "bigint");
                    same(rs.getObject("e"), new BigInteger("18446744073709551615"), "bigint unsigned");
                    same(rs.getFloat("f"), 1.5f, "float");
                    same(rs.getDouble("g"), -1e100, "double");
                    same(rs.getBigDecimal("h"), new BigDecimal("-12345678901234567890.0123456789"), "decimal");
                    same(rs.getObject("i", LocalDate.class), LocalDate.of(1000, 1, 1), "date");
                    same(rs.getObject("j", LocalDateTime.class), dt, "datetime");
                    same(rs.getTimestamp("k"), Timestamp.valueOf("2024-02-29 12:30:15.123"), "timestamp");
                    same(rs.getObject("l", LocalTime.class), LocalTime.of(23, 59, 59, 123000000), "time");
                    same(rs.getInt("m"), 2024, "year");
                    same(rs.getString("n"), "fix", "char");
                    same(rs.getString("o"), "Zo\u00eb \ud83e\udd80 \u65e5\u672c '\"\\%", "varchar");
                    same(rs.getString("p").length(), 10000, "text");
                    same(Arrays.toString(rs.getBytes("q")), "[0, -1, 39, 92]", "varbinary");
                    same(Arrays.equals(rs.getBytes("r"), blob), true, "blob");
                    same(rs.getBoolean("s"), true, "boolean");
                    same(rs.getString("t"), "{\"a\": [1, 2]}", "json");
                    resultMetaData(rs.getMetaData());
                }
                st.setInt(1, 2);
                try (ResultSet rs = st.executeQuery()) {
                    rs.next();
                    for (int i = 2; i <= 21; i++) {
                        same(rs.getObject(i), null, "NULL of column " + i);
                        same(rs.wasNull(), true, "wasNull of column " + i);
                    }
                }
            }
        }
    }

    static void resultMetaData(ResultSetMetaData md) throws SQLException {
        same(md.getColumnCount(), 21, "columns");
        same(md.getColumnType(2), Types.TINYINT, "type of tinyint");
        same(md.isSigned(4), false, "int unsigned is signed");
        same(md.getColumnType(5), Types.BIGINT, "type of bigint");
        same(md.getColumnType(9), Types.DECIMAL, "type of decimal");
        same(md.getPrecision(9) + "," + md.getScale(9), "30,10", "precision and scale");
        same(md.getColumnType(10), Types.DATE, "type of date");
        same(md.getColumnType(11), Types.TIMESTAMP, "type of datetime");
        same(md.getColumnType(15), Types.CHAR, "type of char");
        same(md.getColumnType(16), Types.VARCHAR, "type of varchar");
        same(md.getColumnDisplaySize(16), 100, "length of varchar");
        same(md.getColumnType(18), Types.VARBINARY, "type of varbinary");
        same(md.getTableName(2) + "." + md.getColumnName(2), "kinds.a", "origin");
        same(md.getCatalogName(2), DB, "database");
        same(md.isNullable(2), ResultSetMetaData.columnNullable, "nullable");
        same(md.isNullable(1), ResultSetMetaData.columnNoNulls, "primary key is not nullable");
    }

    static void batches(String... options) throws Exception {
        try (Connection c = connect(DB, options)) {
            exec(c, "DROP TABLE IF EXISTS batch", "CREATE TABLE batch (id BIGINT PRIMARY KEY AUTO_INCREMENT, v INT, name VARCHAR(40))");
            c.setAutoCommit(false);
            try (PreparedStatement st = c.prepareStatement("INSERT INTO batch (v, name) VALUES (?, ?)", Statement.RETURN_GENERATED_KEYS)) {
                for (int i = 0; i < 2500; i++) {
                    st.setInt(1, i);
                    st.setString(2, i % 7 == 0 ? null : "name " + i);
                    st.addBatch();
                }
                same(st.executeBatch().length, 2500, "results of the batch");
                try (ResultSet keys = st.getGeneratedKeys()) {
                    same(keys.next(), true, "a generated key");
                    same(one(c, "SELECT v FROM batch WHERE id = " + keys.getLong(1)), "0", "row of the first key");
                }
            }
            c.commit();
            same(one(c, "SELECT COUNT(*) FROM batch"), "2500", "rows of the batch");
            try (Statement st = c.createStatement()) {
                st.addBatch("UPDATE batch SET v = v + 1 WHERE v < 10");
                st.addBatch("DELETE FROM batch WHERE v = 20");
                same(Arrays.toString(st.executeBatch()), "[10, 1]", "batch of statements");
            }
            c.rollback();
            try (PreparedStatement st = c.prepareStatement("UPDATE batch SET name = ? WHERE v = ?")) {
                for (int i = 0; i < 50; i++) {
                    st.setString(1, "new");
                    st.setInt(2, i);
                    st.addBatch();
                }
                st.executeBatch();
            }
            c.commit();
            same(one(c, "SELECT COUNT(*) FROM batch WHERE name = 'new'"), "50", "updated by a batch");
            try (PreparedStatement st = c.prepareStatement("INSERT INTO batch (id, v) VALUES (?, ?)")) {
                for (long id : new long[] {900001, 900002, 900001}) {
                    st.setLong(1, id);
                    st.setInt(2, 0);
                    st.addBatch();
                }
                st.executeBatch();
                throw new AssertionError("a duplicate in a batch was accepted");
            } catch (BatchUpdateException e) {
                same(e.getErrorCode(), 1062, "error of the batch");
            }
            c.rollback();
            same(one(c, "SELECT COUNT(*) FROM batch"), "2500", "rows after the rollback");
        }
    }

    static void generatedKeys() throws Exception {
        try (Connection c = connect(DB); Statement st = c.createStatement()) {
            exec(c, "CREATE TABLE gen (id INT PRIMARY KEY AUTO_INCREMENT, v INT)");
            st.executeUpdate("INSERT INTO gen (v) VALUES (7)", Statement.RETURN_GENERATED_KEYS);
            try (ResultSet keys = st.getGeneratedKeys()) {
                keys.next();
                same(one(c, "SELECT v FROM gen WHERE id = " + keys.getInt(1)), "7", "generated key");
            }
        }
    }

    /** 300 000 rows. */
    static void bigTable() throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE big (id INT PRIMARY KEY, pad VARCHAR(40))");
            for (int at = 0; at < 300000; at += 10000) {
                StringJoiner values = new StringJoiner(",", "INSERT INTO big VALUES ", "");
                for (int i = at; i < at + 10000; i++) {
                    values.add("(" + i + ",'row number " + i + "')");
                }
                exec(c, values.toString());
            }
        }
    }

    static void streaming(int fetchSize, String prepared) throws Exception {
        try (Connection c = connect(DB, "useServerPrepStmts", prepared)) {
            try (PreparedStatement st = c.prepareStatement("SELECT id, pad FROM big WHERE id >= ?", ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
                st.setFetchSize(fetchSize);
                st.setInt(1, 0);
                long n = 0;
                long sum = 0;
                try (ResultSet rs = st.executeQuery()) {
                    while (rs.next()) {
                        n++;
                        sum += rs.getInt(1);
                        same(rs.getString(2), "row number " + rs.getInt(1), "row");
                    }
                }
                same(n + "/" + sum, "300000/44999850000", "rows/sum");
                try (ResultSet rs = st.executeQuery()) {
                    rs.next(); // left early
                }
            }
            same(one(c, "SELECT 1"), "1", "after a stream that was left early");
        }
    }

    static void databaseMetaData() throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE meta (a INT NOT NULL, b VARCHAR(20) NOT NULL DEFAULT 'x', c DECIMAL(12,3) COMMENT 'the c', d DATETIME(3), e BIGINT UNSIGNED,"
                + " PRIMARY KEY (a, b))");
            DatabaseMetaData md = c.getMetaData();
            System.out.println("# " + md.getDatabaseProductName() + " " + md.getDatabaseProductVersion());
            same(column(md.getCatalogs(), "TABLE_CAT").contains(DB), true, "getCatalogs");
            same(column(md.getTables(DB, null, "meta", new String[] {"TABLE"}), "TABLE_NAME"), List.of("meta"), "getTables");
            same(column(md.getTables(null, null, "met%", null), "TABLE_NAME").contains("meta"), true, "getTables by pattern");
            same(column(md.getTableTypes(), "TABLE_TYPE").contains("TABLE"), true, "getTableTypes");
            same(column(md.getColumns(DB, null, "meta", "%"), "COLUMN_NAME"), List.of("a", "b", "c", "d", "e"), "getColumns");
            same(column(md.getColumns(DB, null, "meta", null), "DATA_TYPE"), List.of("4", "12", "3", "93", "-5"), "types of getColumns");
            same(column(md.getColumns(DB, null, "meta", "c"), "COLUMN_SIZE"), List.of("12"), "COLUMN_SIZE");
            same(column(md.getColumns(DB, null, "meta", "c"), "REMARKS"), List.of("the c"), "REMARKS");
            same(column(md.getColumns(DB, null, "meta", "b"), "IS_NULLABLE"), List.of("NO"), "IS_NULLABLE");
            List<String> keys = column(md.getPrimaryKeys(DB, null, "meta"), "COLUMN_NAME");
            same(keys, List.of("a", "b"), "getPrimaryKeys");
            same(column(md.getIndexInfo(DB, null, "meta", true, false), "COLUMN_NAME"), List.of("a", "b"), "getIndexInfo");
        }
    }

    static void metaDataCall(String name) throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE IF NOT EXISTS metacall (a INT PRIMARY KEY)");
            DatabaseMetaData md = c.getMetaData();
            switch (name) {
                case "getImportedKeys": column(md.getImportedKeys(DB, null, "metacall"), "FK_NAME"); break;
                case "getExportedKeys": column(md.getExportedKeys(DB, null, "metacall"), "FK_NAME"); break;
                case "getCrossReference": column(md.getCrossReference(DB, null, "metacall", DB, null, "metacall"), "FK_NAME"); break;
                case "getProcedures": column(md.getProcedures(DB, null, "%"), "PROCEDURE_NAME"); break;
                case "getFunctions": column(md.getFunctions(DB, null, "%"), "FUNCTION_NAME"); break;
                case "getProcedureColumns": column(md.getProcedureColumns(DB, null, "%", "%"), "COLUMN_NAME"); break;
                case "getTablePrivileges": column(md.getTablePrivileges(DB, null, "metacall"), "PRIVILEGE"); break;
                case "getColumnPrivileges": column(md.getColumnPrivileges(DB, null, "metacall", "%"), "PRIVILEGE"); break;
                case "getBestRowIdentifier": same(column(md.getBestRowIdentifier(DB, null, "metacall", 0, true), "COLUMN_NAME"), List.of("a"), name); break;
                case "getVersionColumns": column(md.getVersionColumns(DB, null, "metacall"), "COLUMN_NAME"); break;
                case "getSchemas": column(md.getSchemas(), "TABLE_SCHEM"); break;
                case "getTypeInfo": same(column(md.getTypeInfo(), "TYPE_NAME").isEmpty(), false, name); break;
                case "getClientInfoProperties": column(md.getClientInfoProperties(), "NAME"); break;
                case "getSQLKeywords": md.getSQLKeywords(); break;
                default: throw new AssertionError(name);
            }
        }
    }

    static void errors() throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE err (id INT PRIMARY KEY, v TINYINT NOT NULL)", "INSERT INTO err VALUES (1, 1)");
            fails(1062, "23000", c, "INSERT INTO err VALUES (1, 1)");
            fails(1064, "42000", c, "SELEC 1");
            fails(1146, "42S02", c, "SELECT * FROM missing");
            fails(1054, "42S22", c, "SELECT missing FROM err");
            fails(1048, "23000", c, "INSERT INTO err VALUES (2, NULL)");
            fails(1264, "22003", c, "INSERT INTO err VALUES (2, 300)");
            fails(1049, "42000", c, "USE missing");
            try (PreparedStatement st = c.prepareStatement("INSERT INTO err VALUES (?, ?)")) {
                st.setInt(1, 1);
                st.setInt(2, 1);
                st.executeUpdate();
                throw new AssertionError("duplicate accepted");
            } catch (SQLIntegrityConstraintViolationException e) {
                same(e.getErrorCode(), 1062, "prepared duplicate");
            }
        }
        try (Connection c = connect(DB, "useServerPrepStmts", "true")) {
            try (PreparedStatement st = c.prepareStatement("SELECT missing FROM err WHERE id = ?")) {
                st.setInt(1, 1); // the driver falls back to text when a statement cannot be prepared
                st.executeQuery();
                throw new AssertionError("prepared an unknown column");
            } catch (SQLException e) {
                same(e.getErrorCode(), 1054, "prepare");
            }
        }
    }

    static void transactions() throws Exception {
        try (Connection a = connect(DB); Connection b = connect(DB)) {
            exec(a, "CREATE TABLE tx (id INT PRIMARY KEY, v INT)");
            a.setAutoCommit(false);
            exec(a, "INSERT INTO tx VALUES (1, 1)");
            same(one(b, "SELECT COUNT(*) FROM tx"), "0", "before the commit");
            a.commit();
            same(one(b, "SELECT COUNT(*) FROM tx"), "1", "after the commit");
            exec(a, "DELETE FROM tx");
            a.rollback();
            same(one(a, "SELECT COUNT(*) FROM tx"), "1", "after the rollback");
            a.commit();
            a.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            same(a.getTransactionIsolation(), Connection.TRANSACTION_READ_COMMITTED, "isolation");
            a.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            same(a.isValid(5), true, "isValid");
        }
    }

    static void readOnly() throws Exception {
        try (Connection c = connect(DB, "assureReadOnly", "true")) {
            c.setReadOnly(true);
            same(one(c, "SELECT 1"), "1", "read");
            c.setReadOnly(false);
        }
    }

    static void savepoints() throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE sp (id INT PRIMARY KEY)");
            c.setAutoCommit(false);
            exec(c, "INSERT INTO sp VALUES (1)");
            Savepoint p = c.setSavepoint("p1");
            exec(c, "INSERT INTO sp VALUES (2)");
            c.rollback(p);
            c.commit();
            same(one(c, "SELECT COUNT(*) FROM sp"), "1", "rows after ROLLBACK TO");
        }
    }

    static void cancelAndTimeout() throws Exception {
        String slow = "SELECT COUNT(*) FROM big a JOIN big b ON a.id % 1000 = b.id % 1000 WHERE a.pad < b.pad";
        try (Connection c = connect(DB)) {
            try (Statement st = c.createStatement()) {
                st.setQueryTimeout(1);
                st.executeQuery(slow);
                throw new AssertionError("no timeout");
            } catch (SQLTimeoutException e) {
                same(e.getErrorCode(), 1317, "timeout by KILL QUERY");
            }
            same(one(c, "SELECT 1"), "1", "after the timeout");
            try (Statement st = c.createStatement()) {
                Thread t = new Thread(() -> {
                    try {
                        Thread.sleep(300);
                        st.cancel();
                    } catch (Exception e) {
                        System.out.println("# cancel: " + e);
                    }
                });
                t.start();
                try {
                    st.executeQuery(slow);
                    throw new AssertionError("not cancelled");
                } catch (SQLException e) {
                    same(e.getErrorCode(), 1317, "cancelled");
                }
                t.join();
            }
            same(one(c, "SELECT 1"), "1", "after the cancel");
        }
    }

    static void multiStatements() throws Exception {
        try (Connection c = connect(DB, "allowMultiQueries", "true"); Statement st = c.createStatement()) {
            same(st.execute("SELECT 1; SET @a = 2; SELECT @a"), true, "first is a result");
            st.getResultSet().next();
            same(st.getMoreResults(), false, "second is an update");
            same(st.getMoreResults(), true, "third is a result");
            ResultSet rs = st.getResultSet();
            rs.next();
            same(rs.getString(1), "2", "third result");
        }
        try (Connection c = connect(DB)) {
            fails(1064, "42000", c, "SELECT 1; SELECT 2");
        }
    }

    static void connectOptions() throws Exception {
        for (String[] o : new String[][] {{"useCompression", "true"}, {"sessionVariables", "sql_mode='ANSI_QUOTES',group_concat_max_len=4096"},
            {"useBulkStmts", "true"}, {"connectionCollation", "utf8mb4_unicode_ci"}, {"autocommit", "false"}, {"timezone", "UTC"},
            {"cachePrepStmts", "true"}, {"useAffectedRows", "true"}, {"initSql", "SET @x = 1"}, {"tcpKeepAlive", "true"},
            {"connectionTimeZone", "UTC"}, {"forceConnectionTimeZoneToSession", "true"}, {"transactionIsolation", "READ-COMMITTED"},
            {"createDatabaseIfNotExist", "true"}, {"usePipelineAuth", "true"}, {"maxAllowedPacket", "1000000"}, {"returnMultiValuesGeneratedIds", "true"}}) {
            try (Connection c = connect(DB, o)) {
                same(one(c, "SELECT DATABASE()"), DB, o[0]);
            } catch (SQLException e) {
                throw new AssertionError(o[0] + "=" + o[1] + ": " + e.getMessage(), e);
            }
        }
    }

    static void updatableAndScrollable() throws Exception {
        try (Connection c = connect(DB); Statement st = c.createStatement(ResultSet.TYPE_SCROLL_INSENSITIVE, ResultSet.CONCUR_UPDATABLE)) {
            exec(c, "CREATE TABLE upd (id INT PRIMARY KEY, v VARCHAR(10))", "INSERT INTO upd VALUES (1,'a'),(2,'b')");
            try (ResultSet rs = st.executeQuery("SELECT id, v FROM upd ORDER BY id")) {
                rs.last();
                same(rs.getRow(), 2, "last row");
                rs.updateString("v", "changed");
                rs.updateRow();
                rs.moveToInsertRow();
                rs.updateInt("id", 3);
                rs.updateString("v", "c");
                rs.insertRow();
                rs.first();
                rs.deleteRow();
            }
            same(one(c, "SELECT GROUP_CONCAT(CONCAT(id, v) ORDER BY id SEPARATOR ',') FROM upd"), "2changed,3c", "table");
        }
    }

    static void timeZones() throws Exception {
        try (Connection c = connect(DB)) {
            exec(c, "CREATE TABLE tz (id INT PRIMARY KEY, t TIMESTAMP, d DATETIME)", "SET time_zone = '+05:30'",
                "INSERT INTO tz VALUES (1, '2024-01-01 00:00:00', '2024-01-01 00:00:00')", "SET time_zone = '+00:00'");
            same(one(c, "SELECT CONCAT(t, ' ', d) FROM tz"), "2023-12-31 18:30:00 2024-01-01 00:00:00", "other zone");
            exec(c, "SET time_zone = 'Europe/Berlin'");
            try (PreparedStatement st = c.prepareStatement("SELECT t FROM tz WHERE id = ?")) {
                st.setInt(1, 1);
                try (ResultSet rs = st.executeQuery()) {
                    rs.next();
                    same(rs.getString(1), "2023-12-31 19:30:00.0", "named zone");
                }
            }
        }
    }

    static void biQueries() throws Exception {
        String[] queries = {
            "SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_TYPE, TABLE_ROWS, TABLE_COMMENT FROM INFORMATION_SCHEMA.TABLES WHERE TABLE_SCHEMA = '" + DB + "' ORDER BY TABLE_NAME",
            "SELECT table_name, column_name, data_type, column_type, is_nullable, column_key, extra, ordinal_position FROM information_schema.columns WHERE table_schema = DATABASE()",
            "SELECT SCHEMA_NAME, DEFAULT_CHARACTER_SET_NAME, DEFAULT_COLLATION_NAME FROM INFORMATION_SCHEMA.SCHEMATA",
            "SELECT * FROM INFORMATION_SCHEMA.STATISTICS WHERE TABLE_SCHEMA = DATABASE()",
            "SELECT CONSTRAINT_NAME, CONSTRAINT_TYPE FROM INFORMATION_SCHEMA.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = DATABASE()",
            "SELECT * FROM INFORMATION_SCHEMA.KEY_COLUMN_USAGE WHERE TABLE_SCHEMA = DATABASE()",
            "SELECT * FROM INFORMATION_SCHEMA.REFERENTIAL_CONSTRAINTS",
            "SELECT * FROM INFORMATION_SCHEMA.VIEWS",
            "SELECT * FROM INFORMATION_SCHEMA.ROUTINES",
            "SELECT * FROM INFORMATION_SCHEMA.TRIGGERS",
            "SELECT * FROM INFORMATION_SCHEMA.EVENTS",
            "SELECT * FROM INFORMATION_SCHEMA.ENGINES",
            "SELECT * FROM INFORMATION_SCHEMA.CHARACTER_SETS",
            "SELECT * FROM INFORMATION_SCHEMA.COLLATIONS",
            "SELECT * FROM INFORMATION_SCHEMA.PROCESSLIST",
            "SELECT * FROM INFORMATION_SCHEMA.PARTITIONS WHERE TABLE_SCHEMA = DATABASE()",
            "SELECT * FROM INFORMATION_SCHEMA.PARAMETERS",
            "SELECT * FROM INFORMATION_SCHEMA.USER_PRIVILEGES",
            "SELECT SUM(DATA_LENGTH + INDEX_LENGTH) FROM INFORMATION_SCHEMA.TABLES",
        };
        StringJoiner bad = new StringJoiner("; ");
        try (Connection c = connect(DB)) {
            for (String q : queries) {
                try {
                    one(c, q);
                } catch (SQLException e) {
                    bad.add(q + ": " + e.getErrorCode() + " " + e.getMessage());
                }
            }
        }
        same(bad.toString(), "", "refused");
    }

    static void check(String name, Case c) {
        long start = System.nanoTime();
        try {
            c.run();
            System.out.printf("pass %s %.1fs%n", name, (System.nanoTime() - start) / 1e9);
        } catch (Throwable e) { // every case is told
            int line = 0;
            for (StackTraceElement el : e.getStackTrace()) {
                if (el.getClassName().startsWith("Everyday") && !el.getMethodName().equals("same")) {
                    line = el.getLineNumber();
                    break;
                }
            }
            System.out.println("FAIL " + name + ": line " + line + ": " + e.toString().replace('\n', ' '));
        }
    }

    public static void main(String[] args) throws Exception {
        try (Connection c = connect("")) {
            exec(c, "DROP DATABASE IF EXISTS " + DB, "CREATE DATABASE " + DB);
        }
        check("allTypes text", () -> allTypes("false"));
        check("allTypes binary", () -> allTypes("true"));
        check("batches", () -> batches());
        check("batches rewritten", () -> batches("rewriteBatchedStatements", "true"));
        check("batches prepared", () -> batches("useServerPrepStmts", "true"));
        check("batches bulk", () -> batches("useServerPrepStmts", "true", "useBulkStmts", "true"));
        check("batches multi", () -> batches("allowMultiQueries", "true", "useBatchMultiSend", "true"));
        check("generatedKeys", Everyday::generatedKeys);
        check("bigTable", Everyday::bigTable);
        check("streaming text", () -> streaming(1, "false"));
        check("streaming binary", () -> streaming(1000, "true"));
        check("large result", () -> streaming(0, "true"));
        check("streaming MIN_VALUE", () -> streaming(Integer.MIN_VALUE, "false"));
        check("databaseMetaData", Everyday::databaseMetaData);
        for (String m : new String[] {"getImportedKeys", "getExportedKeys", "getCrossReference", "getProcedures", "getFunctions", "getProcedureColumns",
            "getTablePrivileges", "getColumnPrivileges", "getBestRowIdentifier", "getVersionColumns", "getSchemas", "getTypeInfo",
            "getClientInfoProperties", "getSQLKeywords"}) {
            check(m, () -> metaDataCall(m));
        }
        check("errors", Everyday::errors);
        check("transactions", Everyday::transactions);
        check("readOnly", Everyday::readOnly);
        check("savepoints", Everyday::savepoints);
        check("cancelAndTimeout", Everyday::cancelAndTimeout);
        check("multiStatements", Everyday::multiStatements);
        check("connectOptions", Everyday::connectOptions);
        check("updatableAndScrollable", Everyday::updatableAndScrollable);
        check("timeZones", Everyday::timeZones);
        check("biQueries", Everyday::biQueries);
        try (Connection c = connect("")) {
            exec(c, "DROP DATABASE " + DB);
        }
        System.out.println("ok");
    }
}
