package oracle

// empty is what only statements about definitions look at: accounts and contacts are sharded, notes is on b2, all else on b0.
var empty = []string{
	"SET timestamp = 1700000000", // when they are made
	`CREATE TABLE accounts (customer INT NOT NULL, id INT NOT NULL AUTO_INCREMENT, name VARCHAR(40) NOT NULL DEFAULT 'x' COMMENT 'of the account', kind ENUM('a','b'),
		state SET('x','y') NULL, at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, twice INT AS (customer * 2) STORED,
		PRIMARY KEY (customer, id), UNIQUE KEY by_id (id, customer), KEY by_name (name(10)), CONSTRAINT positive CHECK (customer > 0)) COMMENT = 'sharded'`,
	`CREATE TABLE contacts (customer INT NOT NULL, account INT NOT NULL, pos INT NOT NULL, mail VARCHAR(100) CHARACTER SET ascii, PRIMARY KEY (customer, account, pos),
		CONSTRAINT of_account FOREIGN KEY (customer, account) REFERENCES accounts (customer, id) ON DELETE CASCADE)`,
	`CREATE TABLE notes (id INT NOT NULL PRIMARY KEY, txt TEXT, FULLTEXT KEY words (txt), CONSTRAINT positive_note CHECK (id > 0))`,
	`CREATE TABLE Tasks (id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, title VARCHAR(200), parent BIGINT UNSIGNED, CONSTRAINT subtask FOREIGN KEY (parent) REFERENCES Tasks (id) ON UPDATE CASCADE)`,
	`CREATE VIEW open_tasks AS SELECT id, title FROM Tasks WHERE parent IS NULL`,
	`CREATE TRIGGER accounts_before BEFORE INSERT ON accounts FOR EACH ROW SET NEW.name = TRIM(NEW.name)`,
	`CREATE TRIGGER notes_before BEFORE UPDATE ON notes FOR EACH ROW SET NEW.txt = TRIM(NEW.txt)`,
	`CREATE PROCEDURE add_task(IN t VARCHAR(200), OUT n INT) INSERT INTO Tasks (title) VALUES (t)`,
	`CREATE FUNCTION twice(n INT) RETURNS INT DETERMINISTIC RETURN n * 2`,
	`CREATE FUNCTION tax(amount DECIMAL(12,3), country CHAR(2)) RETURNS DECIMAL(12,2) DETERMINISTIC NO SQL BEGIN DECLARE rate, more DECIMAL(4,2) DEFAULT 0.19; -- of most
		IF country = 'AT' THEN SET rate = 0.2, more = rate; ELSEIF country IS NULL THEN RETURN NULL; END IF; RETURN ROUND(amount * rate, 2); END`,
	`CREATE FUNCTION reversed(word VARCHAR(40)) RETURNS VARCHAR(40) DETERMINISTIC BEGIN DECLARE n INT DEFAULT CHAR_LENGTH(word); DECLARE r VARCHAR(40) DEFAULT '';
		again: WHILE n > 0 DO SET r = CONCAT(r, SUBSTRING(word FROM n FOR 1)), n = n - 1; IF n = 30 THEN LEAVE again; END IF; END WHILE; RETURN REPLACE(r, ' ', '_'); END`,
	`CREATE FUNCTION settled(n INT) RETURNS INT READS SQL DATA RETURN (SELECT COUNT(*) FROM settings WHERE v > n)`,
	`CREATE FUNCTION insidious(n INT) RETURNS INT DETERMINISTIC NO SQL RETURN n + (SELECT COUNT(*) FROM customers)`,
	`CREATE FUNCTION counting(n INT) RETURNS INT DETERMINISTIC NO SQL BEGIN SET @counted = n; RETURN n; END`,
	"SET timestamp = DEFAULT",
}

// hidden is what the shards have besides.
var hidden = []string{
	"CREATE DATABASE elsewhere",
	"CREATE TABLE elsewhere.t (i INT)",
	"CREATE TABLE xaproxy_sequence (name VARCHAR(129) NOT NULL PRIMARY KEY, next BIGINT UNSIGNED NOT NULL)",
}
