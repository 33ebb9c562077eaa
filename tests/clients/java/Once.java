import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.SQLException;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import javax.sql.DataSource;

/** The example of docs/exactly-once.md for JDBC: moves 10 from account DB_BASE to DB_BASE+1. Argument: mysql or mariadb. */
public class Once {
    static final int ALREADY_COMMITTED = 20042;
    static final Duration PATIENCE = Duration.ofMinutes(1);

    interface Work {
        void on(Connection db) throws SQLException;
    }

    /** Commits what the work does exactly once for the key. */
    static void exactlyOnce(DataSource source, String key, Work work) throws SQLException, InterruptedException {
        long end = System.nanoTime() + PATIENCE.toNanos();
        while (true) {
            try (Connection db = source.getConnection()) {
                db.setAutoCommit(false);
                try (PreparedStatement set = db.prepareStatement("SET @@xaproxy_commit_key = ?")) {
                    set.setString(1, key);
                    set.execute();
                }
                work.on(db);
                db.commit();
                return;
            } catch (SQLException e) {
                if (e.getErrorCode() == ALREADY_COMMITTED) {
                    return;
                }
                if (System.nanoTime() > end) {
                    throw e;
                }
            }
            Thread.sleep(ThreadLocalRandom.current().nextInt(50, 200));
        }
    }

    static void transfer(Connection db) throws SQLException {
        int base = Integer.parseInt(System.getenv("DB_BASE"));
        try (PreparedStatement update = db.prepareStatement("UPDATE accounts SET v = v + ? WHERE id = ?")) {
            for (int i = 0; i < 2; i++) {
                update.setInt(1, i == 0 ? -10 : 10);
                update.setInt(2, base + i);
                update.executeUpdate();
            }
        }
    }

    public static void main(String[] args) throws Exception {
        HikariConfig config = new HikariConfig();
        config.setJdbcUrl("jdbc:" + args[0] + "://" + System.getenv("DB_HOST") + ":" + System.getenv("DB_PORT") + "/" + System.getenv("DB_SCHEMA")
            + "?allowPublicKeyRetrieval=true");
        config.setUsername(System.getenv("DB_USER"));
        config.setPassword(System.getenv("DB_PASSWORD"));
        config.setMaximumPoolSize(1);
        try (HikariDataSource pool = new HikariDataSource(config)) {
            exactlyOnce(pool, System.getenv("DB_KEY"), Once::transfer);
        }
    }
}
