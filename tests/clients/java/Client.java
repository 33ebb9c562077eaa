import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.Arrays;
import java.util.Objects;

/** The JDBC drivers in HikariCP. Arguments: mysql or mariadb, and whether the server prepares statements. */
public class Client {
    static final String TITLE = "größe 🐬";
    static final String BODY = "it's \\ \"quoted\"\n";
    static int count;
    static boolean prepares;

    static void equal(String what, Object got, Object want) {
        if (!Objects.equals(got, want)) {
            throw new AssertionError(what + ": got " + got + ", want " + want);
        }
        count++;
    }

    static HikariDataSource pool(String driver, String schema) {
        HikariConfig config = new HikariConfig();
        String options = driver.equals("mysql")
            ? "sslMode=PREFERRED&allowPublicKeyRetrieval=true&cachePrepStmts=true&connectionTimeZone=UTC"
            : "allowPublicKeyRetrieval=true&cachePrepStmts=true";
        config.setJdbcUrl("jdbc:" + driver + "://" + System.getenv("DB_HOST") + ":" + System.getenv("DB_PORT") + "/" + schema
            + "?" + options + "&useServerPrepStmts=" + prepares);
        config.setUsername(System.getenv("DB_USER"));
        config.setPassword(System.getenv("DB_PASSWORD"));
        config.setMaximumPoolSize(2);
        return new HikariDataSource(config);
    }

    static void kinds(Connection db) throws SQLException {
        try (PreparedStatement select = db.prepareStatement("SELECT * FROM kinds WHERE id = ?")) {
            select.setInt(1, 1);
            ResultSet row = select.executeQuery();
            equal("row", row.next(), true);
            equal("i8", row.getByte("i8"), (byte) -128);
            equal("i16", row.getShort("i16"), (short) 32767);
            equal("i32", row.getInt("i32"), Integer.MIN_VALUE);
            equal("i64", row.getLong("i64"), Long.MAX_VALUE);
            equal("u64", row.getObject("u64"), new BigInteger("18446744073709551615"));
            equal("d", row.getBigDecimal("d"), new BigDecimal("1234567890.1234"));
            equal("f", row.getFloat("f"), 1.5f);
            equal("r", row.getDouble("r"), 0.1);
            equal("day", row.getObject("day", LocalDate.class), LocalDate.of(2024, 2, 29));
            equal("moment", row.getObject("moment", LocalDateTime.class), LocalDateTime.of(2024, 2, 29, 23, 59, 58, 123456000));
            // Connector/J loses the sign of a prepared TIME as text, MariaDB's adds zeros to it: no part of the contract.
            equal("span", row.getString("span").contains("12:34:56.789"), true);
            equal("word", row.getString("word"), "Grüße");
            equal("words", row.getString("words"), "naïve 日本 🐬");
            equal("bin", Arrays.equals(row.getBytes("bin"), new byte[] {0, (byte) 0xff, (byte) 0x80}), true);
            equal("bits", row.getBytes("bits")[0], (byte) 0xa5);
            equal("choice", row.getString("choice"), "green");
            equal("several", row.getString("several"), "a,c");
            equal("doc", row.getString("doc"), "{\"k\": [1, 2]}");
            row.getInt("nothing");
            equal("nothing", row.wasNull(), true);
            equal("table of a column", row.getMetaData().getTableName(2), "kinds");
        }
        DatabaseMetaData meta = db.getMetaData();
        try (ResultSet columns = meta.getColumns(db.getCatalog(), null, "notes", "%")) {
            int n = 0;
            while (columns.next()) {
                n++;
            }
            equal("columns", n, 4);
        }
        try (ResultSet keys = meta.getPrimaryKeys(db.getCatalog(), null, "notes")) {
            equal("primary key", keys.next() ? keys.getString("COLUMN_NAME") : "", "id");
        }
    }

    static int update(Connection db, String sql, Object... values) throws SQLException {
        try (PreparedStatement statement = db.prepareStatement(sql)) {
            for (int i = 0; i < values.length; i++) {
                statement.setObject(i + 1, values[i]);
            }
            return statement.executeUpdate();
        }
    }

    static void notes(Connection db) throws SQLException {
        long id;
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO notes (title, body, n) VALUES (?, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            insert.setString(1, TITLE);
            insert.setString(2, BODY);
            insert.setInt(3, 1);
            equal("inserted", insert.executeUpdate(), 1);
            ResultSet keys = insert.getGeneratedKeys();
            equal("generated key", keys.next(), true);
            id = keys.getLong(1);
        }
        try {
            update(db, "INSERT INTO notes (title) VALUES (?)", TITLE);
            throw new AssertionError("a duplicate key went through");
        } catch (SQLException e) {
            equal("duplicate", e.getErrorCode() + " " + e.getSQLState(), "1062 23000");
        }
        equal("updated", update(db, "UPDATE notes SET n = n + ? WHERE id = ?", 41, id), 1);
        try (PreparedStatement select = db.prepareStatement("SELECT title, body, n FROM notes WHERE id = ?")) {
            select.setLong(1, id);
            ResultSet row = select.executeQuery();
            row.next();
            equal("unicode", row.getString(1) + row.getString(2) + row.getInt(3), TITLE + BODY + 42);
            String large = "0123456789ä".repeat(500_000);
            equal("large", update(db, "UPDATE notes SET body = ? WHERE id = ?", large, id), 1);
            row = select.executeQuery();
            row.next();
            equal("large", row.getString(2).equals(large), true);
        }
        try (PreparedStatement insert = db.prepareStatement("INSERT INTO notes (title, n) VALUES (?, ?)")) {
            for (int i = 0; i < 100; i++) {
                insert.setString(1, "many " + i);
                insert.setInt(2, i);
                insert.addBatch();
            }
            equal("batch", insert.executeBatch().length, 100);
        }
        try (PreparedStatement select = db.prepareStatement("SELECT title FROM notes WHERE title LIKE ?")) {
            select.setFetchSize(db.getMetaData().getDriverName().startsWith("MySQL") ? Integer.MIN_VALUE : 10);
            select.setString(1, "many %");
            int n = 0;
            for (ResultSet rows = select.executeQuery(); rows.next();) {
                n++;
            }
            equal("streamed", n, 100);
        }
        db.setAutoCommit(false);
        db.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        equal("deleted", update(db, "DELETE FROM notes WHERE id = ?", id), 1);
        Savepoint savepoint = db.setSavepoint();
        update(db, "DELETE FROM notes");
        db.rollback(savepoint);
        db.commit();
        db.setAutoCommit(true);
        equal("left", update(db, "DELETE FROM notes"), 100);
    }

    static int total(Connection db, long first) throws SQLException {
        try (PreparedStatement select = db.prepareStatement("SELECT v FROM accounts WHERE id IN (?, ?)")) {
            select.setLong(1, first);
            select.setLong(2, first + 1);
            int sum = 0;
            for (ResultSet rows = select.executeQuery(); rows.next();) {
                sum += rows.getInt(1);
            }
            return sum;
        }
    }

    static void accounts(Connection db) throws SQLException {
        long base = Long.parseLong(System.getenv("DB_BASE"));
        for (int i = 0; i < 2; i++) {
            long first = base + 2 * i;
            db.setAutoCommit(false);
            update(db, "INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)", first, 10, "java");
            update(db, "INSERT INTO accounts (id, v, owner) VALUES (?, ?, ?)", first + 1, 19, "java");
            equal("updated", update(db, "UPDATE accounts SET v = v + ? WHERE id = ?", 1, first + 1), 1);
            equal("in transaction", total(db, first), 30);
            if (i == 0) {
                db.commit();
            } else {
                db.rollback();
            }
            db.setAutoCommit(true);
            equal("after transaction", total(db, first), 30 * (1 - i));
        }
    }

    public static void main(String[] args) throws SQLException {
        prepares = args[1].equals("true");
        try (HikariDataSource pool = pool(args[0], System.getenv("DB_PLAIN")); Connection db = pool.getConnection()) {
            kinds(db);
            notes(db);
        }
        try (HikariDataSource pool = pool(args[0], System.getenv("DB_SHARDED")); Connection db = pool.getConnection()) {
            equal("valid", db.isValid(5), true);
            accounts(db);
        }
        System.out.println("ok " + count + " checks");
    }
}
