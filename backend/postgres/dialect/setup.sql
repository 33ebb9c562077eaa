-- What translated statements use. It may be run again at any time.
CREATE SCHEMA IF NOT EXISTS xaproxy;

CREATE COLLATION IF NOT EXISTS xaproxy.utf8mb4_0900_ai_ci (provider = icu, locale = 'und-u-ks-level1', deterministic = false);
CREATE COLLATION IF NOT EXISTS xaproxy.utf8mb4_0900_as_ci (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE COLLATION IF NOT EXISTS xaproxy.utf8mb4_0900_as_cs (provider = icu, locale = 'und-u-ks-level3', deterministic = false);

-- the beginning of the statement, by the session's clock
CREATE OR REPLACE FUNCTION xaproxy.now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
	SELECT COALESCE(NULLIF(current_setting('xaproxy.timestamp', true), '')::timestamptz, statement_timestamp())
$$;

-- Numbers.

CREATE OR REPLACE FUNCTION xaproxy.fail(code text, message text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ -- so that the planner does not call it
BEGIN
	RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message;
END $$;

-- a BIGINT UNSIGNED, or an error
CREATE OR REPLACE FUNCTION xaproxy.in_range(n numeric) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n BETWEEN 0 AND 18446744073709551615 THEN n WHEN xaproxy.fail('22003', 'BIGINT UNSIGNED value is out of range') THEN n END
$$;

-- bound strings as numbers and times: only what both servers read alike
CREATE OR REPLACE FUNCTION xaproxy.read_numeric(s text) RETURNS numeric LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF s COLLATE "C" !~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$' THEN
		RAISE EXCEPTION USING ERRCODE = '22P02', MESSAGE = format('"%s" is no number', s);
	END IF;
	RETURN s::numeric;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.read_double(s text) RETURNS double precision LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF s COLLATE "C" !~ '^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$' THEN
		RAISE EXCEPTION USING ERRCODE = '22P02', MESSAGE = format('"%s" is no number', s);
	END IF;
	RETURN s::double precision;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.read_timestamp(s text) RETURNS timestamp LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF s COLLATE "C" !~ '^\d{4}-\d{1,2}-\d{1,2}([ T]\d{1,2}:\d{1,2}(:\d{1,2}(\.\d{1,6})?)?)?$' OR s COLLATE "C" ~ '[ T]24:|:60' THEN
		RAISE EXCEPTION USING ERRCODE = '22007', MESSAGE = format('"%s" is not written as YYYY-MM-DD hh:mm:ss', s);
	END IF;
	RETURN s::timestamp;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.read_timestamptz(s text) RETURNS timestamptz LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
	SELECT xaproxy.read_timestamp(s)::timestamptz
$$;
CREATE OR REPLACE FUNCTION xaproxy.read_date(s text) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT xaproxy.read_timestamp(s)::date
$$;
CREATE OR REPLACE FUNCTION xaproxy.read_time(s text) RETURNS time LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF s COLLATE "C" !~ '^([01]?\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?$' THEN
		RAISE EXCEPTION USING ERRCODE = '22007', MESSAGE = format('"%s" is not written as hh:mm:ss', s);
	END IF;
	RETURN s::time;
END $$;

-- 64 bits as a BIGINT UNSIGNED, and back
CREATE OR REPLACE FUNCTION xaproxy.unsigned(n bigint) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n < 0 THEN n::numeric + 18446744073709551616 ELSE n::numeric END
$$;
CREATE OR REPLACE FUNCTION xaproxy.bits(n numeric) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT (CASE WHEN n > 9223372036854775807 THEN n - 18446744073709551616 ELSE n END)::bigint
$$;
CREATE OR REPLACE FUNCTION xaproxy.shift(op text, n bigint, by bigint) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN by < 0 OR by > 63 THEN 0::numeric
		WHEN op = '<<' THEN xaproxy.unsigned(n << by::int)
		ELSE div(xaproxy.unsigned(n), 2::numeric ^ by) END
$$;

-- CAST AS DECIMAL: the nearest number that fits
CREATE OR REPLACE FUNCTION xaproxy.clamp(n numeric, length int, scale int) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT round(greatest(least(n, (10::numeric ^ length - 1) / 10::numeric ^ scale), -(10::numeric ^ length - 1) / 10::numeric ^ scale), scale)
$$;

-- the number that a string begins with
CREATE OR REPLACE FUNCTION xaproxy.number(s text) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT COALESCE((substring(s COLLATE "C" from '^[ \t\n\r\v\f]*([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)'))::double precision, 0)
$$;
CREATE OR REPLACE FUNCTION xaproxy.integer(s text) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT greatest(least(COALESCE((substring(s COLLATE "C" from '^[ \t\n\r\v\f]*([+-]?[0-9]+)'))::numeric, 0), 9223372036854775807), -9223372036854775808)::bigint
$$;

CREATE OR REPLACE FUNCTION xaproxy.not_negative(d double precision) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN d >= 0 THEN d END
$$;
CREATE OR REPLACE FUNCTION xaproxy.unit(d double precision) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN d BETWEEN -1 AND 1 THEN d END
$$;
CREATE OR REPLACE FUNCTION xaproxy.positive(d double precision) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN d > 0 THEN d END
$$;

-- a DOUBLE as MySQL writes it: the shortest digits, with an exponent from 1e15 on and below 1e-14
CREATE OR REPLACE FUNCTION xaproxy.double_text(d double precision) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN d = 0 THEN CASE WHEN d::text = '-0' THEN '-0' ELSE '0' END
		WHEN abs(d) >= 1e15 OR abs(d) < 1e-14 THEN regexp_replace(d::text, 'e\+?(-?)0*', 'e\1')
		WHEN position('e' in d::text) > 0 THEN d::numeric::text
		ELSE d::text END
$$;

CREATE OR REPLACE FUNCTION xaproxy.format(n numeric, digits bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n < 0 AND round(n, greatest(digits, 0)::int) <> 0 THEN '-' ELSE '' END
		|| reverse(regexp_replace(reverse(split_part(round(abs(n), greatest(digits, 0)::int)::text, '.', 1)), '(\d{3})(?=\d)', '\1,', 'g'))
		|| CASE WHEN digits > 0 THEN '.' || split_part(round(abs(n), digits::int)::text, '.', 2) ELSE '' END
$$;
CREATE OR REPLACE FUNCTION xaproxy.bin(n bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT COALESCE(NULLIF(ltrim(n::bit(64)::text, '0'), ''), '0')
$$;

-- Variances, by Welford's recurrence as in MySQL: PostgreSQL's own have other last digits. The state is the count, the mean and the sum of squares.
CREATE OR REPLACE FUNCTION xaproxy.variance_next(state double precision[], x double precision) RETURNS double precision[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE
		WHEN x IS NULL THEN state
		WHEN state[1] = 0 THEN ARRAY[1, x, 0]
		ELSE (SELECT ARRAY[state[1] + 1, mean, state[3] + (x - state[2]) * (x - mean)] FROM (SELECT state[2] + (x - state[2]) / (state[1] + 1) AS mean) AS m) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.variance_pop(state double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN state[1] > 0 THEN state[3] / state[1] END
$$;
CREATE OR REPLACE FUNCTION xaproxy.variance_samp(state double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT CASE WHEN state[1] > 1 THEN state[3] / (state[1] - 1) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.deviation_pop(state double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT sqrt(xaproxy.variance_pop(state))
$$;
CREATE OR REPLACE FUNCTION xaproxy.deviation_samp(state double precision[]) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT sqrt(xaproxy.variance_samp(state))
$$;
CREATE OR REPLACE AGGREGATE xaproxy.var_pop(double precision) (sfunc = xaproxy.variance_next, stype = double precision[], initcond = '{0,0,0}', finalfunc = xaproxy.variance_pop);
CREATE OR REPLACE AGGREGATE xaproxy.var_samp(double precision) (sfunc = xaproxy.variance_next, stype = double precision[], initcond = '{0,0,0}', finalfunc = xaproxy.variance_samp);
CREATE OR REPLACE AGGREGATE xaproxy.stddev_pop(double precision) (sfunc = xaproxy.variance_next, stype = double precision[], initcond = '{0,0,0}', finalfunc = xaproxy.deviation_pop);
CREATE OR REPLACE AGGREGATE xaproxy.stddev_samp(double precision) (sfunc = xaproxy.variance_next, stype = double precision[], initcond = '{0,0,0}', finalfunc = xaproxy.deviation_samp);

-- Strings.

CREATE OR REPLACE FUNCTION xaproxy.lower(s text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN octet_length(s) = char_length(s) THEN lower(s COLLATE "C") ELSE (
		SELECT string_agg(CASE WHEN char_length(l) = 1 THEN l WHEN c COLLATE "C" = 'İ' THEN 'i' ELSE c END, '' ORDER BY n)
		FROM unnest(string_to_array(s COLLATE "C", NULL)) WITH ORDINALITY AS u(c, n), LATERAL (SELECT lower(c COLLATE "und-x-icu") AS l) AS x) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.upper(s text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN octet_length(s) = char_length(s) THEN upper(s COLLATE "C") ELSE (
		SELECT string_agg(CASE WHEN char_length(l) = 1 THEN l ELSE c END, '' ORDER BY n)
		FROM unnest(string_to_array(s COLLATE "C", NULL)) WITH ORDINALITY AS u(c, n), LATERAL (SELECT upper(c COLLATE "und-x-icu") AS l) AS x) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.left(s text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT left(s, greatest(least(n, 2147483647), 0)::int)
$$;
CREATE OR REPLACE FUNCTION xaproxy.right(s text, n bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT right(s, greatest(least(n, 2147483647), 0)::int)
$$;
CREATE OR REPLACE FUNCTION xaproxy.substring(s text, at bigint, n bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN n < 1 OR at = 0 OR at < -char_length(s) OR at > char_length(s) THEN ''
		ELSE substr(s, (CASE WHEN at < 0 THEN char_length(s) + at + 1 ELSE at END)::int, least(n, char_length(s))::int) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.substring(s text, at bigint) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT xaproxy.substring(s, at, 2147483647)
$$;
CREATE OR REPLACE FUNCTION xaproxy.substring_index(s text, d text, n bigint) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE parts text[];
BEGIN
	IF n = 0 OR d = '' THEN RETURN ''; END IF;
	parts := string_to_array(s COLLATE "C", d);
	IF abs(n) >= COALESCE(array_length(parts, 1), 0) THEN RETURN s; END IF;
	IF n > 0 THEN RETURN array_to_string(parts[1:n], d); END IF;
	RETURN array_to_string(parts[array_length(parts, 1) + n + 1:], d);
END $$;
CREATE OR REPLACE FUNCTION xaproxy.replace(s text, old text, new text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT replace(s COLLATE "C", old, new)
$$;
CREATE OR REPLACE FUNCTION xaproxy.trim(s text, p text, side text) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF p = '' THEN RETURN s; END IF;
	WHILE side <> 'r' AND starts_with(s COLLATE "C", p COLLATE "C") LOOP s := substr(s, char_length(p) + 1); END LOOP;
	WHILE side <> 'l' AND right(s, char_length(p)) COLLATE "C" = p COLLATE "C" LOOP s := left(s, char_length(s) - char_length(p)); END LOOP;
	RETURN s;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.lpad(s text, n bigint, p text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n < 0 THEN NULL WHEN p = '' AND n > char_length(s) THEN '' ELSE lpad(s, n::int, p) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.rpad(s text, n bigint, p text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n < 0 THEN NULL WHEN p = '' AND n > char_length(s) THEN '' ELSE rpad(s, n::int, p) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.insert(s text, at bigint, n bigint, new text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN at < 1 OR at > char_length(s) THEN s
		WHEN n < 0 OR at + n > char_length(s) THEN left(s, (at - 1)::int) || new
		ELSE left(s, (at - 1)::int) || new || substr(s, (at + n)::int) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.ascii(s text) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN s = '' THEN 0 ELSE get_byte(convert_to(s, 'UTF8'), 0) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.unhex(s text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN s COLLATE "C" ~ '^[0-9A-Fa-f]*$' THEN decode(CASE WHEN char_length(s) % 2 = 1 THEN '0' ELSE '' END || s, 'hex') END
$$;
CREATE OR REPLACE FUNCTION xaproxy.from_base64(s text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	RETURN decode(s, 'base64');
EXCEPTION WHEN invalid_parameter_value THEN
	RETURN NULL;
END $$;
-- the first n bytes of a string, of which none is half a character
CREATE OR REPLACE FUNCTION xaproxy.cut(s text, n int) RETURNS text LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE b bytea;
BEGIN
	IF octet_length(s) <= n THEN RETURN s; END IF;
	b := convert_to(s, 'UTF8');
	WHILE n > 0 AND get_byte(b, n) & 192 = 128 LOOP n := n - 1; END LOOP;
	RETURN convert_from(substring(b from 1 for n), 'UTF8');
END $$;

-- What looks into strings needs a function for each collation, since PostgreSQL does it only bytewise.
DO $do$
DECLARE
	name text;
	body text;
BEGIN
	FOREACH name IN ARRAY ARRAY['utf8mb4_0900_ai_ci', 'utf8mb4_0900_as_ci', 'utf8mb4_0900_as_cs', 'C'] LOOP
		body := $f$
CREATE OR REPLACE FUNCTION xaproxy."like_%1$s"(s text, p text, e text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	i int := 1;
	j int := 1;
	c text;
	n int := char_length(s);
	m int := char_length(p);
	star int := 0;
	back int;
	hit boolean;
BEGIN
	IF '%1$s' LIKE '%%ci' AND octet_length(s) = n AND octet_length(p) = m AND octet_length(e) = char_length(e) THEN
		RETURN (s COLLATE "C") ILIKE (p COLLATE "C") ESCAPE e;
	END IF;
	LOOP
		hit := false;
		IF j <= m THEN
			c := substr(p, j, 1);
			IF c COLLATE "C" = '%%' AND c COLLATE "C" <> e THEN
				star := j; back := i; j := j + 1; CONTINUE;
			END IF;
			IF i <= n THEN
				IF e <> '' AND c COLLATE "C" = e AND j < m THEN
					hit := substr(s, i, 1) COLLATE %2$s = substr(p, j + 1, 1);
					IF hit THEN j := j + 1; END IF;
				ELSE
					hit := c COLLATE "C" = '_' OR substr(s, i, 1) COLLATE %2$s = c;
				END IF;
			END IF;
		ELSIF i > n THEN
			RETURN true;
		END IF;
		IF hit THEN
			i := i + 1; j := j + 1;
		ELSIF star > 0 AND back <= n THEN
			back := back + 1; i := back; j := star + 1;
		ELSE
			RETURN false;
		END IF;
	END LOOP;
END $$$f$;
		EXECUTE format(body, name, CASE name WHEN 'C' THEN '"C"' ELSE 'xaproxy.' || name END);
		body := $f$
CREATE OR REPLACE FUNCTION xaproxy."locate_%1$s"(sub text, s text, at bigint) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	i int;
BEGIN
	IF at < 1 OR at > char_length(s) + 1 THEN RETURN 0; END IF;
	IF sub = '' THEN RETURN at; END IF;
	IF '%1$s' = 'C' OR '%1$s' LIKE '%%ci' AND octet_length(s) = char_length(s) AND octet_length(sub) = char_length(sub) THEN
		IF '%1$s' <> 'C' THEN s := lower(s COLLATE "C"); sub := lower(sub COLLATE "C"); END IF;
		i := strpos(substr(s, at::int) COLLATE "C", sub);
		RETURN CASE WHEN i = 0 THEN 0 ELSE i + at - 1 END;
	END IF;
	FOR i IN at .. char_length(s) - char_length(sub) + 1 LOOP
		IF substr(s, i, char_length(sub)) COLLATE %2$s = sub THEN RETURN i; END IF;
	END LOOP;
	RETURN 0;
END $$$f$;
		EXECUTE format(body, name, CASE name WHEN 'C' THEN '"C"' ELSE 'xaproxy.' || name END);
		body := $f$
CREATE OR REPLACE FUNCTION xaproxy."find_in_set_%1$s"(s text, list text) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT COALESCE(min(n), 0)::int FROM unnest(string_to_array(list COLLATE "C", ',')) WITH ORDINALITY AS u(e, n)
	WHERE e COLLATE %2$s = s AND strpos(s COLLATE "C", ',') = 0
$$$f$;
		EXECUTE format(body, name, CASE name WHEN 'C' THEN '"C"' ELSE 'xaproxy.' || name END);
	END LOOP;
END $do$;

-- the element of an ENUM, or the SET, that is meant; what is none stays as it is, for the column's CHECK to refuse
CREATE OR REPLACE FUNCTION xaproxy.element_of(s text, elements text[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT COALESCE((SELECT e FROM unnest(elements) AS e WHERE e COLLATE xaproxy.utf8mb4_0900_ai_ci = rtrim(s, ' ')), s)
$$;
CREATE OR REPLACE FUNCTION xaproxy.set_of(s text, elements text[]) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN s = '' THEN ''
		WHEN EXISTS (SELECT FROM unnest(string_to_array(s COLLATE "C", ',')) AS p WHERE NOT EXISTS (SELECT FROM unnest(elements) AS e WHERE e COLLATE xaproxy.utf8mb4_0900_ai_ci = p)) THEN s
		ELSE COALESCE((SELECT string_agg(e, ',' ORDER BY n) FROM unnest(elements) WITH ORDINALITY AS u(e, n)
			WHERE EXISTS (SELECT FROM unnest(string_to_array(s COLLATE "C", ',')) AS p WHERE e COLLATE xaproxy.utf8mb4_0900_ai_ci = p)), '') END
$$;
CREATE OR REPLACE FUNCTION xaproxy.pad(b bytea, n int) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT b || decode(repeat('00', greatest(n - octet_length(b), 0)), 'hex')
$$;

-- Times.

-- a YEAR as it is compared
CREATE OR REPLACE FUNCTION xaproxy.year(n int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n BETWEEN 1 AND 69 THEN n + 2000 WHEN n BETWEEN 70 AND 99 THEN n + 1900 ELSE n END
$$;

-- what MySQL has a date for
CREATE OR REPLACE FUNCTION xaproxy.within(t timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN t >= '0001-01-01' AND t < '10000-01-01' THEN t END
$$;
CREATE OR REPLACE FUNCTION xaproxy.must_be_within(t timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN t >= '0001-01-01' AND t < '10000-01-01' THEN t WHEN xaproxy.fail('22008', 'Datetime function: datetime field overflow') THEN t END
$$;

CREATE OR REPLACE FUNCTION xaproxy.epoch(t timestamptz) RETURNS numeric LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN t < '1970-01-01 00:00:00+00' OR t >= '3001-01-19 00:00:00+00' THEN 0 ELSE extract(epoch FROM t) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.from_unixtime(n bigint) RETURNS timestamp LANGUAGE sql STABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n BETWEEN 0 AND 32536771199 THEN to_timestamp(n)::timestamp END
$$;
CREATE OR REPLACE FUNCTION xaproxy.to_seconds(t timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT floor(extract(epoch FROM t - '0001-01-01'::timestamp))::bigint + 366 * 86400
$$;
-- a TIME of less than a day
CREATE OR REPLACE FUNCTION xaproxy.time_of(i interval) RETURNS time LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF extract(epoch FROM i) < 0 OR extract(epoch FROM i) >= 86400 THEN
		RAISE EXCEPTION USING ERRCODE = '22008', MESSAGE = format('%s is not a time of day', i);
	END IF;
	RETURN '00:00'::time + i;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.str_to_date(s text, pattern text, parts text) RETURNS timestamp LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	m text[] := regexp_match(s COLLATE "C", pattern);
	n int[] := ARRAY[0, 0, 0, 0, 0, 0];
BEGIN
	IF m IS NULL THEN RETURN NULL; END IF;
	FOR i IN 1 .. char_length(parts) LOOP n[strpos('YmdHis', substr(parts, i, 1))] := m[i]; END LOOP;
	RETURN make_timestamp(n[1], n[2], n[3], n[4], n[5], n[6]);
EXCEPTION WHEN datetime_field_overflow THEN
	RETURN NULL;
END $$;
-- sql/item_timefunc.cc, calc_week: mode 1 is Monday first, 2 is 1 to 53, 4 is "the week with the first such day"
CREATE OR REPLACE FUNCTION xaproxy.yearweek_of(d date, mode int) RETURNS int[] LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	monday boolean := mode & 1 = 1;
	with_year boolean := mode & 2 = 2;
	four_days boolean := (mode & 1 = 1) = (mode & 4 = 0);
	y int := extract(year FROM d);
	first date := make_date(y, 1, 1);
	weekday int := CASE WHEN monday THEN extract(isodow FROM first)::int - 1 ELSE extract(dow FROM first)::int END;
	days int;
	total int;
BEGIN
	IF extract(month FROM d) = 1 AND extract(day FROM d) <= 7 - weekday THEN
		IF NOT with_year AND (NOT four_days AND weekday <> 0 OR four_days AND weekday >= 4) THEN
			RETURN ARRAY[y, 0];
		END IF;
		IF with_year AND (NOT four_days AND weekday <> 0 OR four_days AND weekday >= 4) THEN
			y := y - 1;
			total := make_date(y, 12, 31) - make_date(y, 1, 1) + 1;
			first := first - total;
			weekday := (weekday + 53 * 7 - total) % 7;
		END IF;
	END IF;
	IF NOT four_days AND weekday <> 0 OR four_days AND weekday >= 4 THEN
		days := d - (first + (7 - weekday));
	ELSE
		days := d - (first - weekday);
	END IF;
	IF with_year AND days >= 52 * 7 THEN
		total := make_date(y, 12, 31) - make_date(y, 1, 1) + 1;
		weekday := (weekday + total) % 7;
		IF four_days AND weekday < 4 OR NOT four_days AND weekday = 0 THEN
			RETURN ARRAY[y + 1, 1];
		END IF;
	END IF;
	RETURN ARRAY[y, days / 7 + 1];
END $$;
CREATE OR REPLACE FUNCTION xaproxy.week(d date, mode int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT (xaproxy.yearweek_of(d, mode & 7))[2]
$$;
CREATE OR REPLACE FUNCTION xaproxy.yearweek(d date, mode int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT w[1] * 100 + w[2] FROM xaproxy.yearweek_of(d, mode & 7 | 2) AS w
$$;
CREATE OR REPLACE FUNCTION xaproxy.makedate(y bigint, n bigint) RETURNS date LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN n > 0 THEN make_date((CASE WHEN y < 70 THEN y + 2000 WHEN y < 100 THEN y + 1900 ELSE y END)::int, 1, 1) + (n - 1)::int END
$$;
CREATE OR REPLACE FUNCTION xaproxy.timestampdiff(unit text, a timestamp, b timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT (CASE unit
		WHEN 'YEAR' THEN trunc(m / 12) WHEN 'QUARTER' THEN trunc(m / 3) WHEN 'MONTH' THEN m
		WHEN 'WEEK' THEN trunc(s / 604800) WHEN 'DAY' THEN trunc(s / 86400) WHEN 'HOUR' THEN trunc(s / 3600) WHEN 'MINUTE' THEN trunc(s / 60)
		WHEN 'SECOND' THEN trunc(s) ELSE s * 1000000 END)::bigint
	FROM (SELECT extract(epoch FROM b - a) AS s,
		CASE WHEN b >= a THEN raw - (CASE WHEN days_b < days_a THEN 1 ELSE 0 END) ELSE raw + (CASE WHEN days_b > days_a THEN 1 ELSE 0 END) END::numeric AS m
		FROM (SELECT (extract(year FROM b) - extract(year FROM a)) * 12 + extract(month FROM b) - extract(month FROM a) AS raw,
			extract(epoch FROM b - date_trunc('month', b)) AS days_b, extract(epoch FROM a - date_trunc('month', a)) AS days_a) AS x) AS y
$$;
CREATE OR REPLACE FUNCTION xaproxy.sleep(d double precision) RETURNS int LANGUAGE plpgsql VOLATILE STRICT AS $$
BEGIN
	PERFORM pg_sleep(d);
	RETURN 0;
END $$;

CREATE OR REPLACE FUNCTION xaproxy.crc32(b bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	c bigint := 4294967295;
BEGIN
	FOR i IN 0 .. octet_length(b) - 1 LOOP
		c := c # get_byte(b, i);
		FOR j IN 1 .. 8 LOOP
			c := (c >> 1) # (3988292384 * (c & 1));
		END LOOP;
	END LOOP;
	RETURN c # 4294967295;
END $$;

-- Locks by name, of the session. Each has a number among PostgreSQL's advisory locks.
CREATE OR REPLACE FUNCTION xaproxy.lock_number(name text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF char_length(name) NOT BETWEEN 1 AND 64 THEN
		RAISE EXCEPTION USING ERRCODE = '42602', MESSAGE = format('"%s" is no name of a lock: it has between 1 and 64 characters', name);
	END IF;
	RETURN hashtextextended(xaproxy.lower(name) COLLATE "C", 0);
END $$;
CREATE OR REPLACE FUNCTION xaproxy.advisory_locks() RETURNS TABLE (number bigint, pid int) LANGUAGE sql VOLATILE AS $$
	SELECT (classid::bigint << 32) | objid::bigint, pid FROM pg_locks
	WHERE locktype = 'advisory' AND granted AND objsubid = 1 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
$$;
CREATE OR REPLACE FUNCTION xaproxy.get_lock(name text, seconds double precision) RETURNS int LANGUAGE plpgsql VOLATILE STRICT AS $$
DECLARE
	before text := current_setting('lock_timeout');
BEGIN
	IF pg_try_advisory_lock(xaproxy.lock_number(name)) THEN RETURN 1; END IF;
	IF seconds = 0 THEN RETURN 0; END IF;
	PERFORM set_config('lock_timeout', CASE WHEN seconds < 0 THEN '0' ELSE least(ceil(seconds * 1000), 2147483647)::bigint::text END, true);
	PERFORM pg_advisory_lock(xaproxy.lock_number(name));
	PERFORM set_config('lock_timeout', before, true);
	RETURN 1;
EXCEPTION WHEN lock_not_available THEN
	RETURN 0;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.release_lock(name text) RETURNS int LANGUAGE plpgsql VOLATILE STRICT AS $$
DECLARE
	holder int := (SELECT l.pid FROM xaproxy.advisory_locks() l WHERE l.number = xaproxy.lock_number(name));
BEGIN
	IF holder = pg_backend_pid() THEN
		PERFORM pg_advisory_unlock(xaproxy.lock_number(name));
		RETURN 1;
	END IF;
	RETURN CASE WHEN holder IS NULL THEN NULL ELSE 0 END;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.release_all_locks() RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	n bigint := 0;
	held bigint;
BEGIN
	LOOP
		SELECT l.number INTO held FROM xaproxy.advisory_locks() l WHERE l.pid = pg_backend_pid() LIMIT 1;
		IF NOT FOUND THEN RETURN n; END IF;
		PERFORM pg_advisory_unlock(held);
		n := n + 1;
	END LOOP;
END $$;
-- the session that has a lock, as CONNECTION_ID() calls it
CREATE OR REPLACE FUNCTION xaproxy.lock_holder(name text) RETURNS bigint LANGUAGE sql VOLATILE STRICT AS $$
	SELECT (a.pid & 4194303)::bigint | (extract(epoch FROM a.backend_start)::bigint & 1023) << 22
	FROM xaproxy.advisory_locks() l JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.number = xaproxy.lock_number(name)
$$;

-- JSON.

CREATE OR REPLACE FUNCTION xaproxy.json_contains(t jsonb, c jsonb) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	IF jsonb_typeof(t) = 'array' THEN
		IF jsonb_typeof(c) = 'array' THEN
			RETURN NOT EXISTS (SELECT FROM jsonb_array_elements(c) AS x(e) WHERE NOT EXISTS (SELECT FROM jsonb_array_elements(t) AS y(f) WHERE xaproxy.json_contains(f, e)));
		END IF;
		RETURN EXISTS (SELECT FROM jsonb_array_elements(t) AS y(f) WHERE xaproxy.json_contains(f, c));
	ELSIF jsonb_typeof(t) = 'object' THEN
		RETURN jsonb_typeof(c) = 'object' AND NOT EXISTS (SELECT FROM jsonb_each(c) AS x(k, v) WHERE NOT COALESCE(xaproxy.json_contains(t -> k, v), false));
	END IF;
	RETURN t = c;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.json_merge_patch(t jsonb, p jsonb) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
	r record;
BEGIN
	IF jsonb_typeof(p) <> 'object' THEN RETURN p; END IF;
	IF jsonb_typeof(t) <> 'object' THEN t := '{}'; END IF;
	FOR r IN SELECT * FROM jsonb_each(p) AS x(k, v) LOOP
		IF jsonb_typeof(r.v) = 'null' THEN
			t := t - r.k;
		ELSE
			t := t || jsonb_build_object(r.k, xaproxy.json_merge_patch(COALESCE(t -> r.k, '{}'), r.v));
		END IF;
	END LOOP;
	RETURN t;
END $$;

CREATE OR REPLACE FUNCTION xaproxy.json_value(j jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
	SELECT COALESCE(j, 'null'::jsonb)
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_unquote(j jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE jsonb_typeof(j) WHEN 'string' THEN j #>> '{}' ELSE j::text END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_at(j jsonb, n int) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN jsonb_typeof(j) = 'array' THEN j -> n WHEN n = 0 THEN j END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_length(j jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE jsonb_typeof(j) WHEN 'array' THEN jsonb_array_length(j)::bigint WHEN 'object' THEN (SELECT count(*) FROM jsonb_object_keys(j)) ELSE 1 END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_keys(j jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN jsonb_typeof(j) = 'object' THEN (SELECT COALESCE(jsonb_agg(k ORDER BY n), '[]'::jsonb) FROM jsonb_object_keys(j) WITH ORDINALITY AS u(k, n)) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_valid(s text) RETURNS boolean LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	PERFORM s::jsonb;
	RETURN true;
EXCEPTION WHEN others THEN
	RETURN false;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.json_type(j jsonb) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE jsonb_typeof(j) WHEN 'number' THEN CASE WHEN j::text ~ '^-?\d+$' THEN 'INTEGER' ELSE 'DOUBLE' END ELSE upper(jsonb_typeof(j)) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_depth(j jsonb) RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
	RETURN 1 + CASE jsonb_typeof(j)
		WHEN 'array' THEN (SELECT COALESCE(max(xaproxy.json_depth(v)), 0) FROM jsonb_array_elements(j) AS u(v))
		WHEN 'object' THEN (SELECT COALESCE(max(xaproxy.json_depth(v)), 0) FROM jsonb_each(j) AS u(k, v))
		ELSE 0 END;
END $$;
-- whether the path's parent is an object
CREATE OR REPLACE FUNCTION xaproxy.json_parent(j jsonb, path text[]) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT NOT EXISTS (
		SELECT FROM generate_series(0, array_length(path, 1) - 1) AS n WHERE jsonb_typeof(j #> path[1:n]) IS DISTINCT FROM 'object')
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_set(j jsonb, path text[], v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN xaproxy.json_parent(j, path) THEN jsonb_set(j, path, v, true) ELSE j END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_replace(j jsonb, path text[], v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN xaproxy.json_parent(j, path) THEN jsonb_set(j, path, v, false) ELSE j END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_insert(j jsonb, path text[], v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN xaproxy.json_parent(j, path) AND j #> path IS NULL THEN jsonb_set(j, path, v, true) ELSE j END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_array_append(j jsonb, path text[], v jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE
		WHEN NOT xaproxy.json_parent(j, path) OR j #> path IS NULL THEN j
		WHEN jsonb_typeof(j #> path) = 'array' THEN jsonb_set(j, path, (j #> path) || jsonb_build_array(v))
		ELSE jsonb_set(j, path, jsonb_build_array(j #> path, v)) END
$$;
CREATE OR REPLACE FUNCTION xaproxy.json_remove(j jsonb, path text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
	SELECT CASE WHEN xaproxy.json_parent(j, path) THEN j #- path ELSE j END
$$;

-- Copies of rows that other servers have, too.

-- waits for the transactions that have changed the table and are prepared
CREATE OR REPLACE PROCEDURE xaproxy.settle(changed regclass) LANGUAGE plpgsql AS $$
DECLARE
	until constant timestamptz = clock_timestamp() + NULLIF(current_setting('lock_timeout'), '0')::interval;
BEGIN
	WHILE EXISTS (SELECT FROM pg_locks WHERE relation = changed AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND locktype = 'relation' AND mode = 'RowExclusiveLock' AND pid IS NULL AND granted) LOOP
		IF clock_timestamp() > until THEN
			RAISE EXCEPTION USING ERRCODE = '55P03', MESSAGE = 'a transaction that has changed the table is still prepared';
		END IF;
		PERFORM pg_sleep(0.002);
	END LOOP;
END $$;

-- the counter gives n next; what it would have given, but for one
CREATE OR REPLACE FUNCTION xaproxy.renumber(sequence regclass, n bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	before bigint;
BEGIN
	EXECUTE 'SELECT last_value - (NOT is_called)::int FROM ' || sequence INTO before;
	PERFORM setval(sequence, n, false);
	RETURN before;
END $$;

-- Numbers of AUTO_INCREMENT. A number that the client gives moves the counter behind it. The lock keeps two sessions from moving it back.
CREATE OR REPLACE FUNCTION xaproxy.advance(sequence regclass, n bigint) RETURNS bigint LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	last bigint;
	called boolean;
BEGIN
	IF n IS NULL OR n < 1 OR n >= 9223372036854775807 THEN RETURN n; END IF;
	BEGIN
		PERFORM pg_advisory_lock(7813, (sequence::oid::bigint & 2147483647)::int);
		EXECUTE 'SELECT last_value, is_called FROM ' || sequence INTO last, called;
		IF n > last OR n = last AND NOT called THEN PERFORM setval(sequence, n); END IF;
		PERFORM pg_advisory_unlock(7813, (sequence::oid::bigint & 2147483647)::int);
	EXCEPTION WHEN query_canceled OR OTHERS THEN -- the lock is the session's, which lives on
		PERFORM pg_advisory_unlock(7813, (sequence::oid::bigint & 2147483647)::int);
		RAISE;
	END;
	RETURN n;
END $$;

-- Changes of tables, whose keys and CHECKs have their names.

CREATE OR REPLACE FUNCTION xaproxy.rename_table(old_schema text, old_name text, new_schema text, new_name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE r record;
BEGIN
	IF old_schema <> new_schema THEN
		IF to_regclass(format('%I.%I', new_schema, new_name)) IS NOT NULL THEN
			RAISE EXCEPTION USING ERRCODE = '42P07', MESSAGE = format('relation "%s" already exists', new_name);
		END IF;
		EXECUTE format('ALTER TABLE %I.%I SET SCHEMA %I', old_schema, old_name, new_schema);
	END IF;
	IF old_name = new_name THEN RETURN; END IF;
	EXECUTE format('ALTER TABLE %I.%I RENAME TO %I', new_schema, old_name, new_name);
	FOR r IN SELECT conname FROM pg_constraint WHERE conrelid = format('%I.%I', new_schema, new_name)::regclass AND starts_with(conname, old_name || '.') LOOP
		EXECUTE format('ALTER TABLE %I.%I RENAME CONSTRAINT %I TO %I', new_schema, new_name, r.conname, new_name || substr(r.conname, length(old_name) + 1));
	END LOOP;
	FOR r IN SELECT i.relname FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
		WHERE x.indrelid = format('%I.%I', new_schema, new_name)::regclass AND starts_with(i.relname, old_name || '.') LOOP
		EXECUTE format('ALTER INDEX %I.%I RENAME TO %I', new_schema, r.relname, new_name || substr(r.relname, length(old_name) + 1));
	END LOOP;
END $$;
CREATE OR REPLACE FUNCTION xaproxy.rename_column(table_schema text, table_name text, old_name text, new_name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE r record;
BEGIN
	EXECUTE format('ALTER TABLE %I.%I RENAME COLUMN %I TO %I', table_schema, table_name, old_name, new_name);
	FOR r IN SELECT k FROM unnest(ARRAY['range', 'length', 'value']) AS u(k) JOIN pg_constraint
		ON conrelid = format('%I.%I', table_schema, table_name)::regclass AND conname = table_name || '.' || old_name || ' ' || k LOOP
		EXECUTE format('ALTER TABLE %I.%I RENAME CONSTRAINT %I TO %I', table_schema, table_name, table_name || '.' || old_name || ' ' || r.k, table_name || '.' || new_name || ' ' || r.k);
	END LOOP;
END $$;

CREATE OR REPLACE FUNCTION xaproxy.create_like(new_schema text, new_name text, old_schema text, old_name text) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	r record;
	old_table regclass := format('%I.%I', old_schema, old_name)::regclass;
BEGIN
	EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING DEFAULTS INCLUDING GENERATED INCLUDING IDENTITY INCLUDING CONSTRAINTS INCLUDING COMMENTS)', new_schema, new_name, old_table);
	FOR r IN SELECT conname FROM pg_constraint WHERE contype = 'c' AND conrelid = format('%I.%I', new_schema, new_name)::regclass AND starts_with(conname, old_name || '.') LOOP
		EXECUTE format('ALTER TABLE %I.%I RENAME CONSTRAINT %I TO %I', new_schema, new_name, r.conname, new_name || substr(r.conname, length(old_name) + 1));
	END LOOP;
	FOR r IN SELECT o.conname, i.relname, x.indisunique, pg_get_indexdef(i.oid) AS index, pg_get_constraintdef(o.oid) AS definition,
			CASE WHEN starts_with(i.relname, old_name || '.') THEN new_name || substr(i.relname, length(old_name) + 1) ELSE new_name || '.' || i.relname END AS name
		FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid LEFT JOIN pg_constraint o ON o.conindid = i.oid AND o.contype IN ('p', 'u', 'x') WHERE x.indrelid = old_table ORDER BY i.oid LOOP
		IF r.conname IS NOT NULL THEN
			EXECUTE format('ALTER TABLE %I.%I ADD CONSTRAINT %I %s', new_schema, new_name, r.name, r.definition);
		ELSE
			EXECUTE format('CREATE %s INDEX %I ON %I.%I%s', CASE WHEN r.indisunique THEN 'UNIQUE' END, r.name, new_schema, new_name, substring(r.index from ' USING .*$'));
		END IF;
	END LOOP;
	EXECUTE format('COMMENT ON TABLE %I.%I IS %L', new_schema, new_name, obj_description(old_table, 'pg_class'));
END $$;

-- information_schema as MySQL has it.

CREATE OR REPLACE FUNCTION xaproxy.json_member(v jsonb, d jsonb) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
SELECT CASE WHEN jsonb_typeof(d) = 'array' THEN EXISTS (SELECT FROM jsonb_array_elements(CASE WHEN jsonb_typeof(d) = 'array' THEN d END) AS e(v) WHERE e.v = json_member.v) ELSE d = v END
$$;

CREATE OR REPLACE VIEW xaproxy.schemata AS
SELECT 'def'::text AS "CATALOG_NAME", nspname::text COLLATE "C" AS "SCHEMA_NAME", 'utf8mb4'::text AS "DEFAULT_CHARACTER_SET_NAME", 'utf8mb4_0900_ai_ci'::text AS "DEFAULT_COLLATION_NAME"
FROM pg_namespace WHERE nspname NOT LIKE 'pg\_%' AND nspname NOT IN ('xaproxy');

CREATE OR REPLACE VIEW xaproxy.tables AS
SELECT 'def'::text AS "TABLE_CATALOG", n.nspname::text COLLATE "C" AS "TABLE_SCHEMA", c.relname::text COLLATE "C" AS "TABLE_NAME",
	CASE WHEN c.relkind IN ('v', 'm') THEN 'VIEW' ELSE 'BASE TABLE' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLE_TYPE",
	CASE WHEN c.relkind IN ('r', 'p') THEN 'InnoDB' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ENGINE", 10::bigint AS "VERSION", greatest(c.reltuples, 0)::bigint AS "TABLE_ROWS", NULL::bigint AS "AUTO_INCREMENT",
	'utf8mb4_0900_ai_ci'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLE_COLLATION", COALESCE(obj_description(c.oid, 'pg_class'), '') COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLE_COMMENT",
	CASE WHEN c.relkind IN ('r', 'p') THEN pg_table_size(c.oid) END AS "DATA_LENGTH", CASE WHEN c.relkind IN ('r', 'p') THEN pg_indexes_size(c.oid) END AS "INDEX_LENGTH", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CREATE_OPTIONS"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'xaproxy');

CREATE OR REPLACE VIEW xaproxy.columns AS
SELECT t."TABLE_CATALOG", t."TABLE_SCHEMA", t."TABLE_NAME", a.attname::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_NAME", row_number() OVER (PARTITION BY c.oid ORDER BY a.attnum) AS "ORDINAL_POSITION",
	CASE WHEN a.attidentity = '' AND a.attgenerated = '' THEN CASE
		WHEN pg_get_expr(d.adbin, d.adrelid) ~ '(statement_timestamp|xaproxy\.now)\(\)' THEN 'CURRENT_TIMESTAMP' || COALESCE(substring(ty.mysql from '\(\d\)'), '')
		ELSE regexp_replace(regexp_replace(pg_get_expr(d.adbin, d.adrelid), '::[a-z ]+(\(\d+\))?$', ''), '^''(.*)''$', '\1') END END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_DEFAULT",
	CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "IS_NULLABLE",
	substring(ty.mysql from '^[a-z]+') COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DATA_TYPE",
	CASE WHEN ty.mysql ~ '^(enum|set)\(' THEN (SELECT CASE WHEN ty.mysql LIKE 'enum%' THEN max(char_length(e)) ELSE sum(char_length(e)) + count(*) - 1 END
			FROM (SELECT replace((regexp_matches(ty.mysql, '''((?:[^'']|'''')*)''', 'g'))[1], '''''', '''') AS e) AS elements)
		WHEN ty.mysql ~ '^(var)?(char|binary)\(' THEN substring(ty.mysql from '\((\d+)\)')::bigint
		WHEN ty.mysql ~ '^tiny(text|blob)' THEN 255 WHEN ty.mysql ~ '^(text|blob)' THEN 65535 WHEN ty.mysql ~ '^medium(text|blob)' THEN 16777215 WHEN ty.mysql ~ '^long(text|blob)' THEN 4294967295 END::bigint AS "CHARACTER_MAXIMUM_LENGTH",
	CASE WHEN ty.mysql ~ '^decimal' THEN substring(ty.mysql from '\((\d+),')::bigint WHEN ty.mysql ~ '^tinyint' THEN 3 WHEN ty.mysql ~ '^smallint' THEN 5 WHEN ty.mysql ~ '^mediumint' THEN 7 WHEN ty.mysql ~ '^int' THEN 10
		WHEN ty.mysql ~ '^bigint unsigned' THEN 20 WHEN ty.mysql ~ '^bigint' THEN 19 WHEN ty.mysql ~ '^double' THEN 22 WHEN ty.mysql ~ '^float' THEN 12 WHEN ty.mysql ~ '^bit' THEN substring(ty.mysql from '\((\d+)\)')::bigint END::bigint AS "NUMERIC_PRECISION",
	CASE WHEN ty.mysql ~ '^decimal' THEN substring(ty.mysql from ',(\d+)\)')::bigint WHEN ty.mysql ~ 'int' THEN 0 END::bigint AS "NUMERIC_SCALE",
	CASE WHEN ty.mysql ~ '^(datetime|timestamp|time)' THEN COALESCE(substring(ty.mysql from '\((\d)\)')::bigint, 0) END AS "DATETIME_PRECISION",
	CASE WHEN ty.mysql ~ '^(var)?char|text|^enum|^set' THEN 'utf8mb4' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CHARACTER_SET_NAME",
	CASE WHEN ty.mysql ~ '^(var)?char|text|^enum|^set' THEN COALESCE((SELECT said FROM substring(col_description(c.oid, a.attnum) from ' collate ([0-9a-z_]+)[^{]*\}$') AS said
			WHERE l.collname IS NULL OR l.collname = said OR l.collname = 'C' AND said LIKE '%\_bin'), l.collname, 'utf8mb4_0900_bin') END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLLATION_NAME",
	ty.mysql COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_TYPE",
	COALESCE((SELECT CASE WHEN bool_or(x.indisprimary) THEN 'PRI' WHEN bool_or(x.indisunique AND x.indnkeyatts = 1) THEN 'UNI' WHEN bool_or(x.indkey[0] = a.attnum) THEN 'MUL' END
		FROM pg_index x WHERE x.indrelid = c.oid AND (x.indkey[0] = a.attnum OR x.indisprimary AND a.attnum = ANY (x.indkey))), '') COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_KEY",
	CASE WHEN a.attidentity <> '' THEN 'auto_increment' WHEN a.attgenerated <> '' THEN CASE a.attgenerated WHEN 's' THEN 'STORED' ELSE 'VIRTUAL' END || ' GENERATED' WHEN pg_get_expr(d.adbin, d.adrelid) ~ '(statement_timestamp|xaproxy\.now)\(\)' THEN 'DEFAULT_GENERATED' ELSE '' END
		|| CASE WHEN col_description(c.oid, a.attnum) LIKE '% on update}' THEN CASE WHEN d.adbin IS NULL THEN '' ELSE ' ' END || 'on update CURRENT_TIMESTAMP' || COALESCE(substring(ty.mysql from '\(\d\)'), '') ELSE '' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EXTRA",
	COALESCE(regexp_replace(col_description(c.oid, a.attnum), '\{mysql [^{]*\}$', ''), '') COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_COMMENT",
	CASE WHEN a.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) ELSE '' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "GENERATION_EXPRESSION"
FROM xaproxy.tables t
JOIN pg_namespace n ON n.nspname = t."TABLE_SCHEMA" COLLATE "C"
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = t."TABLE_NAME" COLLATE "C"
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation AND l.collname LIKE 'utf8mb4%',
LATERAL (SELECT COALESCE(
	regexp_replace(substring(col_description(c.oid, a.attnum) from '\{mysql ([^{]*)\}$'), '( collate [0-9a-z_]+)?( on update)?$', ''),
	CASE format_type(a.atttypid, NULL)
		WHEN 'boolean' THEN 'tinyint(1)' WHEN 'integer' THEN 'int' WHEN 'double precision' THEN 'double' WHEN 'real' THEN 'float' WHEN 'bytea' THEN 'longblob' WHEN 'jsonb' THEN 'json' WHEN 'uuid' THEN 'char(36)'
		WHEN 'timestamp without time zone' THEN 'datetime(' || CASE WHEN a.atttypmod < 0 THEN 6 ELSE a.atttypmod END || ')'
		WHEN 'timestamp with time zone' THEN 'timestamp(' || CASE WHEN a.atttypmod < 0 THEN 6 ELSE a.atttypmod END || ')'
		WHEN 'character varying' THEN CASE WHEN a.atttypmod < 0 THEN 'longtext' ELSE 'varchar(' || a.atttypmod - 4 || ')' END
		WHEN 'numeric' THEN CASE WHEN a.atttypmod < 0 THEN 'decimal(65,30)' ELSE replace(format_type(a.atttypid, a.atttypmod), 'numeric', 'decimal') END
		WHEN 'smallint' THEN 'smallint' WHEN 'bigint' THEN 'bigint' WHEN 'date' THEN 'date' WHEN 'json' THEN 'json' ELSE 'longtext' END) AS mysql) AS ty;

CREATE OR REPLACE VIEW xaproxy.statistics AS
SELECT 'def'::text AS "TABLE_CATALOG", n.nspname::text COLLATE "C" AS "TABLE_SCHEMA", c.relname::text COLLATE "C" AS "TABLE_NAME",
	(NOT x.indisunique)::int::bigint AS "NON_UNIQUE", n.nspname::text COLLATE "C" AS "INDEX_SCHEMA",
	CASE WHEN x.indisprimary THEN 'PRIMARY' WHEN starts_with(i.relname, c.relname || '.') THEN substr(i.relname, length(c.relname) + 2) ELSE i.relname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "INDEX_NAME",
	k.n::bigint AS "SEQ_IN_INDEX", a.attname::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_NAME", CASE WHEN a.attnotnull THEN '' ELSE 'YES' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "NULLABLE",
	'BTREE'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "INDEX_TYPE", NULL::bigint AS "SUB_PART", CASE WHEN x.indoption[k.n - 1] & 1 = 1 THEN 'D' ELSE 'A' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLLATION"
FROM pg_index x JOIN pg_class c ON c.oid = x.indrelid JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace,
	LATERAL unnest(x.indkey) WITH ORDINALITY AS k(num, n) JOIN pg_attribute a ON a.attnum = k.num
WHERE a.attrelid = c.oid AND k.n <= x.indnkeyatts AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'xaproxy');

CREATE OR REPLACE VIEW xaproxy.key_column_usage AS
SELECT n.nspname::text COLLATE "C" AS "CONSTRAINT_SCHEMA",
	CASE WHEN o.contype = 'p' THEN 'PRIMARY' WHEN starts_with(o.conname, c.relname || '.') THEN substr(o.conname, length(c.relname) + 2) ELSE o.conname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_NAME",
	n.nspname::text COLLATE "C" AS "TABLE_SCHEMA", c.relname::text COLLATE "C" AS "TABLE_NAME", a.attname::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLUMN_NAME", k.n::bigint AS "ORDINAL_POSITION",
	rn.nspname::text COLLATE "C" AS "REFERENCED_TABLE_SCHEMA", rc.relname::text COLLATE "C" AS "REFERENCED_TABLE_NAME", ra.attname::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "REFERENCED_COLUMN_NAME",
	'def'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_CATALOG", 'def'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLE_CATALOG", CASE WHEN o.contype = 'f' THEN k.n::bigint END AS "POSITION_IN_UNIQUE_CONSTRAINT"
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
CROSS JOIN LATERAL unnest(o.conkey) WITH ORDINALITY AS k(num, n) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.num
LEFT JOIN pg_class rc ON rc.oid = o.confrelid LEFT JOIN pg_namespace rn ON rn.oid = rc.relnamespace
LEFT JOIN pg_attribute ra ON ra.attrelid = rc.oid AND ra.attnum = o.confkey[k.n]
WHERE o.contype IN ('p', 'u', 'f') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('xaproxy');

CREATE OR REPLACE VIEW xaproxy.referential_constraints AS
SELECT n.nspname::text COLLATE "C" AS "CONSTRAINT_SCHEMA", CASE WHEN starts_with(o.conname, c.relname || '.') THEN substr(o.conname, length(c.relname) + 2) ELSE o.conname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_NAME",
	rn.nspname::text COLLATE "C" AS "UNIQUE_CONSTRAINT_SCHEMA",
	CASE WHEN x.indisprimary THEN 'PRIMARY' WHEN starts_with(i.relname, r.relname || '.') THEN substr(i.relname, length(r.relname) + 2) ELSE i.relname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "UNIQUE_CONSTRAINT_NAME",
	CASE o.confupdtype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "UPDATE_RULE",
	CASE o.confdeltype WHEN 'c' THEN 'CASCADE' WHEN 'n' THEN 'SET NULL' WHEN 'd' THEN 'SET DEFAULT' WHEN 'r' THEN 'RESTRICT' ELSE 'NO ACTION' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DELETE_RULE",
	c.relname::text COLLATE "C" AS "TABLE_NAME", r.relname::text COLLATE "C" AS "REFERENCED_TABLE_NAME"
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class r ON r.oid = o.confrelid JOIN pg_namespace rn ON rn.oid = r.relnamespace
JOIN pg_class i ON i.oid = o.conindid JOIN pg_index x ON x.indexrelid = i.oid
WHERE o.contype = 'f' AND n.nspname NOT IN ('xaproxy');

CREATE OR REPLACE VIEW xaproxy.table_constraints AS
SELECT 'def'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_CATALOG", n.nspname::text COLLATE "C" AS "CONSTRAINT_SCHEMA",
	CASE WHEN o.contype = 'p' THEN 'PRIMARY' WHEN starts_with(o.conname, c.relname || '.') THEN substr(o.conname, length(c.relname) + 2) ELSE o.conname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_NAME",
	n.nspname::text COLLATE "C" AS "TABLE_SCHEMA", c.relname::text COLLATE "C" AS "TABLE_NAME",
	CASE o.contype WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' WHEN 'f' THEN 'FOREIGN KEY' ELSE 'CHECK' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_TYPE",
	CASE WHEN to_jsonb(o) ->> 'conenforced' = 'false' THEN 'NO' ELSE 'YES' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ENFORCED" -- a column from 18 on
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (o.contype IN ('p', 'u', 'f') OR o.contype = 'c' AND o.conname !~ ' (range|length|value)$') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('xaproxy');

CREATE OR REPLACE VIEW xaproxy.triggers AS
SELECT n.nspname::text COLLATE "C" AS "TRIGGER_SCHEMA", t.tgname::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TRIGGER_NAME",
	concat_ws(' OR ', CASE WHEN t.tgtype & 4 <> 0 THEN 'INSERT' END, CASE WHEN t.tgtype & 16 <> 0 THEN 'UPDATE' END, CASE WHEN t.tgtype & 8 <> 0 THEN 'DELETE' END) COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EVENT_MANIPULATION",
	n.nspname::text COLLATE "C" AS "EVENT_OBJECT_SCHEMA", c.relname::text COLLATE "C" AS "EVENT_OBJECT_TABLE", pg_get_triggerdef(t.oid)::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ACTION_STATEMENT",
	CASE WHEN t.tgtype & 2 <> 0 THEN 'BEFORE' WHEN t.tgtype & 64 <> 0 THEN 'INSTEAD OF' ELSE 'AFTER' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ACTION_TIMING"
FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname NOT IN ('xaproxy');

CREATE OR REPLACE VIEW xaproxy.views AS
SELECT 'def'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLE_CATALOG", n.nspname::text COLLATE "C" AS "TABLE_SCHEMA", c.relname::text COLLATE "C" AS "TABLE_NAME", pg_get_viewdef(c.oid)::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "VIEW_DEFINITION"
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('v', 'm') AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'xaproxy');

-- PostgreSQL's functions are not called by translated statements.
CREATE OR REPLACE VIEW xaproxy.routines AS
SELECT ''::text COLLATE "C" AS "ROUTINE_SCHEMA", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ROUTINE_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ROUTINE_TYPE", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DTD_IDENTIFIER", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ROUTINE_BODY",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ROUTINE_DEFINITION", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "SQL_MODE", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CHARACTER_SET_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLLATION_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CHARACTER_SET_CLIENT",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLLATION_CONNECTION", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DATABASE_COLLATION"
WHERE false;
CREATE OR REPLACE VIEW xaproxy.parameters AS
SELECT ''::text COLLATE "C" AS "SPECIFIC_SCHEMA", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "SPECIFIC_NAME", 0::bigint AS "ORDINAL_POSITION", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "PARAMETER_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ROUTINE_TYPE",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DTD_IDENTIFIER", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CHARACTER_SET_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COLLATION_NAME"
WHERE false;

CREATE OR REPLACE VIEW xaproxy.processlist AS
SELECT (pid & 4194303)::bigint | (extract(epoch FROM backend_start)::bigint & 1023) << 22 AS "ID", usename::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "USER", COALESCE(host(client_addr), 'localhost')::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "HOST",
	datname::text COLLATE "C" AS "DB", CASE WHEN state = 'active' THEN 'Query' ELSE 'Sleep' END COLLATE xaproxy.utf8mb4_0900_ai_ci AS "COMMAND", extract(epoch FROM now() - state_change)::bigint AS "TIME",
	COALESCE(state, '')::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "STATE", CASE WHEN state = 'active' THEN query END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "INFO"
FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend';

-- A partition of PostgreSQL's is a table of its own.
CREATE OR REPLACE VIEW xaproxy.partitions AS
SELECT "TABLE_CATALOG", "TABLE_SCHEMA", "TABLE_NAME", NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "PARTITION_NAME", NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "SUBPARTITION_NAME",
	NULL::bigint AS "PARTITION_ORDINAL_POSITION", NULL::bigint AS "SUBPARTITION_ORDINAL_POSITION", NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "PARTITION_METHOD",
	NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "SUBPARTITION_METHOD", NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "PARTITION_EXPRESSION",
	NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "SUBPARTITION_EXPRESSION", NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "PARTITION_DESCRIPTION", "TABLE_ROWS",
	NULL::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLESPACE_NAME"
FROM xaproxy.tables WHERE "TABLE_TYPE" = 'BASE TABLE';

CREATE OR REPLACE VIEW xaproxy.files AS
SELECT ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "FILE_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "FILE_TYPE", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "TABLESPACE_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "LOGFILE_GROUP_NAME",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "ENGINE", 0::bigint AS "TOTAL_EXTENTS", 0::bigint AS "EXTENT_SIZE", 0::bigint AS "INITIAL_SIZE",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EXTRA"
WHERE false;

CREATE OR REPLACE VIEW xaproxy.events AS
SELECT ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EVENT_CATALOG", ''::text COLLATE "C" AS "EVENT_SCHEMA", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EVENT_NAME", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "DEFINER",
	''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EVENT_DEFINITION", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "EVENT_TYPE", ''::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "STATUS"
WHERE false;

-- Those of types are none to a client.
CREATE OR REPLACE VIEW xaproxy.check_constraints AS
SELECT 'def'::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_CATALOG", n.nspname::text COLLATE "C" AS "CONSTRAINT_SCHEMA",
	CASE WHEN starts_with(o.conname, c.relname || '.') THEN substr(o.conname, length(c.relname) + 2) ELSE o.conname END::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CONSTRAINT_NAME",
	pg_get_expr(o.conbin, o.conrelid)::text COLLATE xaproxy.utf8mb4_0900_ai_ci AS "CHECK_CLAUSE"
FROM pg_constraint o JOIN pg_class c ON c.oid = o.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE o.contype = 'c' AND o.conname !~ ' (range|length|value)$' AND n.nspname NOT LIKE 'pg\_%' AND n.nspname NOT IN ('information_schema', 'xaproxy');
