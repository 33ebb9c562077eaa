-- SELECTs of TestScratch, one a line. "=" in front: the order of the rows is total. "!" in front: MySQL names the temporary table of a second
-- reference in the columns' metadata.. SET lines hold for those behind them.

-- every type, read back, sorted, grouped and compared
=SELECT * FROM types ORDER BY id, CONCAT(id)
=SELECT c_enum, c_set, c_bit + 0, c_json, HEX(c_point), c_gen, c_ts, UNIX_TIMESTAMP(c_ts) FROM types ORDER BY id, CONCAT(id)
=SELECT id, HEX(c_char), HEX(c_latin), HEX(c_bin), HEX(c_ucs), HEX(c_text), HEX(c_binary), HEX(c_blob) FROM types ORDER BY id, CONCAT(id)
SELECT MAX(c_bool), MAX(c_tiny), MAX(c_utiny), MAX(c_small), MAX(c_medium), MAX(c_big), MAX(c_ubig), MAX(c_float), MAX(c_float2), MAX(c_double), MAX(c_double2), MAX(c_dec), MAX(c_year), COUNT(DISTINCT c_float) FROM types
SELECT MIN(c_date), MIN(c_time), MIN(c_datetime), MIN(c_ts), MIN(c_char), MIN(c_latin), MIN(c_bin), MIN(c_ucs), MIN(c_text), MIN(c_binary), MIN(c_blob), MIN(c_enum), MIN(c_set), MIN(c_bit), COUNT(DISTINCT c_double) FROM types
SELECT c_double, c_float, COUNT(*) FROM types GROUP BY c_double, c_float HAVING COUNT(*) >= 1
SELECT c_enum + 0, c_set + 0, COUNT(*), COUNT(DISTINCT c_bit) FROM types GROUP BY 1, 2
=SELECT id, c_double = -0.0, 1 / c_double2, c_float = 0.1, c_double = 0.1, c_float + 0e0 FROM types ORDER BY c_float, id, CONCAT(id)
SELECT c_latin, GROUP_CONCAT(id ORDER BY id DESC SEPARATOR '|') FROM types GROUP BY c_latin
SELECT c_bin, COUNT(DISTINCT id) FROM types GROUP BY c_bin
=SELECT DISTINCT c_ucs FROM types ORDER BY HEX(c_ucs)
=SELECT id, c_date, c_datetime, c_time FROM types WHERE c_date > '2000-01-01' OR c_date = '0000-00-00' ORDER BY c_date, id, CONCAT(id)
SELECT JSON_EXTRACT(c_json, '$.a[1]'), JSON_LENGTH(c_json), COUNT(*) FROM types GROUP BY c_json
SELECT JSON_ARRAYAGG(id) IS NULL, JSON_OBJECT('a', MIN(c_bool)), COUNT(DISTINCT c_json) FROM types
SELECT COUNT(*), SUM(c_dec), AVG(c_dec), SUM(c_ubig), SUM(c_big), STD(c_small), BIT_OR(c_utiny), BIT_XOR(c_bit), COUNT(DISTINCT id) FROM types
SELECT t.id, u.c_gen FROM types t JOIN orders u ON u.id = t.id
=SELECT id, g, shape, ST_SRID(shape), ST_AsText(shape) FROM places ORDER BY CONCAT(id), id
SELECT p.id, e.kind, ST_X(p.g), ST_Distance(p.g, q.g) FROM places p JOIN events e ON e.id = p.id JOIN (SELECT POINT(0, 0) AS g) q
SELECT c_year, c_utiny, COALESCE(c_utiny, 5), IFNULL(c_medium, -1), GREATEST(c_float, c_dec), COUNT(DISTINCT id) FROM types GROUP BY 1, 2, 3, 4, 5

-- text in order
=SELECT id, note FROM orders ORDER BY note, id
=SELECT id, note FROM orders ORDER BY note DESC, id LIMIT 7 OFFSET 3
=SELECT note COLLATE utf8mb4_bin AS b, id FROM orders ORDER BY b, id
=SELECT kind, id FROM events ORDER BY kind, id
=SELECT LOWER(kind) AS k, id FROM events ORDER BY k DESC, id DESC LIMIT 10
=SELECT state, id FROM orders ORDER BY state, id
=SELECT flags, id FROM orders ORDER BY flags DESC, id
=SELECT name, customer, no FROM items ORDER BY name, no
=SELECT id FROM orders WHERE note LIKE '%s%' ORDER BY LENGTH(note), note, id
=SELECT b, id FROM events ORDER BY b DESC, id LIMIT 5
=SELECT id FROM orders ORDER BY note IS NULL, FIELD(state, 'gone', 'new'), id
=SELECT -v AS v, id FROM orders ORDER BY v, CONCAT(v), id LIMIT 5
SELECT DISTINCT note COLLATE utf8mb4_bin FROM orders
SELECT DISTINCT kind FROM events
SELECT DISTINCT state, v FROM orders WHERE customer > 2
SELECT kind, COUNT(*), MIN(id) FROM events GROUP BY kind
SELECT UPPER(kind), COUNT(*) FROM events GROUP BY UPPER(kind) HAVING COUNT(*) > 1
SELECT state, COUNT(DISTINCT note) FROM orders GROUP BY state WITH ROLLUP
SELECT customer, v, SUM(amount), COUNT(*) FROM orders GROUP BY customer, v WITH ROLLUP
SELECT v, GROUP_CONCAT(DISTINCT note ORDER BY note SEPARATOR ';') FROM orders GROUP BY v
SELECT v, AVG(amount), SUM(amount) / COUNT(*), VAR_POP(v), STDDEV(v) FROM orders GROUP BY v
SELECT COUNT(DISTINCT v, state), COUNT(DISTINCT note), SUM(DISTINCT v) FROM orders
SELECT MAX(note), MIN(note), MAX(state), MIN(flags), COUNT(DISTINCT v) FROM orders
SELECT MONTH(d) AS m, SUM(total), MAX(total), COUNT(DISTINCT customer) FROM orders GROUP BY m ORDER BY m
SELECT YEAR(at), COUNT(DISTINCT DATE(at)) FROM orders GROUP BY YEAR(at)
SELECT SUM(price), AVG(price), COUNT(DISTINCT name) FROM items
SELECT v, COUNT(*) AS n FROM orders GROUP BY v HAVING n > (SELECT AVG(v) FROM events) ORDER BY n

-- joins of what is not co-located
SELECT COUNT(*), SUM(amount), AVG(amount), MAX(note), MIN(at) FROM orders o JOIN events e ON e.v = o.v
SELECT o.id, e.id, e.kind FROM orders o JOIN events e ON e.id = o.id WHERE o.v > 0 AND e.kind <> 'open'
SELECT o.id, i.no FROM orders o JOIN items i ON i.order_id = o.id
SELECT o.id, i.no, i.price FROM orders o LEFT JOIN items i ON i.order_id = o.id AND i.price > 5
SELECT i.no, o.id FROM orders o RIGHT JOIN items i ON i.order_id = o.id AND o.v > 1
SELECT o.id, i.no FROM orders o LEFT JOIN items i ON i.order_id = o.id WHERE i.no IS NULL
SELECT o.*, c.* FROM orders o LEFT JOIN countries c ON c.name > o.note
SELECT a.*, c.* FROM audit a JOIN countries c
SELECT a.who, o.note FROM audit a JOIN orders o ON o.id = a.order_id
SELECT a.who, o.note FROM audit a LEFT JOIN orders o ON o.id = a.order_id AND o.customer IN (3, 4)
SELECT a.id, e.kind, c.code FROM audit a JOIN events e ON e.id = a.id JOIN countries c ON c.size > e.v
SELECT o.id, e.id FROM orders o, events e, audit a WHERE o.id = e.id AND a.id = e.v AND a.who LIKE 'b%'
SELECT e.id, o.id FROM events e STRAIGHT_JOIN orders o ON o.id = e.id WHERE o.customer = 3
SELECT * FROM events JOIN audit USING (id)
SELECT * FROM orders NATURAL JOIN audit
SELECT id, kind FROM events NATURAL LEFT JOIN audit
SELECT COUNT(*) FROM events CROSS JOIN items
SELECT COUNT(*) FROM orders JOIN events
SELECT o.id, e.text_ FROM (orders o JOIN events e ON e.id = o.id) LEFT JOIN (audit a JOIN countries c ON c.code = 'de') ON a.order_id = o.id WHERE a.id IS NOT NULL
SELECT c.name, COUNT(o.id) FROM countries c LEFT JOIN orders o ON o.note = c.name OR o.v = LENGTH(c.code) GROUP BY c.name
SELECT o.v, SUM(i.no) FROM orders o JOIN items i ON i.customer = o.customer GROUP BY o.v HAVING SUM(i.no) > 10
SELECT o.id FROM orders o JOIN events e ON e.id = o.id WHERE o.customer = 2 AND e.id IN (2, 9, 16) AND o.note IS NULL
SELECT o.id FROM orders o JOIN events e ON e.id = o.id WHERE o.customer BETWEEN 2 AND 3 AND (e.kind = 'open' OR o.v = 1)
SELECT o.id FROM orders o JOIN events e ON e.id = o.id AND CASE WHEN o.v = 1 AND e.v > 1 THEN 1 ELSE o.v END
!SELECT o.id, p.id FROM orders o JOIN orders p ON p.id = o.id + 1
!SELECT a.note, b.note FROM orders a LEFT JOIN orders b ON b.customer = a.v WHERE a.id < 20 AND b.id < 30
!SELECT x.id, y.id, z.id FROM events x JOIN events y ON y.id = x.id + 1 JOIN events z ON z.id = y.id + 1
!SELECT orders.id, p.v FROM orders JOIN orders AS p ON p.id = orders.v

-- subqueries
=SELECT id FROM orders WHERE v > (SELECT AVG(v) FROM orders) ORDER BY id
SELECT id FROM orders WHERE id IN (SELECT order_id FROM items WHERE price > 6)
SELECT id FROM orders WHERE id NOT IN (SELECT order_id FROM items)
SELECT id FROM orders o WHERE EXISTS (SELECT * FROM events e WHERE e.id = o.id AND e.kind = 'open')
SELECT id FROM orders o WHERE NOT EXISTS (SELECT 1 FROM items i WHERE i.order_id = o.id AND i.no > 10)
SELECT id, (SELECT COUNT(*) FROM items i WHERE i.order_id = o.id) AS n FROM orders o
SELECT id, (SELECT MAX(kind) FROM events) AS k, (SELECT name FROM countries WHERE code = 'de') AS c FROM orders
SELECT id FROM orders WHERE v = ANY (SELECT v FROM events WHERE id < 3)
SELECT id FROM orders WHERE (customer, v) IN (SELECT customer, no FROM items)
SELECT id FROM events WHERE v >= ALL (SELECT v FROM orders WHERE customer = 1)
SELECT o.id FROM orders o WHERE o.amount = (SELECT MAX(p.amount) FROM orders p WHERE p.customer = o.customer)
SELECT x.v, x.n FROM (SELECT v, COUNT(*) AS n FROM orders GROUP BY v) x WHERE x.n > 3
SELECT d.id, e.kind FROM (SELECT id, v FROM orders WHERE customer = 4 ORDER BY id LIMIT 3) d JOIN events e ON e.v = d.v
SELECT MAX(t.n) FROM (SELECT COUNT(*) AS n FROM events GROUP BY kind) t
SELECT d.* FROM (SELECT * FROM (SELECT id, note FROM orders WHERE v = 1) i WHERE note IS NOT NULL) d
SELECT id FROM audit WHERE order_id IN (SELECT id FROM orders WHERE customer IN (SELECT customer FROM items WHERE name = 'näme1'))
SELECT id FROM orders WHERE v IN (SELECT v FROM events WHERE kind = 'close') AND note > (SELECT MIN(who) FROM audit)
SELECT (SELECT COUNT(*) FROM orders) + (SELECT COUNT(*) FROM events) AS n
SELECT EXISTS (SELECT 1 FROM orders WHERE note = 'nothing') AS x, EXISTS (SELECT 1 FROM events) AS y

-- unions
SELECT id FROM orders UNION SELECT id FROM events
SELECT id, note FROM orders UNION ALL SELECT id, kind FROM events
=(SELECT id, 'o' AS t FROM orders WHERE v = 1) UNION ALL (SELECT id, 'e' FROM events WHERE v = 1) ORDER BY id, t LIMIT 10
(SELECT id FROM orders ORDER BY id LIMIT 3) UNION (SELECT id FROM events ORDER BY id DESC LIMIT 3)
SELECT who FROM audit UNION SELECT name FROM countries UNION SELECT kind FROM events
SELECT v FROM orders EXCEPT SELECT v FROM events WHERE v > 2
SELECT v FROM orders INTERSECT SELECT v FROM events
SELECT NULL, note FROM orders UNION SELECT 1.5, b FROM events
SELECT c_date FROM types UNION SELECT at FROM orders
!SELECT id FROM orders WHERE v = 1 UNION SELECT id FROM orders WHERE customer = 2

-- common table expressions
WITH c AS (SELECT v, COUNT(*) AS n FROM orders GROUP BY v) SELECT * FROM c WHERE n > 2
WITH c AS (SELECT id, v FROM orders), d AS (SELECT id, v FROM events) SELECT c.id, d.id FROM c JOIN d USING (v)
WITH RECURSIVE r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 5) SELECT r.n, COUNT(o.id) FROM r LEFT JOIN orders o ON o.v = r.n GROUP BY r.n
WITH RECURSIVE r AS (SELECT id, v, 0 AS deep FROM orders WHERE id = 5 UNION ALL SELECT e.id, e.v, deep + 1 FROM events e JOIN r ON e.id = r.id + 1 WHERE deep < 3) SELECT * FROM r
WITH orders AS (SELECT * FROM orders WHERE v > 1) SELECT MAX(note), COUNT(DISTINCT id) FROM orders
WITH c AS (SELECT v FROM orders) SELECT COUNT(*) FROM c x JOIN c y ON x.v = y.v
WITH c AS (SELECT v FROM orders), d AS (SELECT v FROM c UNION SELECT v FROM events) SELECT COUNT(*) FROM d WHERE v < (SELECT MAX(v) FROM d)

-- few rows of many
=SELECT id, note FROM orders WHERE v > 0 AND state <> 'gone' ORDER BY note DESC, v, id DESC LIMIT 5
=SELECT id, note FROM orders o WHERE o.v IN (1, 2) ORDER BY LOWER(o.note), o.id LIMIT 2, 6
=SELECT id, note AS id2 FROM orders ORDER BY id2 DESC, id LIMIT 3 OFFSET 20
=SELECT note AS v, id FROM orders ORDER BY v, id LIMIT 4
=SELECT id, kind FROM events WHERE LENGTH(text_) > 30 ORDER BY kind, b LIMIT 12

-- windows
=SELECT id, ROW_NUMBER() OVER (ORDER BY id) AS n, RANK() OVER (ORDER BY v) AS r FROM orders ORDER BY id
=SELECT id, customer, SUM(amount) OVER (PARTITION BY v ORDER BY id) AS s, LAG(note) OVER (ORDER BY id) AS l FROM orders ORDER BY id
=SELECT id, NTILE(4) OVER w AS q, FIRST_VALUE(kind) OVER w AS f FROM events WINDOW w AS (PARTITION BY kind ORDER BY id) ORDER BY id
=SELECT id, AVG(v) OVER (ORDER BY id ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS a FROM orders ORDER BY id LIMIT 20
=SELECT * FROM (SELECT id, v, DENSE_RANK() OVER (PARTITION BY customer ORDER BY amount DESC) AS r FROM orders) x WHERE r <= 2 ORDER BY id

-- what a session has
SET @a = 3, @b = 'Straße'
SELECT id, @a, @b FROM orders WHERE v < @a AND note >= @b ORDER BY 1, CONCAT(id)
SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'
SELECT "id", note || '!' AS "x" FROM "orders" WHERE customer = 1 AND "v" > 0 ORDER BY CONCAT(id)
SELECT o."id" FROM "orders" o JOIN events ON events.id = o."id" WHERE o.v = 1 AND events.kind = 'open'
SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'
SELECT id, text_ FROM events WHERE text_ LIKE '%\ ''_' ORDER BY CONCAT(id), 1
SELECT COUNT(DISTINCT id), '\' AS x FROM events WHERE text_ LIKE '%text%'
SET SESSION sql_mode = '', time_zone = '+05:30'
=SELECT id, at, UNIX_TIMESTAMP(at) FROM orders WHERE at > '2024-06-01 05:00:00' ORDER BY CONCAT(id)
=SELECT id, c_ts FROM types ORDER BY CONCAT(id)
SELECT at, COUNT(DISTINCT id) FROM orders WHERE at BETWEEN '2024-03-01' AND '2024-09-01' GROUP BY at
SET SESSION time_zone = '+00:00', sql_select_limit = 4
=SELECT id, GROUP_CONCAT(DISTINCT note) FROM orders GROUP BY id ORDER BY CONCAT(id)
SELECT COUNT(DISTINCT id) FROM orders
SET SESSION sql_select_limit = DEFAULT
SET NAMES latin1
=SELECT name, customer, no FROM items ORDER BY name, no
=SELECT c_ucs, c_bin, c_json FROM types ORDER BY CONCAT(id)
SET NAMES utf8mb4 COLLATE utf8mb4_bin
=SELECT 'a' = 'A', note FROM orders ORDER BY CONCAT(note), id
SET SESSION character_set_results = NULL
=SELECT c_ucs, c_latin, c_enum FROM types ORDER BY CONCAT(id)
SET SESSION character_set_results = 'utf8mb4'
SET SESSION group_concat_max_len = 10
SELECT GROUP_CONCAT(id ORDER BY id) FROM orders

-- what is refused by servers is refused with the same words
SELECT nothing FROM orders ORDER BY CONCAT(id)
SELECT o.id FROM orders o JOIN events e ON e.id = o.nothing
SELECT id FROM orders JOIN events ON events.v = orders.v
SELECT SUM(COUNT(*)) FROM orders
SELECT id FROM orders WHERE v = (SELECT id FROM events)
SELECT id, v FROM orders UNION SELECT id FROM events
SELECT o.id FROM orders o JOIN events e USING (nothing)

-- forms
SELECT SQL_CALC_FOUND_ROWS id FROM orders ORDER BY CONCAT(id) LIMIT 2
SELECT FOUND_ROWS()
SELECT COUNT(*) AS `select`, MAX(`o`.`note`) AS `a``b` FROM `orders` AS `o` USE INDEX (PRIMARY) JOIN events FORCE INDEX (id) ON events.id = o.id
SELECT o.id, e.id FROM orders o JOIN events e ON e.id = o.id FOR UPDATE
SELECT o.id, e.id FROM orders o JOIN events e ON e.id = o.id LOCK IN SHARE MODE
SELECT COUNT(*) FROM orders o WHERE o.customer = 1 OR o.v IN (SELECT v FROM events WHERE id = 1) LIMIT 1
