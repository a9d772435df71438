"""A database with everything that a statement may lead to."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from longshore.proto.postgres.constants import BackendType
from tests.pool.rig import session

if TYPE_CHECKING:
    from tests.server_process import Server

__all__ = ["SCHEMA", "make_database"]

SCHEMA = r"""
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS tablefunc;
CREATE EXTENSION IF NOT EXISTS moddatetime;
CREATE EXTENSION IF NOT EXISTS postgres_fdw;

CREATE SCHEMA other;
CREATE TABLE other.twin (id int);
CREATE TABLE twin (id int);
CREATE TABLE users (id int PRIMARY KEY, name text, updated_at timestamptz);
CREATE TABLE orders (id int PRIMARY KEY, user_id int REFERENCES users ON DELETE CASCADE, total int, at timestamptz);
CREATE TABLE items (id int, order_id int REFERENCES orders ON DELETE SET NULL);
CREATE TABLE notes (id int, user_id int REFERENCES users ON UPDATE CASCADE);
CREATE TABLE plain (id int, t text);
CREATE TABLE audit (id int, what text);
CREATE SEQUENCE counted;

CREATE TABLE events (at date, n int) PARTITION BY RANGE (at);
CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM ('2021-01-01') TO ('2022-01-01') PARTITION BY RANGE (n);
CREATE TABLE events_2_1 PARTITION OF events_2 FOR VALUES FROM (0) TO (10);
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);

CREATE VIEW order_names AS SELECT o.id, u.name FROM orders o JOIN users u ON u.id = o.user_id;
CREATE VIEW outer_names AS SELECT count(*) AS n FROM order_names;
CREATE VIEW rich AS SELECT * FROM orders WHERE total > 10;
CREATE VIEW recent AS SELECT * FROM orders WHERE at > now() - interval '1 day';
CREATE MATERIALIZED VIEW sums AS SELECT user_id, sum(total) FROM orders GROUP BY 1;

CREATE TABLE secret (id int, tenant text);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
CREATE FOREIGN TABLE remote (id int) SERVER far;

CREATE TABLE ruled (id int);
CREATE RULE ruled_log AS ON INSERT TO ruled DO ALSO INSERT INTO audit VALUES (1, 'rule');

CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.updated_at := now(); RETURN NEW; END $$;
CREATE TABLE touched (id int, updated_at timestamptz);
CREATE TRIGGER touched_touch BEFORE UPDATE ON touched FOR EACH ROW EXECUTE FUNCTION touch();
CREATE FUNCTION log_it() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF TG_OP = 'INSERT' THEN INSERT INTO audit VALUES (NEW.id, TG_TABLE_NAME); END IF; RETURN NULL; END $$;
CREATE TABLE logged (id int);
CREATE TRIGGER logged_log AFTER INSERT ON logged FOR EACH ROW EXECUTE FUNCTION log_it();
CREATE FUNCTION anything() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN EXECUTE 'DELETE FROM ' || 'plain'; RETURN NULL; END $$;
CREATE TABLE wild (id int);
CREATE TRIGGER wild_wild AFTER DELETE ON wild FOR EACH STATEMENT EXECUTE FUNCTION anything();
CREATE TABLE stamped (id int, at timestamp);
CREATE TRIGGER stamped_at BEFORE UPDATE ON stamped FOR EACH ROW EXECUTE FUNCTION moddatetime(at);
CREATE FUNCTION next_number() RETURNS int LANGUAGE sql AS
  $$ UPDATE plain SET id = id + 1 RETURNING id $$;
CREATE TABLE numbered (id int DEFAULT next_number(), t text);
CREATE FUNCTION insert_order() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO users (id, name) VALUES (NEW.id, NEW.name); RETURN NEW; END $$;
CREATE TRIGGER order_names_insert INSTEAD OF INSERT ON order_names FOR EACH ROW EXECUTE FUNCTION insert_order();

CREATE FUNCTION pure_add(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT a + b $$;
CREATE FUNCTION order_total(u int) RETURNS bigint LANGUAGE sql STABLE AS
  $$ SELECT sum(total) FROM orders WHERE user_id = u $$;
CREATE FUNCTION atomic_total() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT sum(total) FROM orders; END;
CREATE FUNCTION atomic_return(a int) RETURNS int LANGUAGE sql IMMUTABLE RETURN a + 1;
CREATE FUNCTION the_time() RETURNS timestamptz LANGUAGE sql STABLE AS $$ SELECT now() $$;
CREATE FUNCTION unmarked() RETURNS bigint LANGUAGE sql AS $$ SELECT count(*) FROM users $$;
CREATE FUNCTION pl_count() RETURNS bigint LANGUAGE plpgsql STABLE AS
  $$ DECLARE n bigint := 0; r record; BEGIN
     FOR r IN SELECT * FROM users LOOP n := n + 1; END LOOP; n := n + order_total(1); RETURN n; END $$;
CREATE FUNCTION pl_dynamic() RETURNS bigint LANGUAGE plpgsql STABLE AS
  $$ DECLARE n bigint; BEGIN EXECUTE 'SELECT count(*) FROM users' INTO n; RETURN n; END $$;
CREATE FUNCTION write_plain() RETURNS void LANGUAGE sql AS $$ DELETE FROM plain $$;
CREATE FUNCTION sneaky() RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM write_plain(); RETURN 1; END $$;
CREATE FUNCTION cyclic(n int) RETURNS int LANGUAGE plpgsql STABLE AS
  $$ BEGIN IF n > 0 THEN RETURN cyclic(n - 1); END IF; RETURN 0; END $$;
CREATE FUNCTION with_default(a int DEFAULT next_number()) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT a $$;
CREATE FUNCTION full_name(plain) RETURNS text LANGUAGE sql STABLE AS
  $$ SELECT $1.t || (SELECT name FROM users LIMIT 1) $$;
CREATE FUNCTION in_other() RETURNS bigint LANGUAGE sql STABLE SET search_path = other AS
  $$ SELECT count(*) FROM twin $$;

CREATE FUNCTION sets_guc() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('a.b', '1', false); END $$;
CREATE FUNCTION takes_lock() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_lock(7); END $$;
CREATE FUNCTION takes_short_lock() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN PERFORM pg_advisory_xact_lock(7); END $$;
CREATE FUNCTION makes_temp() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE made (n int); END $$;
CREATE FUNCTION calls_lock() RETURNS void LANGUAGE sql AS $$ SELECT takes_lock() $$;
CREATE FUNCTION listens() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LISTEN a; END $$;
CREATE FUNCTION writes_users() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN UPDATE users SET name = upper(name); END $$;

CREATE FUNCTION deletes_wild() RETURNS void LANGUAGE sql AS $$ DELETE FROM wild $$;
CREATE FUNCTION touches() RETURNS void LANGUAGE sql AS $$ UPDATE touched SET id = 1 $$;
CREATE PROCEDURE proceeds() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM plain; END $$;
CREATE PROCEDURE alters() LANGUAGE plpgsql AS $$ BEGIN ALTER TABLE plain ADD z int; END $$;
CREATE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN COMMIT; END $$;

CREATE FUNCTION wild_eq(text, int) RETURNS bool LANGUAGE sql VOLATILE AS $$ SELECT $1 = $2::text $$;
CREATE OPERATOR === (LEFTARG = text, RIGHTARG = int, FUNCTION = wild_eq);
CREATE AGGREGATE summed (int) (SFUNC = pure_add, STYPE = int, INITCOND = '0');
"""


def make_database(server: Server, name: str, schema: str = SCHEMA) -> None:
    """Make a database."""

    async def make() -> None:
        async with session(server.port) as client:
            for text in (f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}"):
                await client.query(text)
        async with session(server.port, name) as client:
            for frame in await client.query(schema):
                if frame.type == BackendType.ErrorResponse:
                    pytest.fail(repr(frame.raw))

    asyncio.run(make())
