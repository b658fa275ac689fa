import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.*;
import java.util.Arrays;
import java.util.Properties;

/** MariaDB Connector/J against Stele; see stack.go for the contract of these scripts. */
public class Client {
    static void same(Object got, Object want, String what) {
        if (got == null ? want != null : !got.equals(want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
    }

    static int codeOf(Connection c, String sql) throws SQLException {
        try (Statement st = c.createStatement()) {
            st.execute(sql);
            return 0;
        } catch (SQLException e) {
            return e.getErrorCode();
        }
    }

    public static void main(String[] args) throws Exception {
        String url = "jdbc:mariadb://" + System.getenv("STELE_HOST") + ":" + System.getenv("STELE_PORT") + "/";
        Properties p = new Properties();
        p.setProperty("user", System.getenv("STELE_USER"));
        p.setProperty("password", System.getenv("STELE_PASSWORD"));
        p.setProperty("useServerPrepStmts", "true");
        p.setProperty("allowPublicKeyRetrieval", "true");
        if (!System.getenv().getOrDefault("STELE_TLS", "").isEmpty()) {
            p.setProperty("useSsl", "true");
            p.setProperty("trustServerCertificate", "true");
        }
        if (!System.getenv().getOrDefault("STELE_COMPRESS", "").isEmpty()) {
            p.setProperty("useCompression", "true");
        }
        try (Connection c = DriverManager.getConnection(url, p)) {
            try (Statement st = c.createStatement(); ResultSet rs = st.executeQuery("SELECT 1")) {
                rs.next();
                same(rs.getString(1), "1", "SELECT 1");
            }
            if (System.getenv().getOrDefault("STELE_LOGIN_ONLY", "").isEmpty()) {
                statements(c);
            }
        }
        System.out.println("ok");
    }

    static void statements(Connection c) throws SQLException {
        String db = "clients_java";
        try (Statement st = c.createStatement()) {
            st.execute("DROP DATABASE IF EXISTS " + db);
            st.execute("CREATE DATABASE " + db);
            c.setCatalog(db);
            st.execute("CREATE TABLE t (id INT PRIMARY KEY, name VARCHAR(50), price DECIMAL(10,2), born DATE,"
                + " seen DATETIME(3), ratio DOUBLE, big BIGINT UNSIGNED, data VARBINARY(20))");
        }
        try (PreparedStatement st = c.prepareStatement("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?)")) {
            st.setInt(1, 1);
            st.setString(2, "Zo\u00eb's");
            st.setBigDecimal(3, new BigDecimal("12.34"));
            st.setDate(4, Date.valueOf("2024-02-29"));
            st.setTimestamp(5, Timestamp.valueOf("2024-02-29 12:30:15.123"));
            st.setDouble(6, 0.5);
            st.setString(7, "18446744073709551615");
            st.setBytes(8, new byte[] {0, -1});
            same(st.executeUpdate(), 1, "affected rows");
            st.setInt(1, 2);
            for (int i = 2; i <= 8; i++) {
                st.setNull(i, Types.NULL);
            }
            same(st.executeUpdate(), 1, "affected rows");
        }
        String select = "SELECT name, price, born, seen, ratio, big, data FROM t WHERE id = ?";
        try (PreparedStatement st = c.prepareStatement(select)) {
            st.setInt(1, 1);
            try (ResultSet rs = st.executeQuery()) {
                rs.next();
                same(rs.getString(1), "Zo\u00eb's", "string");
                same(rs.getBigDecimal(2), new BigDecimal("12.34"), "decimal");
                same(rs.getDate(3).toString(), "2024-02-29", "date");
                same(rs.getTimestamp(4), Timestamp.valueOf("2024-02-29 12:30:15.123"), "datetime");
                same(rs.getDouble(5), 0.5, "double");
                same(rs.getObject(6), new BigInteger("18446744073709551615"), "unsigned");
                same(Arrays.toString(rs.getBytes(7)), "[0, -1]", "bytes");
                ResultSetMetaData md = rs.getMetaData();
                same(md.getColumnType(2), Types.DECIMAL, "type of the decimal");
                same(md.getPrecision(2), 10, "precision");
                same(md.getTableName(1), "t", "table name");
            }
            st.setInt(1, 2);
            try (ResultSet rs = st.executeQuery()) {
                rs.next();
                same(rs.getString(1), null, "NULL");
            }
        }
        same(codeOf(c, "INSERT INTO t (id) VALUES (1)"), 1062, "duplicate key");
        same(codeOf(c, "SELECT * FROM missing"), 1146, "unknown table");
        same(codeOf(c, "SELEC 1"), 1064, "syntax error");
        c.setAutoCommit(false);
        codeOf(c, "DELETE FROM t");
        c.rollback();
        c.setAutoCommit(true);
        try (Statement st = c.createStatement(); ResultSet rs = st.executeQuery("SELECT COUNT(*) FROM t")) {
            rs.next();
            same(rs.getInt(1), 2, "rows after the rollback");
        }
        codeOf(c, "DROP DATABASE " + db);
    }
}
