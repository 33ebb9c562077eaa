<?php
// The example of docs/exactly-once.md for PDO: moves 10 from account DB_BASE to DB_BASE+1.

const ALREADY_COMMITTED = 20042;

/** Commits what $work($db) does exactly once for the key, on connections that $connect() opens. */
function exactlyOnce(callable $connect, string $key, callable $work, float $patience = 60): void
{
    $end = microtime(true) + $patience;
    while (true) {
        try {
            $db = $connect();
            $db->beginTransaction();
            $db->exec('SET @@xaproxy_commit_key = ' . $db->quote($key));
            $work($db);
            $db->commit();
            return;
        } catch (PDOException $e) {
            if (($e->errorInfo[1] ?? 0) === ALREADY_COMMITTED) {
                return;
            }
            if (microtime(true) > $end) {
                throw $e;
            }
        }
        $db = null; // closes the connection
        usleep(random_int(50_000, 200_000));
    }
}

$connect = fn (): PDO => new PDO(
    sprintf('mysql:host=%s;port=%s;dbname=%s;charset=utf8mb4', getenv('DB_HOST'), getenv('DB_PORT'), getenv('DB_SCHEMA')),
    getenv('DB_USER'),
    getenv('DB_PASSWORD'),
);

exactlyOnce($connect, getenv('DB_KEY'), function (PDO $db): void {
    $update = $db->prepare('UPDATE accounts SET v = v + ? WHERE id = ?');
    foreach ([-10, 10] as $i => $n) {
        $update->execute([$n, (int) getenv('DB_BASE') + $i]);
    }
});
