-- Statements from PostgreSQL's regression tests (src/test/regress/sql of PostgreSQL 15), a choice, parted by lines ";;".
-- Valid ones and invalid ones. For tests/grammar.rs.
--
-- PostgreSQL Database Management System
-- (formerly known as Postgres, then as Postgres95)
-- Portions Copyright (c) 1996-2022, PostgreSQL Global Development Group
-- Portions Copyright (c) 1994, The Regents of the University of California
-- Permission to use, copy, modify, and distribute this software and its documentation for any purpose, without fee, and
-- without a written agreement is hereby granted, provided that the above copyright notice and this paragraph and the
-- following two paragraphs appear in all copies.
-- IN NO EVENT SHALL THE UNIVERSITY OF CALIFORNIA BE LIABLE TO ANY PARTY FOR DIRECT, INDIRECT, SPECIAL, INCIDENTAL, OR
-- CONSEQUENTIAL DAMAGES, INCLUDING LOST PROFITS, ARISING OUT OF THE USE OF THIS SOFTWARE AND ITS DOCUMENTATION, EVEN IF THE
-- UNIVERSITY OF CALIFORNIA HAS BEEN ADVISED OF THE POSSIBILITY OF SUCH DAMAGE.
-- THE UNIVERSITY OF CALIFORNIA SPECIFICALLY DISCLAIMS ANY WARRANTIES, INCLUDING, BUT NOT LIMITED TO, THE IMPLIED WARRANTIES
-- OF MERCHANTABILITY AND FITNESS FOR A PARTICULAR PURPOSE. THE SOFTWARE PROVIDED HEREUNDER IS ON AN "AS IS" BASIS, AND THE
-- UNIVERSITY OF CALIFORNIA HAS NO OBLIGATIONS TO PROVIDE MAINTENANCE, SUPPORT, UPDATES, ENHANCEMENTS, OR MODIFICATIONS.
;;
SELECT
	pg_advisory_xact_lock(1), pg_advisory_xact_lock_shared(2),
	pg_advisory_xact_lock(1, 1), pg_advisory_xact_lock_shared(2, 2)
;;
SELECT locktype, classid, objid, objsubid, mode, granted
	FROM pg_locks WHERE locktype = 'advisory' AND database = :datoid
	ORDER BY classid, objid, objsubid
;;
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND database = :datoid
;;
COPY aggtest FROM :'filename'
;;
SELECT avg(four) AS avg_1 FROM onek
;;
SELECT avg(a) AS avg_32 FROM aggtest WHERE a < 100
;;
SELECT avg(gpa) AS avg_3_4 FROM ONLY student
;;
SELECT max(aggtest.b) AS max_324_78 FROM aggtest
;;
SELECT stddev_pop(b::numeric) FROM aggtest
;;
SELECT stddev_pop(3.0::float8), stddev_samp(4.0::float8)
;;
SELECT var_pop('inf'::float8), var_samp('inf'::float8)
;;
SELECT var_pop(1.0::numeric), var_samp(2.0::numeric)
;;
select sum(null::int8) from generate_series(1,3)
;;
SELECT sum(x::float8), avg(x::float8), var_pop(x::float8)
FROM (VALUES ('infinity'), ('1')) v(x)
;;
SELECT avg(x::float8), var_pop(x::float8)
FROM (VALUES (7000000000005), (7000000000007)) v(x)
;;
SELECT regr_sxx(b, a) FROM aggtest
;;
SELECT covar_pop(1::float8,'inf'::float8), covar_samp(3::float8,'inf'::float8)
;;
INSERT INTO regr_test VALUES (10,150),(20,250),(30,350),(80,540),(100,200)
;;
SELECT count(*), sum(x), regr_sxx(y,x), sum(y),regr_syy(y,x), regr_sxy(y,x)
FROM regr_test WHERE x IN (10,20,30,80)
;;
SELECT float8_accum('{4,140,2900}'::float8[], 100)
;;
SELECT float8_combine('{3,60,200}'::float8[], '{0,0,0}'::float8[])
;;
SELECT count(DISTINCT four) AS cnt_4 FROM onek
;;
select ten, count(*), sum(four) from onek
group by ten order by ten
;;
-- test for outer-level aggregates

-- this should work
select ten, sum(distinct four) from onek a
group by ten
having exists (select 1 from onek b where sum(distinct a.four) = b.four)
;;
select s1, s2, sm
from generate_series(1, 3) s1,
     lateral (select s2, sum(s1 + s2) sm
              from generate_series(1, 3) s2 group by s2) ss
order by 1, 2
;;
explain (verbose, costs off)
select array(select sum(x+y) s
            from generate_series(1,3) y group by y order by s)
  from generate_series(1,3) x
;;
--
-- test for bitwise integer aggregates
--
CREATE TEMPORARY TABLE bitwise_test(
  i2 INT2,
  i4 INT4,
  i8 INT8,
  i INTEGER,
  x INT2,
  y BIT(4)
)
;;
COPY bitwise_test FROM STDIN NULL 'null'
;;
SELECT
  BOOL_AND(b1)     AS "f",
  BOOL_AND(b2)     AS "t",
  BOOL_AND(b3)     AS "f",
  BOOL_AND(b4)     AS "n",
  BOOL_AND(NOT b2) AS "f",
  BOOL_AND(NOT b3) AS "t"
FROM bool_test
;;
explain (costs off)
  select max(unique1) from tenk1
;;
explain (costs off)
  select max(unique1) from tenk1 where unique1 > 42
;;
select f1, (select min(unique1) from tenk1 where unique1 > f1) AS gt
  from int4_tbl
;;
select distinct max(unique2) from tenk1
;;
explain (costs off)
  select max(unique2) from tenk1 order by max(unique2)
;;
explain (costs off)
  select max(unique2) from tenk1 order by max(unique2)+1
;;
explain (costs off)
  select max(unique2), generate_series(1,3) as g from tenk1 order by g desc
;;
explain (costs off)
  select f1, (select distinct min(t1.f1) from int4_tbl t1 where t1.f1 = t0.f1)
  from int4_tbl t0
;;
select (select max(min(unique1)) from int8_tbl) from tenk1
;;
select avg((select avg(a1.col1 order by (select avg(a2.col2) from tenk1 a3))
            from tenk1 a1(col1)))
from tenk1 a2(col2)
;;
-- Test removal across multiple relations
explain (costs off) select *
from t1 inner join t2 on t1.a = t2.x and t1.b = t2.y
group by t1.a,t1.b,t1.c,t1.d,t2.x,t2.y,t2.z
;;
select f1 from t1 left join t2 using (f1) group by f1
;;
select t1.f1 from t1 left join t2 using (f1) group by t1.f1
;;
select array_agg(a order by a desc)
  from (values (1,4),(2,3),(3,1),(4,2)) v(a,b)
;;
select array_agg(distinct a)
  from (values (1),(2),(1),(3),(null),(2)) v(a)
;;
select array_agg(distinct a order by a desc nulls last)
  from (values (1),(2),(1),(3),(null),(2)) v(a)
;;
select aggfns(a,b,c)
  from (values (1,3,'foo'),(0,null,null),(2,2,'bar'),(3,1,'baz')) v(a,b,c)
;;
select aggfstr(distinct a,b,c order by b)
  from (values (1,3,'foo'),(0,null,null),(2,2,'bar'),(3,1,'baz')) v(a,b,c),
       generate_series(1,3) i
;;
select aggfns(distinct a,a,c order by c using ~<~)
  from (values (1,3,'foo'),(0,null,null),(2,2,'bar'),(3,1,'baz')) v(a,b,c),
       generate_series(1,2) i
;;
select aggfns(distinct a,b,c order by a,c using ~<~,b)
  from (values (1,3,'foo'),(0,null,null),(2,2,'bar'),(3,1,'baz')) v(a,b,c),
       generate_series(1,2) i
;;
select aggfns(distinct a,b,c order by a,b+1)
  from (values (1,1,'foo')) v(a,b,c), generate_series(1,2) i
;;
select string_agg(a,'AB') from (values(null),(null),('bbbb'),('cccc')) g(a)
;;
insert into bytea_test_table values(decode('ff','hex'))
;;
select string_agg(v, NULL) from bytea_test_table
;;
select sum(1/ten) filter (where ten > 0) from tenk1
;;
select ten, sum(distinct four) filter (where four::text ~ '123') from onek a
group by ten
;;
select max(foo COLLATE "C") filter (where (bar collate "POSIX") > '0')
from (values ('a', 'b')) AS v(foo,bar)
;;
select (select max(0) filter (where b1)) from bool_test
;;
select p, percentile_cont(p order by p) within group (order by x)  -- error
from generate_series(1,5) x,
     (values (0::float8),(0.1),(0.25),(0.4),(0.5),(0.6),(0.75),(0.9),(1)) v(p)
group by p order by p
;;
select p, sum() within group (order by x::float8)  -- error
from generate_series(1,5) x,
     (values (0::float8),(0.1),(0.25),(0.4),(0.5),(0.6),(0.75),(0.9),(1)) v(p)
group by p order by p
;;
select percentile_disc(array[0,0.1,0.25,0.5,0.75,0.9,1]) within group (order by thousand)
from tenk1
;;
select percentile_disc(array[[null,1,0.5],[0.75,0.25,null]]) within group (order by thousand)
from tenk1
;;
select ten, mode() within group (order by string4) from tenk1 group by ten
;;
select percentile_disc(array[0.25,0.5,0.75]) within group (order by x)
from unnest('{fred,jim,fred,jack,jill,fred,jill,jim,jim,sheila,jim,sheila}'::text[]) u(x)
;;
select rank('adam'::text collate "C") within group (order by x collate "POSIX")
  from (values ('fred'),('jim')) v(x)
;;
select least_agg(variadic array[q1,q2]) from int8_tbl
;;
select cleast_agg(4.5,f1) from int4_tbl
;;
SELECT variance(unique1::int4), sum(unique1::int8), regr_count(unique1::float8, unique1::float8)
FROM (SELECT * FROM tenk1
      UNION ALL SELECT * FROM tenk1
      UNION ALL SELECT * FROM tenk1
      UNION ALL SELECT * FROM tenk1) u
;;
-- check collation-sensitive matching between grouping expressions
select v||'a', case v||'a' when 'aa' then 1 else 0 end, count(*)
  from unnest(array['a','b']) u(v)
 group by v||'a' order by 1
;;
select v||'a', case when v||'a' = 'aa' then 1 else 0 end, count(*)
  from unnest(array['a','b']) u(v)
 group by v||'a' order by 1
;;
explain (costs off)
  select 1 from tenk1
   where (hundred, thousand) in (select twothousand, twothousand from onek)
;;
select unique1, count(*), sum(twothousand) from tenk1
group by unique1
having sum(fivethous) > 4975
order by sum(twothousand)
;;
explain (costs off)
select g%10000 as c1, sum(g::numeric) as c2, count(*) as c3
  from agg_data_20k group by g%10000
;;
create table agg_group_2 as
select * from
  (values (100), (300), (500)) as r(a),
  lateral (
    select (g/2)::numeric as c1,
           array_agg(g::numeric) as c2,
	   count(*) as c3
    from agg_data_2k
    where g < r.a
    group by g/2) as s
;;
(select * from agg_hash_2 except select * from agg_group_2)
  union all
(select * from agg_group_2 except select * from agg_hash_2)
;;
SELECT n.nspname, proname, prorettype::regtype, prokind, a.rolname
  FROM pg_proc p, pg_namespace n, pg_authid a
  WHERE p.pronamespace = n.oid AND p.proowner = a.oid
    AND n.nspname IN ('alt_nsp1', 'alt_nsp2')
  ORDER BY nspname, proname
;;
SELECT srvname FROM pg_foreign_server WHERE srvname like 'alt_fserv%'
;;
SELECT lanname, a.rolname
  FROM pg_language l, pg_authid a
  WHERE l.lanowner = a.oid AND l.lanname like 'alt_lang%'
  ORDER BY lanname
;;
ALTER OPERATOR FAMILY alt_opf4 USING btree ADD
  -- int4 vs int2
  OPERATOR 1 < (int4, int2) ,
  OPERATOR 2 <= (int4, int2) ,
  OPERATOR 3 = (int4, int2) ,
  OPERATOR 4 >= (int4, int2) ,
  OPERATOR 5 > (int4, int2) ,
  FUNCTION 1 btint42cmp(int4, int2)
;;
--
-- Text Search Parser
--

CREATE TEXT SEARCH PARSER alt_ts_prs1
    (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, lextypes = prsd_lextype)
;;
CREATE OPERATOR === (
    LEFTARG = boolean,
    RIGHTARG = boolean,
    PROCEDURE = alter_op_test_fn,
    COMMUTATOR = ===,
    NEGATOR = !==,
    RESTRICT = customcontsel,
    JOIN = contjoinsel,
    HASHES, MERGES
)
;;
SELECT pg_describe_object(refclassid,refobjid,refobjsubid) as ref, deptype
FROM pg_depend
WHERE classid = 'pg_operator'::regclass AND
      objid = '===(bool,bool)'::regoperator
ORDER BY 1
;;
ALTER OPERATOR === (boolean, boolean) SET (RESTRICT = NONE, JOIN = NONE)
;;
SELECT relation::regclass, mode FROM pg_locks
WHERE pid = pg_backend_pid() AND locktype = 'relation'
  AND relation::regclass::text LIKE 'alter\_idx%'
ORDER BY relation::regclass::text COLLATE "C"
;;
-- Try (and fail) to add constraint due to invalid destination columns explicitly given
ALTER TABLE attmp3 add constraint attmpconstr foreign key(a) references attmp2(b) match full
;;
explain (costs off) select * from nv_parent where d between '2011-08-01' and '2011-08-31'
;;
explain (costs off) select * from nv_parent where d between '2011-08-01'::date and '2011-08-31'::date
;;
SELECT conname, tgfoid::regproc, tgtype, tgdeferrable, tginitdeferred
FROM pg_trigger JOIN pg_constraint con ON con.oid = tgconstraint
WHERE tgrelid = 'pktable'::regclass
ORDER BY 1,2,3
;;
insert into atacc1 (test) values (4)
;;
update atacc3 set test2 = 4 where test2 is null
;;
insert into child (a, b) values (NULL, 'foo')
;;
insert into def_test default values
;;
create rule def_view_test_ins as
	on insert to def_view_test
	do instead insert into def_test select new.*
;;
select atacc1.* from atacc1
;;
insert into atacc1 values (default, 11, 12, 13)
;;
select * into attest2 from atacc1
;;
insert into atacc1(value) values (100)
;;
insert into atacc1(id, value) values (null, 0)
;;
copy attest to stdout
;;
copy attest(a) to stdout
;;
select relname, attname, attinhcount, attislocal
from pg_class join pg_attribute on (pg_class.oid = pg_attribute.attrelid)
where relname in ('p1','p2','c1','gc1') and attnum > 0 and not attisdropped
order by relname, attnum
;;
select attrelid::regclass, attname, attinhcount, attislocal
from pg_attribute
where attnum > 0 and attrelid::regclass in ('depth0', 'depth1', 'depth2')
order by attrelid::regclass::text, attnum
;;
update p1 set a1 = a1 + 1, f2 = upper(f2)
;;
insert into anothertab (atcol1, atcol2) values (default, true)
;;
insert into anothertab (atcol1, atcol2) values (default, false)
;;
alter table anothertab alter column atcol2 type text
      using case when atcol2 is true then 'IT WAS TRUE'
                 when atcol2 is false then 'IT WAS FALSE'
                 else 'IT WAS NULL!' end
;;
alter table another
  alter f1 type text using f2 || ' and ' || f3 || ' more',
  alter f2 type bigint using f1 * 10,
  drop column f3
;;
-- Use of row type in an expression is defended differently
create table at_tab2 (x int, y text, check((x,y)::at_tab1 = (1,'42')::at_tab1))
;;
select conname, obj_description(oid, 'pg_constraint') as desc
  from pg_constraint where conname like 'at_partitioned%'
  order by conname
;;
select reltoastrelid <> 0 as has_toast_table
  from pg_class where oid = 'test_storage'::regclass
;;
create trigger ttdummy
	before delete or update on alterlock
	for each row
	execute procedure
	ttdummy (1, 1)
;;
--
-- alter function
--
create function test_strict(text) returns text as
    'select coalesce($1, ''got passed a null'');'
    language sql returns null on null input
;;
create operator class alter1.ctype_hash_ops default for type alter1.ctype using hash as
  operator 1 alter1.=(alter1.ctype, alter1.ctype)
;;
insert into alter1.t1(f2) values(11)
;;
SELECT col_description('comment_test'::regclass, 1) as comment
;;
SELECT indexrelid::regclass::text as index, obj_description(indexrelid, 'pg_class') as comment FROM pg_index where indrelid = 'comment_test'::regclass ORDER BY 1, 2
;;
SELECT conname as constraint, obj_description(oid, 'pg_constraint') as comment FROM pg_constraint where conrelid = 'comment_test'::regclass ORDER BY 1, 2
;;
SELECT m.* FROM filenode_mapping m LEFT JOIN pg_class c ON c.oid = m.oid
WHERE c.oid IS NOT NULL OR m.mapped_oid IS NOT NULL
;;
UPDATE old_system_table SET id = -id
;;
ALTER TABLE ataddindex
  ALTER f1 SET DATA TYPE TEXT,
  ADD EXCLUDE ((f1 LIKE 'a') WITH =)
;;
-- check that partition bound is compatible
CREATE TABLE list_parted (
	a int NOT NULL,
	b char(2) COLLATE "C",
	CONSTRAINT check_a CHECK (a > 0)
) PARTITION BY LIST (a)
;;
CREATE TABLE part_7_a_null (
	c int,
	d int,
	e int,
	LIKE list_parted2,  -- 'a' will have attnum = 4
	CONSTRAINT check_b CHECK (b IS NULL OR b = 'a'),
	CONSTRAINT check_a CHECK (a IS NOT NULL AND a = 7)
)
;;
-- constraint should be created
CREATE TABLE part_rp100 PARTITION OF range_parted2 (CHECK (a>=123 AND a<133 AND a IS NOT NULL)) FOR VALUES FROM (100) to (200)
;;
CREATE INDEX fooindex ON foo (f1 desc, f2 asc, f3 nulls first, f4 nulls last)
;;
UPDATE arrtest SET e[0] = '1.1'
;;
INSERT INTO arrtest (a, b[1:2][1:2], c, d, e, f, g)
   VALUES ('{11,12,23}', '{{3,4},{4,5}}', '{"foobar"}',
           '{{"elt1", "elt2"}}', '{"3.4", "6.7"}',
           '{"abc","abcde"}', '{"abc","abcde"}')
;;
INSERT INTO arrtest (b[2]) VALUES(now())
;;
SELECT arrtest.a[1],
          arrtest.b[1][1][1],
          arrtest.c[1],
          arrtest.d[1][1],
          arrtest.e[0]
   FROM arrtest
;;
UPDATE arrtest
  SET a[1:2] = '{16,25}'
  WHERE NOT a = '{}'::_int2
;;
UPDATE arrtest
  SET b[1:1][1:1][1:2] = '{113, 117}',
      b[1:1][1:2][2:2] = '{142, 147}'
  WHERE array_dims(b) = '[1:1][1:2][1:2]'
;;
UPDATE arrtest
  SET c[2:2] = '{"new_word"}'
  WHERE array_dims(c) is not null
;;
UPDATE arrtest SET a[4] = NULL WHERE a[2] IS NULL
;;
DELETE FROM arrtest WHERE a[2] IS NULL AND b IS NULL
;;
select ('{{1,2,3},{4,5,6},{7,8,9}}'::int[])[1:2][2]
;;
SELECT ('{{{1},{2},{3}},{{4},{5},{6}}}'::int[])[1][NULL:1][1]
;;
SELECT ('{{{1},{2},{3}},{{4},{5},{6}}}'::int[])[1][1:NULL][1]
;;
SELECT a[:3], b[:2][:2] FROM arrtest_s
;;
SELECT a[2:], b[2:][2:] FROM arrtest_s
;;
UPDATE arrtest_s SET a[:] = '{11, 12, 13, 14, 15}'
;;
INSERT INTO point_tbl(f1[0]) VALUES(0) RETURNING *
;;
insert into arrtest1 values(array[1,2,null,4], array['one','two',null,'four'])
;;
update arrtest1 set i[2] = 22, t[2] = 'twenty-two'
;;
update arrtest1 set i[-3] = -3, t[-3] = 'minus-three'
;;
update arrtest1 set i[0:2] = array[10,11,12], t[0:2] = array['ten','eleven','twelve']
;;
update arrtest1 set i[-5:-3] = array[-15,-14,-13], t[-5:-3] = array['m15','m14','m13']
;;
--
-- array expressions and operators
--

-- table creation and INSERTs
CREATE TEMP TABLE arrtest2 (i integer ARRAY[4], f float8[], n numeric[], t text[], d timestamp[])
;;
insert into arrtest_f values(1,'cat1',1.21)
;;
-- expressions
SELECT t.f[1][3][1] AS "131", t.f[2][2][1] AS "221" FROM (
  SELECT ARRAY[[[111,112],[121,122],[131,132]],[[211,212],[221,122],[231,232]]] AS f
) AS t
;;
SELECT ARRAY[[[[[['hello'],['world']]]]]]
;;
SELECT ARRAY[ARRAY['hello'],ARRAY['world']]
;;
SELECT array_prepend(6, array[42]) AS "{6,42}"
;;
SELECT array_positions(NULL, NULL::int)
;;
SELECT array_length(array_positions(ARRAY(SELECT 'AAAAAAAAAAAAAAAAAAAAAAAAA'::text || i % 10
                                          FROM generate_series(1,100) g(i)),
                                  'AAAAAAAAAAAAAAAAAAAAAAAAA5'), 1)
;;
SELECT
    array_position(ids, (1, 1)),
    array_positions(ids, (1, 1))
        FROM
(VALUES
    (ARRAY[(0, 0), (1, 1)]),
    (ARRAY[(1, 1)])
) AS f (ids)
;;
SELECT NOT ARRAY[1.1,1.2,1.3] = ARRAY[1.1,1.2,1.3] AS "FALSE"
;;
SELECT ARRAY[1,2] || 3 AS "{1,2,3}"
;;
SELECT 0 || ARRAY[1,2] AS "{0,1,2}"
;;
SELECT ARRAY[[['hello','world']]] || ARRAY[[['happy','birthday']]] AS "ARRAY"
;;
SELECT ARRAY[1.1] || ARRAY[2,3,4]
;;
SELECT array_agg(x) || array_agg(x) FROM (VALUES (ROW(1,2)), (ROW(3,4))) v(x)
;;
SELECT ROW(1,2) || array_agg(x) FROM (VALUES (ROW(3,4)), (ROW(5,6))) v(x)
;;
SELECT pg_typeof(ARRAY[1,2,3]::text[]::int[]::float8[]) AS "double precision[]"
;;
SELECT ARRAY[['a','bc'],['def','hijk']]::text[]::varchar[] AS "{{a,bc},{def,hijk}}"
;;
SELECT CAST(ARRAY[[[[[['a','bb','ccc']]]]]] as text[]) as "{{{{{{a,bb,ccc}}}}}}"
;;
SELECT NULL::text[]::int[] AS "NULL"
;;
select 33 = any ('{1,2,33}')
;;
select 33 = all ('{1,2,33}')
;;
select 33 >= all ('{1,2,33}')
;;
select null::int >= all ('{}')
;;
select null::int >= any ('{}')
;;
select 33.4 > all (array[1,2,3])
;;
select 33 * any (44)
;;
select null::int = any ('{1,2,3}')
;;
select * from arr_tbl where f1 > '{1,2,3}' and f1 <= '{1,5,3}'
;;
select * from arr_tbl where f1 >= '{1,2,3}' and f1 < '{1,5,3}'
;;
insert into arr_pk_tbl values (1, '{3,4,5}') on conflict (pk)
  do update set f1[1] = excluded.f1[1], f1[3] = excluded.f1[3]
  returning pk, f1
;;
update arr_pk_tbl set f1[2147483646:2147483647] = array[4,2] where pk = 10
;;
insert into arr_pk_tbl(pk, f1[-2147483648:2147483647]) values (2, '{}')
;;
select '{0 second  ,0 second}'::interval[]
;;
select c2[2].f2 from comptable
;;
select array_fill(null::integer, array[3,3],array[2,2])
;;
select a, a = '{}' as is_eq, array_dims(a)
  from (select array_fill(42, array[0]) as a) ss
;;
select string_to_array(NULL, '|') IS NULL
;;
select v, v is null as "is null" from string_to_table('1|2|3', '|') g(v)
;;
select array_agg(nullif(ten, 4)) from (select ten from tenk1 where unique1 < 15 order by unique1) ss
;;
select array_agg(unique1) from tenk1 where unique1 < -15
;;
select array_agg(distinct ar order by ar desc)
  from (select array[i / 2] from generate_series(1,10) a(i)) b(ar)
;;
select array_agg(ar)
  from (select array_agg(array[i, i+1, i-1])
        from generate_series(1,2) a(i)) b(ar)
;;
select array_agg(array[i+1.2, i+1.3, i+1.4]) from generate_series(1,3) g(i)
;;
select array_agg(array['Hello', i::text]) from generate_series(9,11) g(i)
;;
select array_agg(array[i, nullif(i, 3), i+1]) from generate_series(1,4) g(i)
;;
select unnest(array[1,2,3,4.5]::numeric[])
;;
select array_replace(array[1,2,NULL,4,NULL],NULL,5)
;;
select array(select array['Hello', i::text] from generate_series(9,11) i)
;;
select array['11 22 33'::int2vector]
;;
insert into src
  select string_agg(random()::text,'') from generate_series(1,10000)
;;
insert into dest select array[row(f1,f1)::textandtext] from src
;;
select length(md5((f1[1]).c2)) from dest
;;
SELECT width_bucket(now(),
                    array['yesterday', 'today', 'tomorrow']::timestamptz[])
;;
SELECT trim_array(ARRAY[1, 2, 3], -1)
;;
INSERT INTO BIT_TABLE VALUES (B'10')
;;
SELECT v,
       SUBSTRING(v FROM 2 FOR 4) AS sub_2_4,
       SUBSTRING(v FROM 7 FOR 13) AS sub_7_13,
       SUBSTRING(v FROM 6) AS sub_6
       FROM VARBIT_TABLE
;;
SELECT SUBSTRING('01010101'::bit(8) FROM -10 FOR 2147483646) AS "01010101"
;;
SELECT SUBSTRING('01010101'::bit(8) FROM -10 FOR -2147483646) AS "error"
;;
SELECT SUBSTRING('01010101'::varbit FROM -10 FOR 2147483646) AS "01010101"
;;
SELECT a, b, ~a AS "~ a", a & b AS "a & b",
       a | b AS "a | b", a # b AS "a # b" FROM varbit_table
;;
SELECT a,b,a<b AS "a<b",a<=b AS "a<=b",a=b AS "a=b",
        a>=b AS "a>=b",a>b AS "a>b",a<>b AS "a<>b" FROM varbit_table
;;
select B'0111' | B'011'
;;
INSERT INTO BIT_SHIFT_TABLE SELECT b>>1 FROM BIT_SHIFT_TABLE
;;
SELECT POSITION(B'1101' IN b),
       POSITION(B'11011' IN b),
       b
       FROM BIT_SHIFT_TABLE
;;
SELECT b::bit(15), b::bit(15) >> 1 AS bsr, b::bit(15) << 1 AS bsl
       FROM BIT_SHIFT_TABLE
;;
INSERT INTO VARBIT_SHIFT_TABLE SELECT CAST(v || B'0' AS BIT VARYING(6)) >>1 FROM VARBIT_SHIFT_TABLE
;;
SELECT set_bit(B'0101011000100100', 15, 1)
;;
SELECT overlay(B'0101011100' placing '101' from 6)
;;
SELECT bit_count(B'1111111111'::bit(10))
;;
INSERT INTO bmscantest
  SELECT (r%53), (r%59), 'foooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooooo'
  FROM generate_series(1,70000) r
;;
SELECT false AS false
;;
SELECT bool 't' AS true
;;
SELECT bool 't' and bool 'f' AS false
;;
SELECT not bool 'f' AS true
;;
SELECT bool 't' = bool 'f' AS false
;;
SELECT bool 't' <> bool 'f' AS true
;;
SELECT bool 't' > bool 'f' AS true
;;
SELECT bool 't' >= bool 'f' AS true
;;
SELECT bool 'f' < bool 't' AS true
;;
SELECT bool 'f' <= bool 't' AS true
;;
SELECT '    true   '::text::boolean AS true,
       '     FALSE'::text::boolean AS false
;;
SELECT true::boolean::text AS true, false::boolean::text AS false
;;
INSERT INTO BOOLTBL1 (f1) VALUES (bool 't')
;;
SELECT BOOLTBL1.*, BOOLTBL2.*
   FROM BOOLTBL1, BOOLTBL2
   WHERE BOOLTBL2.f1 <> BOOLTBL1.f1
;;
SELECT BOOLTBL1.*, BOOLTBL2.*
   FROM BOOLTBL1, BOOLTBL2
   WHERE BOOLTBL2.f1 = BOOLTBL1.f1 or BOOLTBL1.f1 = bool 'true'
   ORDER BY BOOLTBL1.f1, BOOLTBL2.f1
;;
INSERT INTO BOOLTBL3 (d, b, o) VALUES ('true', true, 1)
;;
INSERT INTO BOOLTBL3 (d, b, o) VALUES ('false', false, 2)
;;
SELECT
    d,
    b IS TRUE AS istrue,
    b IS NOT TRUE AS isnottrue,
    b IS FALSE AS isfalse,
    b IS NOT FALSE AS isnotfalse,
    b IS UNKNOWN AS isunknown,
    b IS NOT UNKNOWN AS isnotunknown
FROM booltbl3 ORDER BY o
;;
INSERT INTO booltbl4 VALUES (false, true, null)
;;
SELECT istrue AND istrue AND isnul FROM booltbl4
;;
SELECT isfalse OR isfalse OR isnul FROM booltbl4
;;
INSERT INTO box_temp
	SELECT box(point(i, i), point(i * 2, i * 2))
	FROM generate_series(1, 50) AS i
;;
INSERT INTO quad_box_tbl
  SELECT (x - 1) * 100 + y, box(point(x * 10, y * 10), point(x * 10 + 5, y * 10 + 5))
  FROM generate_series(1, 100) x,
       generate_series(1, 100) y
;;
SELECT count(*) FROM quad_box_tbl WHERE b <<  box '((100,200),(300,500))'
;;
EXPLAIN (COSTS OFF)
SELECT rank() OVER (ORDER BY b <-> point '123,456') n, b <-> point '123,456' dist, id
FROM quad_box_tbl
;;
SELECT *
FROM quad_box_tbl_ord_seq1 seq FULL JOIN quad_box_tbl_ord_idx1 idx
	ON seq.n = idx.n AND seq.id = idx.id AND
		(seq.dist = idx.dist OR seq.dist IS NULL AND idx.dist IS NULL)
WHERE seq.id IS NULL OR idx.id IS NULL
;;
INSERT INTO brintest_2 VALUES (numrange(0, 2^1000::numeric))
;;
INSERT INTO brin_test SELECT x/100,x%100 FROM generate_series(1,10000) x(x)
;;
insert into public.brintest_multi (float8col) values (real 'nan')
;;
UPDATE brintest_multi SET int8col = int8col * int4col
;;
INSERT INTO brin_timestamp_test
SELECT i FROM generate_series('2000-01-01'::timestamp, '2000-02-09'::timestamp, '1 day'::interval) s(i)
;;
EXPLAIN (ANALYZE, TIMING OFF, COSTS OFF, SUMMARY OFF)
SELECT * FROM brin_timestamp_test WHERE a = '2023-01-01'::timestamp
;;
INSERT INTO brin_date_test SELECT '2000-01-01'::date + i FROM generate_series(1, 40) s(i)
;;
INSERT INTO brin_interval_test SELECT (i || ' years')::interval FROM generate_series(-178000000, -177999980) s(i)
;;
SELECT b.*
   FROM bt_name_heap b
   WHERE b.seqno < '1'::name
;;
SELECT b.*
   FROM bt_name_heap b
   WHERE b.seqno >= '9999'::name
;;
explain (costs off)
select proname from pg_proc where proname ilike '00%foo' order by 1
;;
INSERT INTO CASE_TBL VALUES (3, -30.3)
;;
SELECT '<NULL>' AS "One",
  CASE
    WHEN 1 > 2 THEN 3
  END AS "Simple default"
;;
SELECT '3' AS "One",
  CASE
    WHEN 1 < 2 THEN 3
    ELSE 4
  END AS "Simple ELSE"
;;
SELECT '6' AS "One",
  CASE
    WHEN 1 > 2 THEN 3
    WHEN 4 < 5 THEN 6
    ELSE 7
  END AS "Two WHEN with default"
;;
SELECT '7' AS "None",
   CASE WHEN random() < 0 THEN 1
   END AS "NULL on no matches"
;;
SELECT CASE 1 WHEN 0 THEN 1/0 WHEN 1 THEN 1 ELSE 2/0 END
;;
SELECT
  CASE WHEN i >= 3 THEN (i + i)
       ELSE i
  END AS "Simplest Math"
  FROM CASE_TBL
;;
SELECT i AS "Value",
  CASE WHEN (i < 0) THEN 'small'
       WHEN (i = 0) THEN 'zero'
       WHEN (i = 1) THEN 'one'
       WHEN (i = 2) THEN 'two'
       ELSE 'big'
  END AS "Category"
  FROM CASE_TBL
;;
SELECT
  CASE WHEN ((i < 0) or (i < 0)) THEN 'small'
       WHEN ((i = 0) or (i = 0)) THEN 'zero'
       WHEN ((i = 1) or (i = 1)) THEN 'one'
       WHEN ((i = 2) or (i = 2)) THEN 'two'
       ELSE 'big'
  END AS "Category"
  FROM CASE_TBL
;;
SELECT * FROM CASE_TBL WHERE NULLIF(f,i) = 2
;;
SELECT COALESCE(a.f, b.i, b.j)
  FROM CASE_TBL a, CASE2_TBL b
;;
SELECT *
  FROM CASE_TBL a, CASE2_TBL b
  WHERE COALESCE(a.f, b.i, b.j) = 2
;;
explain (costs off)
SELECT * FROM CASE_TBL WHERE NULLIF(1, 1) IS NOT NULL
;;
UPDATE CASE_TBL
  SET i = CASE WHEN i >= 2 THEN (2 * i)
                ELSE (3 * i) END
;;
UPDATE CASE_TBL
  SET i = CASE WHEN b.i >= 2 THEN (2 * j)
                ELSE (3 * j) END
  FROM CASE2_TBL b
  WHERE j = -CASE_TBL.i
;;
SELECT CASE
  (CASE vol('bar')
    WHEN 'foo' THEN 'it was foo!'
    WHEN vol(null) THEN 'null input'
    WHEN 'bar' THEN 'it was bar!' END
  )
  WHEN 'it was foo!' THEN 'foo recognized'
  WHEN 'it was bar!' THEN 'bar recognized'
  ELSE 'unrecognized' END
;;
SELECT CASE volfoo('bar') WHEN 'foo'::foodomain THEN 'is foo' ELSE 'is not foo' END
;;
SELECT CASE make_ad(1,2)
  WHEN array[2,4]::arrdomain THEN 'wrong'
  WHEN array[2,5]::arrdomain THEN 'still wrong'
  WHEN array[1,2]::arrdomain THEN 'right'
  END
;;
SELECT
  CASE 'foo'::text
    WHEN 'foo' THEN ARRAY['a', 'b', 'c', 'd'] || enum_range(NULL::casetestenum)::text[]
    ELSE ARRAY['x', 'y']
    END
;;
SELECT f1 FROM CIRCLE_TBL WHERE diameter(f1) >= 10
;;
SELECT c1.f1 AS one, c2.f1 AS two, (c1.f1 <-> c2.f1) AS distance
  FROM CIRCLE_TBL c1, CIRCLE_TBL c2
  WHERE (c1.f1 < c2.f1) AND ((c1.f1 <-> c2.f1) > 0)
  ORDER BY distance, area(c1.f1), area(c2.f1)
;;
SELECT a,b,c,substring(d for 30), length(d) from clstr_tst
;;
SELECT relname, relkind,
    EXISTS(SELECT 1 FROM pg_class WHERE oid = c.reltoastrelid) AS hastoast
FROM pg_class c WHERE relname LIKE 'clstr_tst%' ORDER BY relname
;;
SELECT pg_class.relname FROM pg_index, pg_class, pg_class AS pg_class_2
WHERE pg_class.oid=indexrelid
	AND indrelid=pg_class_2.oid
	AND pg_class_2.relname = 'clstr_tst'
	AND indisclustered
;;
UPDATE clustertest SET key = 70 WHERE key = 60
;;
SELECT relname, old.level, old.relkind, old.relfilenode = new.relfilenode FROM old_cluster_info AS old JOIN new_cluster_info AS new USING (relname) ORDER BY relname COLLATE "C"
;;
SELECT a.relname, a.relfilenode=b.relfilenode FROM pg_class a
  JOIN ptnowner_oldnodes b USING (oid) ORDER BY a.relname COLLATE "C"
;;
INSERT INTO clstr_expression(a, b) SELECT g.i % 42, 'prefix'||g.i FROM generate_series(1, 133) g(i)
;;
EXPLAIN (COSTS OFF) SELECT * FROM clstr_expression WHERE -a = -3 ORDER BY -a, b
;;
WITH rows AS
  (SELECT ctid, lag(a) OVER (ORDER BY ctid) AS la, a FROM clstr_expression)
SELECT * FROM rows WHERE la < a
;;
WITH rows AS
  (SELECT ctid, lag(b) OVER (ORDER BY ctid) AS lb, b FROM clstr_expression)
SELECT * FROM rows WHERE upper(lb) > upper(b)
;;
SELECT * FROM collate_test1 WHERE b COLLATE "C" >= 'bbc'
;;
SELECT * FROM collate_test1 WHERE b >= 'bbc' COLLATE "C"
;;
SELECT 'bbc' COLLATE "sv-x-icu" > 'äbc' COLLATE "sv-x-icu" AS "false"
;;
SELECT 'Türkiye' COLLATE "en-x-icu" ILIKE '%KI%' AS "true"
;;
SELECT 'bıt' ILIKE 'BIT' COLLATE "en-x-icu" AS "false"
;;
SELECT 'Türkiye' COLLATE "en-x-icu" ~* 'KI' AS "true"
;;
SELECT 'bıt' ~* 'BIT' COLLATE "tr-x-icu" AS "false"
;;
SELECT table_name, view_definition FROM information_schema.views
  WHERE table_name LIKE 'collview%' ORDER BY 1
;;
SELECT a, coalesce(b, 'foo') FROM collate_test2 ORDER BY 2
;;
SELECT a, lower(coalesce(x, 'foo')), lower(coalesce(y, 'foo')) FROM collate_test10
;;
SELECT a, b, greatest(b, 'CCC') FROM collate_test1 ORDER BY 3
;;
SELECT a, x, y, lower(greatest(x, 'foo')), lower(greatest(y, 'foo')) FROM collate_test10
;;
SELECT a, CASE b WHEN 'abc' THEN 'abcd' ELSE b END FROM collate_test1 ORDER BY 2
;;
SELECT a, b FROM collate_test2 UNION SELECT a, b FROM collate_test2 ORDER BY 2
;;
SELECT a, b FROM collate_test3 WHERE a < 4 INTERSECT SELECT a, b FROM collate_test3 WHERE a > 1 ORDER BY 2
;;
SELECT a, CAST(b AS varchar) FROM collate_test1 ORDER BY 2
;;
select textrange_c('A','Z') @> 'b'::text
;;
SELECT 'aaá' > 'AAA' COLLATE "und-x-icu", 'aaá' < 'AAA' COLLATE testcoll_ignore_accents
;;
SELECT 'coté' < 'côte' COLLATE "und-x-icu", 'coté' > 'côte' COLLATE testcoll_backwards
;;
INSERT INTO test6 VALUES (2, U&'\0061\0308bc')
;;
INSERT INTO test6a VALUES (1, ARRAY[U&'\00E4bc'])
;;
SELECT * FROM test6a WHERE b = ARRAY['äbc'] COLLATE ctest_det
;;
SELECT 'abc' <= 'ABC' COLLATE case_sensitive, 'abc' >= 'ABC' COLLATE case_sensitive
;;
SELECT x FROM test3cs WHERE x <> 'abc'
;;
SELECT x FROM test3cs WHERE x SIMILAR TO 'a%'
;;
SELECT x FROM test1cs INTERSECT SELECT x FROM test2cs
;;
SELECT * FROM test3cs t1
  WHERE EXISTS (SELECT 1 FROM test3cs t2 WHERE t1.x = t2.x COLLATE case_insensitive)
ORDER BY 1
;;
SELECT * FROM test1cs t1, (SELECT DISTINCT x FROM test3cs) t2
WHERE t1.x = t2.x COLLATE case_insensitive
ORDER BY 1, 2
;;
SELECT t1.* FROM test3cs t1
       LEFT JOIN (SELECT DISTINCT x FROM test3cs) t2 ON t1.x = t2.x COLLATE case_insensitive
ORDER BY 1
;;
SELECT string_to_array('ABCDEFGHI'::char(9) COLLATE case_insensitive, NULL, 'b')
;;
SELECT 'ὀδυσσεύς' = 'ὈΔΥΣΣΕΎΣ' COLLATE case_insensitive
;;
SELECT relname FROM pg_class WHERE 'PG_CLASS'::text = relname COLLATE case_insensitive
;;
SELECT typname FROM pg_type WHERE typname LIKE 'int_' AND typname <> 'INT2'::text
  COLLATE case_insensitive ORDER BY typname
;;
SELECT typname FROM pg_type WHERE typname LIKE 'int_' AND 'INT2'::text <> typname
  COLLATE case_insensitive ORDER BY typname
;;
SELECT * FROM outer_text WHERE (f1, f2) NOT IN (SELECT * FROM inner_text)
;;
INSERT INTO pagg_tab3 SELECT i % 4 + 1, substr('abAB', (i % 4) + 1 , 1) FROM generate_series(0, 19) i
;;
EXPLAIN (COSTS OFF)
SELECT t1.c, count(t2.c) FROM pagg_tab3 t1 JOIN pagg_tab3 t2 ON t1.c = t2.c GROUP BY 1 ORDER BY t1.c COLLATE "C"
;;
SELECT to_char(date '2010-02-01', 'DD TMMON YYYY' COLLATE "tr_TR")
;;
SELECT * FROM collate_test10 WHERE (x, y) NOT IN (SELECT y COLLATE "C", x COLLATE "POSIX" FROM collate_test10)
;;
EXPLAIN (COSTS OFF)
  SELECT * FROM collate_test10 ORDER BY x DESC, y COLLATE "C" ASC NULLS FIRST
;;
SELECT collation for ('foo')
;;
SELECT collation for ((SELECT a FROM collate_test1 LIMIT 1))
;;
INSERT INTO combocidtest SELECT 1 LIMIT 0
;;
SELECT ctid,cmin,* FROM combocidtest
;;
DECLARE c CURSOR FOR SELECT ctid,cmin,* FROM combocidtest
;;
FETCH ALL FROM c
;;
SELECT * FROM testcase WHERE testcase.id = 1 FOR UPDATE
;;
UPDATE testcase SET balance = balance - 100 WHERE id=1
;;
SELECT /* both embedded and trailing single line */ 'both' AS third
;;
INSERT INTO cmdata2 SELECT large_val() || repeat('a', 4000)
;;
INSERT INTO cmdata2 VALUES((SELECT array_agg(md5(g::TEXT))::TEXT FROM
generate_series(1, 50) g), VERSION())
;;
SELECT test_pglz_decompress(test_pglz_compress(
    decode(repeat('abcd', 100), 'escape')), 400, true) =
    decode(repeat('abcd', 100), 'escape') AS roundtrip_ok
;;
INSERT INTO INSERT_TBL(y,z) SELECT yd, -7 FROM tmp WHERE yd = 'try again'
;;
CREATE TABLE parted_fk_naming_1 (
    id bigint NOT NULL default 1,
    id_abc bigint,
    PRIMARY KEY (id),
    CONSTRAINT dummy_constr CHECK (true)
)
;;
--
-- EXCLUDE constraints
--

CREATE TABLE circles (
  c1 CIRCLE,
  c2 TEXT,
  EXCLUDE USING gist
    (c1 WITH &&, (c2::circle) WITH &&)
    WHERE (circle_center(c1) <> '(0,0)')
)
;;
CREATE FUNCTION test_enc_conversion(bytea, name, name, bool, validlen OUT int, result OUT bytea)
    AS :'regresslib', 'test_enc_conversion'
    LANGUAGE C STRICT
;;
select description, inbytes, (test_conv(inbytes, 'utf8', 'latin1')).* from utf8_inputs
;;
copy copytest to :'filename' csv
;;
copy copytest2 from :'filename' csv quote '''' escape E'\\'
;;
copy copytest3 from stdin csv header
;;
copy copytest3 to stdout csv header
;;
copy copytest4 from stdin (header)
;;
copy copytest4 to stdout (header)
;;
copy (select * from parted_copytest order by a) to :'filename'
;;
copy parted_copytest from :'filename' (freeze)
;;
copy tab_progress_reporting from :'filename'
	where (salary < 2000)
;;
copy header_copytest to stdout with (header match)
;;
copy header_copytest from stdin with (header wrong_choice)
;;
copy header_copytest from stdin with (header match, format csv)
;;
COPY x from stdin WITH DELIMITER AS ';' NULL AS ''
;;
COPY x from stdin WITH DELIMITER AS ':' NULL AS E'\\X' ENCODING 'sql_ascii'
;;
COPY x TO stdout WHERE a = 1
;;
COPY x from stdin WHERE a = 50004
;;
COPY testnull TO stdout WITH NULL AS E'\\0'
;;
COPY forcetest (a, b, c) FROM STDIN WITH (FORMAT csv, FORCE_NOT_NULL(b), FORCE_NULL(c))
;;
copy (update copydml_test set t = 'g' where t = 'f' returning id) to stdout
;;
copy (delete from copydml_test where t = 'g' returning id) to stdout
;;
copy (insert into copydml_test default values) to stdout
;;
copy (insert into copydml_test (t) values ('f') returning id) to stdout
;;
SELECT regexp_replace(:'LAST_ERROR_MESSAGE', 'file ".*"', 'file "..."')
;;
-- tricky parsing
CREATE FUNCTION functest_S_15(x int) RETURNS boolean
LANGUAGE SQL
BEGIN ATOMIC
    select case when x % 2 = 0 then true else false end
;;
SELECT double_append(array_append(ARRAY[q1], q2), q3)
  FROM (VALUES(1,2,3), (4,5,6)) v(q1,q2,q3)
;;
SELECT count(*) FROM point_tbl WHERE box '(0,0,100,100)' @> f1
;;
SELECT * FROM point_tbl WHERE f1 IS NOT NULL ORDER BY f1 <-> '0,1'
;;
EXPLAIN (COSTS OFF)
SELECT point(x,x), (SELECT f1 FROM gpolygon_tbl ORDER BY f1 <-> point(x,x) LIMIT 1) as c FROM generate_series(0,10,1) x
;;
SELECT * FROM array_index_op_test WHERE i @> '{32}' AND t && '{AAAAAAA80240}' ORDER BY seqno
;;
SELECT unique1, unique2 FROM onek_with_null WHERE unique2 >= -1
  ORDER BY unique2 LIMIT 2
;;
SELECT unique1, unique2 FROM onek_with_null
  ORDER BY unique2 DESC LIMIT 2
;;
SELECT * FROM tenk1
  WHERE thousand = 42 AND (tenthous = 1 OR tenthous = 3 OR tenthous = 42)
;;
explain (costs off)
  select * from boolindex where b = true order by i desc limit 10
;;
explain (costs off)
  select * from boolindex where b is false order by i desc limit 10
;;
SELECT relid, parentrelid, level FROM pg_partition_tree('concur_reindex_part_index')
  ORDER BY relid, level
;;
INSERT INTO concur_exprs_tab (c1, c2) VALUES (1369652450, FALSE),
  (414515746, TRUE),
  (897778963, FALSE)
;;
SELECT  b.relname,
        b.relkind,
        CASE WHEN a.relfilenode = b.relfilenode THEN 'relfilenode is unchanged'
        ELSE 'relfilenode has changed' END
  FROM reindex_temp_before b JOIN pg_class a ON b.oid = a.oid
  ORDER BY 1
;;
SELECT * FROM quad_point_tbl_ord_seq1 seq FULL JOIN quad_point_tbl_ord_idx1 idx
ON seq.n = idx.n
WHERE seq.dist IS DISTINCT FROM idx.dist
;;
EXPLAIN (COSTS OFF)
SELECT p, dist FROM quad_point_tbl_ord_seq1 ORDER BY p <-> '0,0' LIMIT 10
;;
INSERT INTO a_star (class, a) VALUES ('a', 1)
;;
INSERT INTO a_star (class) VALUES ('a')
;;
INSERT INTO d_star (class, a, b, c, d)
   VALUES ('d', 7, 'grumble'::text, 'hi sunita'::name, '0.0'::float8)
;;
SELECT *
   FROM b_star* x
   WHERE x.b = text 'bumble' or x.a < 3
;;
SELECT class, a
   FROM c_star* x
   WHERE x.c ~ text 'hi'
;;
SELECT class, sum(a) FROM a_star* GROUP BY class ORDER BY class
;;
SELECT *
   from a_star*
   WHERE aa < 1000
;;
SELECT 2 !=-- comment to be removed by psql
  1
;;
SELECT false<=-1 BETWEEN 1 AND 1
;;
SELECT false>=-1 BETWEEN 1 AND 1
;;
SELECT 2<=/**/3, 3>=/**/2, 2<>/**/3
;;
PREPARE select1 AS SELECT 1 as a
;;
explain (costs off)
select * from partitioned where row(a,b)::partitioned = '(1,2)'::partitioned
;;
INSERT INTO inhe VALUES ('ee-col1', 'ee-col2', DEFAULT, 'ee-col4')
;;
CREATE TABLE ctlt13_like (LIKE ctlt3 INCLUDING CONSTRAINTS INCLUDING INDEXES INCLUDING COMMENTS INCLUDING STORAGE) INHERITS (ctlt1)
;;
SELECT *
   INTO TABLE ramp
   FROM ONLY road
   WHERE name ~ '.*Ramp'
;;
SELECT a::varchar(3) FROM tt1
;;
select row(i.*::int8_tbl)::nestedcomposite from int8_tbl i
;;
select * from int8_tbl i where i.* in (values(i.*::int8_tbl))
;;
create rule updlog as on update to tt15v do also
  insert into tt15v_log values(old, new, row(old,old) < row(new,new))
;;
select 'foo'::text = any((select array['abc','def','foo']::text[]))
;;
-- check display of assorted RTE_FUNCTION expressions

create view tt20v as
select * from
  coalesce(1,2) as c,
  collation for ('x'::text) col,
  current_date as d,
  localtimestamp(3) as t,
  cast(1+2 as int4) as i4,
  cast(1+2 as int8) as i8
;;
select pg_get_ruledef(oid, true) from pg_rewrite
  where ev_class = 'tt23v'::regclass and ev_type = '1'
;;
explain (verbose, costs off)
select (r).column2 from (select r from (values(1,2),(3,4)) r limit 1) ss
;;
UPDATE pg_database
SET datacl = array_fill(makeaclitem(10, 10, 'USAGE', false), ARRAY[5e5::int])
WHERE datname = 'regression_utf8'
;;
SELECT f1 - date 'epoch' AS "Days From Epoch" FROM DATE_TBL
;;
SELECT date 'yesterday' - date 'today' AS "One day"
;;
SELECT EXTRACT(MILLISECONDS  FROM DATE '2020-08-11')
;;
SELECT EXTRACT(SECOND        FROM DATE '2020-08-11')
;;
SELECT EXTRACT(MINUTE        FROM DATE '2020-08-11')
;;
SELECT EXTRACT(HOUR          FROM DATE '2020-08-11')
;;
SELECT EXTRACT(DAY           FROM DATE '2020-08-11')
;;
SELECT EXTRACT(MONTH         FROM DATE '2020-08-11')
;;
SELECT EXTRACT(YEAR          FROM DATE '2020-08-11')
;;
select 'infinity'::date > 'today'::date as t
;;
SELECT size, pg_size_pretty(size), pg_size_pretty(-1 * size) FROM
    (VALUES (10::bigint), (1000::bigint), (1000000::bigint),
            (1000000000::bigint), (1000000000000::bigint),
            (1000000000000000::bigint)) x(size)
;;
-- can't drop the user if we revoke the privileges partially
REVOKE SELECT, INSERT, UPDATE, DELETE, TRUNCATE, REFERENCES ON deptest FROM regress_dep_user
;;
SELECT typowner = relowner
FROM pg_type JOIN pg_class c ON typrelid = c.oid WHERE typname = 'deptest_t'
;;
SELECT cast('12345' as domainvarchar)
;;
update domarrtest set
  testint4arr[1] = testint4arr[1] + 1,
  testint4arr[3] = testint4arr[3] - 1
where testchar4arr is null
;;
select pg_typeof('{1,2,3}'::dia || 42)
;;
update dcomptable set d1.r = (d1).r + 1 where (d1).i > 0
;;
explain (verbose, costs off)
  update dcomptable set d1.r = (d1).r - 1, d1.i = (d1).i + 1 where (d1).i > 0
;;
select m, m is not null from makedcomp(1,2) m
;;
insert into dcomptable values (array[row(3,4), row(5,6)]::comptype[])
;;
update dcomptable set d1[2] = row(d1[2].i, d1[2].r)
;;
SELECT cast(NULL as dnotnull)
;;
prepare s1 as select $1::pos_int = 10 as "is_ten"
;;
--
-- Check enforcement of array-level domain constraints
--

create domain orderedpair as int[2] check (value[1] < value[2])
;;
SELECT  ctid, oprcom
FROM    pg_catalog.pg_operator fk
WHERE   oprcom != 0 AND
        NOT EXISTS(SELECT 1 FROM pg_catalog.pg_operator pk WHERE pk.oid = fk.oprcom)
;;
SELECT convert_to(substring(with_nul, 5, 1), 'UTF8') FROM regress_encoding
;;
SELECT COUNT(test_encoding(encoding, description, input)) > 0
FROM encoding_tests
;;
INSERT INTO toast_3b_utf8 VALUES (repeat(U&'\2026', 4000))
;;
SELECT * FROM enumtest WHERE col <= 'green' ORDER BY col
;;
SELECT * FROM pg_enum WHERE NOT EXISTS
  (SELECT 1 FROM pg_type WHERE pg_type.oid = enumtypid)
;;
explain (costs off)  -- this should not require a sort
  select * from overview where sqli = 'foo' order by sqli
;;
select null from pg_database group by grouping sets (()) for update
;;
select 1::int8/0
;;
select 1/0::int8
;;
select 1::numeric/0
;;
INSERT INTO 123
VALUES(123)
;;
-- with a tab
CREATE TABLE foo
  (id INT4 UNIQUE NOT NULL, id2 TEXT NOT NULL PRIMARY KEY,
	id3 INTEGER NOT NUL,
   id4 INT4 UNIQUE NOT NULL, id5 TEXT UNIQUE NOT NULL)
;;
CREATE OR REPLACE FUNCTION schema_two.add(int, int) RETURNS int LANGUAGE plpgsql
  CALLED ON NULL INPUT
  AS $$ BEGIN RETURN coalesce($1,0) + coalesce($2,0); END; $$
;;
insert into rewriteme
     select x * 1.001 from generate_series(1, 500) as t(x)
;;
alter table rewriteme
 add column onemore int default 0,
 add column another int default -1,
 alter column foo type numeric(10,4)
;;
SELECT now()::timetz(4)::text = current_time(4)::text
;;
SELECT now()::time::text = localtime::text
;;
SELECT now()::time(3)::text = localtime(3)::text
;;
explain (verbose, costs off)
select random()::int IN (1, 4, 8.0)
;;
select return_int_input(1) in (null, null, null, null, null, null, null, null, null, null, null)
;;
select
  a,
  a in (null::myint,1::myint,2::myint,3::myint,4::myint,5::myint,6::myint,7::myint) as not_hashed,
  a in (null::myint,1::myint,2::myint,3::myint,4::myint,5::myint,6::myint,7::myint,8::myint) as hashed
 from inttest
;;
select
  a,
  a not in (1::myint,2::myint,3::myint,4::myint,5::myint,6::myint,7::myint,8::myint) as not_hashed,
  a not in (1::myint,2::myint,3::myint,4::myint,5::myint,6::myint,7::myint,8::myint,9::myint) as hashed
from inttest
;;
SELECT set('t')
;;
EXPLAIN (VERBOSE TRUE, COSTS FALSE)
SELECT c_bigint, c_text FROM T WHERE c_bigint = -1 LIMIT 1
;;
EXPLAIN (VERBOSE TRUE, COSTS FALSE)
SELECT * FROM T WHERE c_bigint > -1 ORDER BY c_bigint, c_text, pk LIMIT 10
;;
EXPLAIN (VERBOSE TRUE, COSTS FALSE)
DELETE FROM T WHERE pk BETWEEN 10 AND 20 RETURNING *
;;
SELECT a,
       stddev(cast((SELECT sum(1) FROM generate_series(1,20) x) AS float4))
          OVER (PARTITION BY a,b,c ORDER BY b)
       AS z
FROM t1
;;
SELECT 'Infinity'::float4 / 'Infinity'::float4
;;
SELECT 'nan'::numeric::float4
;;
SELECT f.* FROM FLOAT4_TBL f WHERE '1004.3' > f.f1
;;
SELECT f.* FROM FLOAT4_TBL f WHERE '1004.3' >= f.f1
;;
SELECT f.f1, f.f1 * '-10' AS x FROM FLOAT4_TBL f
   WHERE f.f1 > '0.0'
;;
SELECT f.f1, f.f1 + '-10' AS x FROM FLOAT4_TBL f
   WHERE f.f1 > '0.0'
;;
SELECT f.f1, f.f1 / '-10' AS x FROM FLOAT4_TBL f
   WHERE f.f1 > '0.0'
;;
SELECT f.f1, f.f1 - '-10' AS x FROM FLOAT4_TBL f
   WHERE f.f1 > '0.0'
;;
SELECT f.f1 ^ '2.0' AS square_f1
   FROM FLOAT8_TBL f where f.f1 = '1004.3'
;;
SELECT 0 ^ 0 + 0 ^ 1 + 0 ^ 0.0 + 0 ^ 0.5
;;
SELECT x,
       cosd(x),
       cosd(x) IN (-1,-0.5,0,0.5,1) AS cosd_exact
FROM (VALUES (0), (60), (90), (120), (180),
      (240), (270), (300), (360)) AS t(x)
;;
SELECT x,
       asind(x),
       asind(x) IN (-90,-30,0,30,90) AS asind_exact,
       acosd(x),
       acosd(x) IN (0,60,90,120,180) AS acosd_exact
FROM (VALUES (-1), (-0.5), (0), (0.5), (1)) AS t(x)
;;
SELECT x, y,
       atan2d(y, x),
       atan2d(y, x) IN (-90,0,90,180) AS atan2d_exact
FROM (SELECT 10*cosd(a), 10*sind(a)
      FROM generate_series(0, 360, 90) AS t(a)) AS t(x,y)
;;
ALTER FOREIGN DATA WRAPPER foo OPTIONS (DROP a, SET b '3', ADD c '4')
;;
-- ERROR
CREATE FOREIGN TABLE ft1 (
	c1 integer OPTIONS ("param 1" 'val1') PRIMARY KEY,
	c2 text OPTIONS (param2 'val2', param3 'val3'),
	c3 date
) SERVER s0 OPTIONS (delimiter ',', quote '"', "be quoted" 'value')
;;
CREATE TRIGGER trigtest_after_stmt_tt AFTER INSERT OR UPDATE OR DELETE -- ERROR
ON foreign_schema.foreign_table_1
REFERENCING NEW TABLE AS new_table
FOR EACH STATEMENT
EXECUTE PROCEDURE dummy_trigger()
;;
CREATE TEMP TABLE tasks (
  id INT PRIMARY KEY,
  owner INT REFERENCES users ON UPDATE CASCADE ON DELETE SET NULL,
  worker INT REFERENCES users ON UPDATE CASCADE ON DELETE SET NULL,
  checked_by INT REFERENCES users ON UPDATE CASCADE ON DELETE SET NULL
)
;;
SELECT * FROM fk_partitioned_fk WHERE a IS NOT NULL OR b IS NOT NULL ORDER BY a NULLS LAST
;;
INSERT INTO ref VALUES(1,2,3)
;;
UPDATE fkpart10.tbl1 SET f1 = 2 WHERE f1 = 1
;;
UPDATE fkpart10.tbl3 SET f1 = f1 * -1
;;
CREATE TEMP TABLE users (
    uid integer NOT NULL default '0',
    name varchar(60) NOT NULL default '',
    pass varchar(32) NOT NULL default '',
    -- snip
    PRIMARY KEY (uid),
    UNIQUE (name)
)
;;
SELECT table_name, column_name, column_default, is_nullable, is_generated, generation_expression FROM information_schema.columns WHERE table_name LIKE 'gtest_' ORDER BY 1, 2
;;
INSERT INTO gtest1 VALUES (2, DEFAULT)
;;
UPDATE gtest1 SET b = DEFAULT WHERE a = 1
;;
MERGE INTO gtestm t USING (VALUES (1, 10), (2, 20)) v(id, f1) ON t.id = v.id
  WHEN MATCHED THEN UPDATE SET f1 = v.f1
  WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.f1, 200)
;;
SELECT (@@ f1) AS center
   FROM BOX_TBL
;;
SELECT * FROM polygon_tbl WHERE f1 @> '((1,1),(2,2),(2,1))'::polygon
    ORDER BY (poly_center(f1))[0]
;;
select gin_clean_pending_list('gin_test_idx')>10 as many
;;
explain (costs off)
select count(*) > 0 as ok from gin_test_tbl where i @> array[1]
;;
explain (costs off)
select * from t_gin_test_tbl where array[0] <@ i
;;
select * from t_gin_test_tbl where array[0] <@ i and '{}'::int4[] <@ j
;;
insert into gist_tbl
select box(point(0.05*i, 0.05*i), point(0.05*i, 0.05*i)),
       point(0.05*i, 0.05*i),
       circle(point(0.05*i, 0.05*i), 1.0)
from generate_series(0,10000) as i
;;
select p from gist_tbl where p <@ box(point(0,0), point(0.5, 0.5))
order by point(0.101, 0.101) <-> p
;;
select p from
  (values (box(point(0,0), point(0.5,0.5))),
          (box(point(0.5,0.5), point(0.75,0.75))),
          (box(point(0.8,0.8), point(1.0,1.0)))) as v(bb)
cross join lateral
  (select p from gist_tbl where p <@ bb order by p <-> bb[0] limit 2) ss
;;
insert into gstest4
values (1,1,b'0000','1'), (2,2,b'0001','1'),
       (3,4,b'0010','2'), (4,8,b'0011','2'),
       (5,16,b'0000','2'), (6,32,b'0001','2'),
       (7,64,b'0010','1'), (8,128,b'0011','1')
;;
select a, b, grouping(a,b), sum(v), count(*), max(v)
  from gstest1 group by rollup (a,b) order by a,b
;;
select a, b, grouping(a,b), sum(v), count(*), max(v)
  from gstest1 group by rollup (a,b) order by coalesce(a,0)+coalesce(b,0)
;;
select sum(c) from gstest2
  group by grouping sets((), grouping sets((), grouping sets(((a, b)))))
  order by 1 desc
;;
select sum(c) from gstest2
  group by grouping sets(grouping sets(rollup(c), grouping sets(cube(c))))
  order by 1 desc
;;
select sum(c) from gstest2
  group by grouping sets(a, grouping sets(a, cube(b)))
  order by 1 desc
;;
select g as alias1, g as alias2
  from generate_series(1,3) g
 group by alias1, rollup(alias2)
;;
select four, x || 'x'
  from (select four, ten, 'foo'::text as x from tenk1) as t
  group by grouping sets (four, x)
  order by four
;;
select (x+y)*1, sum(z)
 from (select 1 as x, 2 as y, 3 as z) s
 group by grouping sets (x+y, x)
;;
select x, not x as not_x, q2 from
  (select *, q1 = 1 as x from int8_tbl i1) as t
  group by grouping sets(x, q2)
  order by x, q2
;;
select grouping(ss.x)
from int8_tbl i1
cross join lateral (select (select i1.q1) as x) ss
group by ss.x
;;
select a, b, sum(c), sum(sum(c)) over (order by a,b) as rsum
  from gstest2 group by cube (a,b) order by rsum, a, b
;;
select a,count(*) from gstest2 group by rollup(a) having a is distinct from 1 order by a
;;
select v.c, (select count(*) from gstest2 group by () having v.c)
  from (values (false),(true)) v(c) order by v.c
;;
select ten, grouping(ten) from onek
group by grouping sets(ten, four) having grouping(ten) > 0
order by 2,1
;;
select array(select row(v.a,s1.*) from (select two,four, count(*) from onek group by cube(two,four) order by two,four) s1) from (values (1),(2)) v(a)
;;
select v||'a', case when grouping(v||'a') = 1 then 1 else 0 end, count(*)
  from unnest(array[1,1], array['a','b']) u(i,v)
 group by rollup(i, v||'a') order by 1,3
;;
select (select grouping(v1)) from (values ((select 1))) v(v1) group by cube(v1)
;;
SELECT name FROM pg_prepared_statements
;;
SELECT current_user = 'regress_guc_user'
;;
SELECT v as value, hash_array_extended(v, 0)::bit(32) as extended0
FROM   (VALUES ('{0}'::money[])) x(v)
;;
SELECT hashfloat4('NaN'::float4) = hashfloat4(-'NaN'::float4) AS t
;;
UPDATE hash_name_heap
   SET random = '0123456789abcdef'::name
   WHERE hash_name_heap.seqno = 6543
;;
UPDATE hash_txt_heap
   SET random = '0123456789abcdefghijklmnop'::text
   WHERE hash_txt_heap.seqno = 4002
;;
SELECT timestamp with time zone '20011227 040506-08'
;;
SELECT time without time zone '040506.789-08'
;;
SELECT time with time zone '040506.789+08'
;;
SELECT date '1991-02-03' + time with time zone '04:05:06 PST' AS "Date + Time PST"
;;
SELECT date '1991-02-03' + interval '2 years' AS "Add Two Years"
;;
SELECT date '2001-12-13' - interval '2 years' AS "Subtract Two Years"
;;
SELECT date '1991-02-03' - time with time zone '04:05:06 UTC' AS "Subtract Time UTC"
;;
SELECT timestamp without time zone '1999-03-01' - interval '1 second' AS "Feb 28"
;;
SELECT timestamp without time zone '12/31/294276' - timestamp without time zone '12/23/1999' AS "106751991 Days"
;;
SELECT (timestamp without time zone 'today' = (timestamp without time zone 'tomorrow' - interval '1 day')) as "True"
;;
SELECT date '1994-01-01' + time '10:00' AS "Jan_01_1994_10am"
;;
SELECT date '1994-01-01' + timetz '11:00-5' AS "Jan_01_1994_8am"
;;
SELECT timestamptz(date '1994-01-01', time with time zone '11:00-5') AS "Jan_01_1994_8am"
;;
SELECT d1 + interval '1 year' AS one_year FROM TIMESTAMP_TBL
;;
SELECT (timestamp with time zone 'today' = (timestamp with time zone 'yesterday' + interval '1 day')) as "True"
;;
SELECT timestamptz(date '1994-01-01', time '11:00') AS "Jan_01_1994_10am"
;;
SELECT CAST(interval '02:03' AS time) AS "02:03:00"
;;
SELECT time '01:30' + interval '02:01' AS "03:31:00"
;;
SELECT CAST(time with time zone '01:02-08' AS interval) AS "+00:01"
;;
SELECT CAST(interval '02:03' AS time with time zone) AS "02:03:00-08"
;;
SELECT CAST(cast(date 'today' + time with time zone '03:30'
  + interval '1 month 04:01' as timestamp without time zone) AS time) AS "07:31:00"
;;
SELECT t.d1 AS t, i.f1 AS i, t.d1 + i.f1 AS "add", t.d1 - i.f1 AS "subtract"
  FROM TIMESTAMP_TBL t, INTERVAL_TBL i
  WHERE t.d1 BETWEEN '1990-01-01' AND '2001-01-01'
    AND i.f1 BETWEEN '00:00' AND '23:00'
  ORDER BY 1,2
;;
SELECT (timestamp with time zone '2000-11-26', timestamp with time zone '2000-11-27')
  OVERLAPS (timestamp with time zone '2000-11-27 12:00', timestamp with time zone '2000-11-30') AS "False"
;;
SELECT (timestamp with time zone '2000-11-27', timestamp with time zone '2000-11-28')
  OVERLAPS (timestamp with time zone '2000-11-27 12:00', interval '1 day') AS "True"
;;
SELECT (time '00:00', interval '1 hour')
  OVERLAPS (time '00:30', interval '1 hour') AS "True"
;;
SELECT d.f1 AS "timestamp",
   timestamp with time zone '1980-01-06 00:00 GMT' AS gpstime_zero,
   d.f1 - timestamp with time zone '1980-01-06 00:00 GMT' AS difference
  FROM TEMP_TIMESTAMP d
  ORDER BY difference
;;
SELECT '2020-10-05'::timestamp > '2202020-10-05'::date as f
;;
SELECT '4714-11-24 BC'::timestamp < '2020-10-05'::timestamptz as t
;;
SELECT '2020-10-05'::timestamptz >= '4714-11-24 BC'::timestamp as t
;;
explain (costs off)
select count(*) from date_tbl
  where f1 not between '1997-01-01' and '1998-01-01'
;;
explain (costs off)
select count(*) from date_tbl
  where f1 between symmetric '1997-01-01' and '1998-01-01'
;;
CREATE TABLE itest3 (a smallint generated by default as identity (start with 7 increment by 5), b text)
;;
INSERT INTO itest5 OVERRIDING SYSTEM VALUE VALUES (-2, 'bb'), (-3, 'cc')
;;
INSERT INTO itest5 OVERRIDING USER VALUE VALUES (-1, 'aaa')
;;
ALTER TABLE itest8
  ADD COLUMN f3 int NOT NULL,
  ALTER COLUMN f3 ADD GENERATED ALWAYS AS IDENTITY,
  ALTER COLUMN f3 SET GENERATED BY DEFAULT SET INCREMENT 10
;;
MERGE INTO itest15 t
USING (SELECT 10 AS s_a, 'inserted by merge' AS s_b) s
ON t.a = s.s_a
WHEN NOT MATCHED THEN
	INSERT (a, b) VALUES (s.s_a, s.s_b)
;;
MERGE INTO itest15 t
USING (SELECT 30 AS s_a, 'inserted by merge' AS s_b) s
ON t.a = s.s_a
WHEN NOT MATCHED THEN
	INSERT (a, b) OVERRIDING SYSTEM VALUE VALUES (s.s_a, s.s_b)
;;
explain (costs off) select a,b,sum(c) from t group by 1,2 order by 1,2,3 limit 1
;;
explain (costs off)
select * from tbl where (c1,c2,c3) < (2,5,1)
;;
select relname, relkind, relhassubclass, inhparent::regclass
    from pg_class left join pg_index ix on (indexrelid = oid)
	left join pg_inherits on (ix.indexrelid = inhrelid)
	where relname like 'idxpart%' order by relname
;;
SELECT col2 FROM idxpart_two fk LEFT OUTER JOIN idxpart pk ON (col1 = col2)
;;
select relname as child, inhparent::regclass as parent, pg_get_indexdef as childdef
  from pg_class join pg_inherits on inhrelid = oid,
  lateral pg_get_indexdef(pg_class.oid)
  where relkind in ('i', 'I') and relname like 'idxpart%' order by relname
;;
insert into idxpart values (0, 'zero'), (42, 'life'), (2^16, 'sixteen')
;;
insert into idxpart select 2^g, format('two to power of %s', g) from generate_series(15, 17) g
;;
insert into idxpart select a * 2, b || b from idxpart where a between 2^16 and 2^19
;;
UPDATE indtoasttest SET cnt = cnt +1, f1 = '-'||f1||'-' RETURNING substring(indtoasttest::text, 1, 200)
;;
SELECT c AS cidr, masklen(c) AS "masklen(cidr)",
  i AS inet, masklen(i) AS "masklen(inet)" FROM INET_TBL
  WHERE masklen(c) <= 8
;;
SELECT ('127.0.0.1'::inet + 257) - 257
;;
SELECT '127.0.0.2'::inet  - ('127.0.0.2'::inet + 500)
;;
SELECT relname, a.* FROM ONLY a, pg_class where a.tableoid = pg_class.oid
;;
UPDATE ONLY a SET aa='zzzzz' WHERE aa='aaaaa'
;;
explain (verbose, costs off)
update some_tab set a = a + 1 where false returning b, a
;;
update parted_tab set b = 'b'
from
  (select a from some_tab union all select a+1 from some_tab) ss (a)
where parted_tab.a = ss.a
;;
update mlparted_tab mlp set c = 'xxx'
from
  (select a from some_tab union all select a+1 from some_tab) ss (a)
where (mlp.a = ss.a and mlp.b = 'b') or mlp.a = 3
;;
explain (verbose on, costs off) select (1, 2)::more_derived::derived::base
;;
select pc.relname, pgc.conname, pgc.contype, pgc.conislocal, pgc.coninhcount, pg_get_expr(pgc.conbin, pc.oid) as consrc from pg_class as pc inner join pg_constraint as pgc on (pgc.conrelid = pc.oid) where pc.relname in ('ac', 'bc') order by 1,2
;;
insert into matest1 (name) values ('Test 1')
;;
select * from matest0 order by 1-id
;;
explain (verbose, costs off) select min(1-id) from matest0
;;
explain (verbose, costs off)  -- bug #18652
select 1 - id as c from
(select id from matest3 t1 union all select id * 2 from matest3 t2) ss
order by c
;;
explain (costs off)
SELECT thousand, tenthous, thousand+tenthous AS x FROM tenk1
UNION ALL
SELECT 42, 42, hundred FROM tenk1
ORDER BY thousand, tenthous
;;
explain (costs off)
SELECT thousand, tenthous FROM tenk1
UNION ALL
SELECT thousand, random()::integer FROM tenk1
ORDER BY thousand, tenthous
;;
SELECT
    ARRAY(SELECT f.i FROM (
        (SELECT d + g.i FROM generate_series(4, 30, 3) d ORDER BY 1)
        UNION ALL
        (SELECT d + g.i FROM generate_series(0, 30, 5) d ORDER BY 1)
    ) f(i)
    ORDER BY f.i LIMIT 10)
FROM generate_series(1, 3) g(i)
;;
explain (verbose, costs off)
update inhpar i set (f1, f2) = (select i.f1, i.f2 || '-' from int4_tbl limit 1)
;;
explain (costs off) select * from list_parted where a = 'ab' or a in (null, 'cd')
;;
explain (costs off) select * from range_list_parted where a between 3 and 23 and b in ('ab')
;;
explain (costs off) select * from bool_rp where b = false order by b,a
;;
insert into permtest_parent
  select 1, 'a', left(md5(i::text), 5) from generate_series(0, 100) i
;;
explain (costs off)
  select * from permtest_parent p1 inner join permtest_parent p2
  on p1.a = p2.a and left(p1.c, 3) ~ 'a1$'
;;
INSERT INTO errtst_parent(partid, shdata, data) VALUES ('10', '1', '5')
;;
UPDATE errtst_parent SET data = data + 1 WHERE partid = 0
;;
UPDATE errtst_parent SET partid = 10, data = data + 1 WHERE partid = 0
;;
insert into inserttest (f3.if2[1], f3.if2[2]) select 'bear', 'beer'
;;
with ins (a, b, c) as
  (insert into mlparted (b, a) select s.a, 1 from generate_series(2, 39) s(a) returning tableoid::regclass, *)
  select a, b, min(c), max(c) from ins group by a, b order by 1
;;
with result as (insert into brtrigpartcon values (1, 'hi there') returning 1)
  insert into inserttest3 (f3) select * from result
;;
explain (costs off) insert into insertconflicttest values(0, 'Crowberry') on conflict (fruit) do nothing
;;
explain (costs off) insert into insertconflicttest values(0, 'Crowberry') on conflict (fruit, key, fruit, key) do nothing
;;
explain (costs off) insert into insertconflicttest values(0, 'Crowberry') on conflict (key, fruit) do update set fruit = excluded.fruit
  where exists (select 1 from insertconflicttest ii where ii.key = excluded.key)
;;
explain (costs off) insert into insertconflicttest values(0, 'Crowberry') on conflict (lower(fruit) collate "C" text_pattern_ops, key, key) do nothing
;;
insert into insertconflicttest as t values (23, 'Blackberry') on conflict (key) where fruit like '%berry' and t.fruit = 'inconsequential' do nothing
;;
insert into insertconflicttest values (23, 'Blackberry') on conflict (fruit) where fruit like '%berry' do update set fruit = excluded.fruit
;;
insert into syscolconflicttest values (1) on conflict (key) do update set data = excluded.ctid::text
;;
insert into insertconflict values (1, 2)
on conflict (coalesce(a, 0)) do nothing
;;
insert into insertconflict values (1, 2)
on conflict (b) where coalesce(a, 1) > 0 do nothing
;;
insert into capitals values ('Sacramento', 4664.E+5, 30, 'CA') on conflict (name) do update set population = excluded.population
;;
insert into selfconflict values (1,1), (1,2) on conflict do nothing
;;
insert into parted_conflict values (50, 'cincuenta', 2)
  on conflict (a, b) do update set (a, b, c) = row(excluded.*)
  where parted_conflict = (50, text 'cincuenta', 1) and
        excluded = (50, text 'cincuenta', 2)
;;
SELECT * FROM (TABLE int2_tbl) AS s (a, b)
;;
SELECT i.f1, i.f1 / int2 '2' AS x FROM INT2_TBL i
;;
SELECT ((-1::int2<<15)+1::int2)::text
;;
SELECT (-32768)::int2 / (-1)::int2
;;
SELECT (-32768)::int2 % (-1)::int2
;;
SELECT 4-2 AS two
;;
SELECT 2- -1 AS three
;;
SELECT int2 '2' * int2 '2' = int2 '16' / int2 '4' AS true
;;
SELECT 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 + 1 AS ten
;;
SELECT 2 + 2 / 2 AS three
;;
SELECT (2 + 2) / 2 AS two
;;
SELECT (-2147483648)::int4 * (-1)::int2
;;
SELECT * FROM INT8_TBL WHERE 123 <> q1
;;
SELECT * FROM INT8_TBL WHERE 123 < q1
;;
SELECT * FROM INT8_TBL WHERE 123 > q1
;;
SELECT * FROM INT8_TBL WHERE 123 <= q1
;;
SELECT * FROM INT8_TBL WHERE 123 >= q1
;;
SELECT q1, q2, q1 * q2 AS multiply FROM INT8_TBL
 WHERE q1 < 1000 or (q2 > 0 and q2 < 1000)
;;
SELECT q1, q2, q1 / q2 AS divide, q1 % q2 AS mod FROM INT8_TBL
;;
select '9223372036854775800'::int8 % '0'::int8
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 <> interval '@ 10 days'
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 <= interval '@ 5 hours'
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 < interval '@ 1 day'
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 = interval '@ 34 years'
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 >= interval '@ 1 month'
;;
SELECT * FROM INTERVAL_TBL
   WHERE INTERVAL_TBL.f1 > interval '@ 3 seconds ago'
;;
SELECT span * 0.3 AS product
FROM INTERVAL_MULDIV_TBL
;;
SELECT '3000000 months'::interval / 0.001
;;
SELECT '3000000 days'::interval * 1000
;;
SELECT '1 millisecond'::interval, '1 microsecond'::interval,
       '500 seconds 99 milliseconds 51 microseconds'::interval
;;
SELECT interval '999' hour
;;
SELECT interval '1' year to month
;;
SELECT interval '1 2' day to hour
;;
SELECT interval '1 2' hour to minute
;;
SELECT interval '1 2' minute to second
;;
SELECT interval(2) '1 day 01:23:45.6789'
;;
SELECT interval '12:34.5678' minute to second(2)
;;
SELECT interval '1.234' second(2)
;;
SELECT  interval '1 day -1 hours',
        interval '-1 days +1 hours',
        interval '1 years 2 months -3 days 4 hours 5 minutes 6.789 seconds',
        - interval '1 years 2 months -3 days 4 hours 5 minutes 6.789 seconds'
;;
select make_interval(years := 1, months := 6)
;;
select make_interval(years := 1, months := -1, weeks := 5, days := -7, hours := 25, mins := -180)
;;
select make_interval() = make_interval(years := 0, months := 0, weeks := 0, days := 0, mins := 0, secs := 0.0)
;;
select make_interval(years := 'inf'::float::int)
;;
SELECT EXTRACT(FORTNIGHT FROM INTERVAL '2 days')
;;
SELECT ii, tt, kk
  FROM (J1_TBL CROSS JOIN J2_TBL)
    AS tx (ii, jj, tt, ii2, kk)
;;
SELECT *
  FROM J1_TBL t1 (a, b, c) JOIN J2_TBL t2 (a, d) USING (a)
  ORDER BY a, d
;;
SELECT *
  FROM J1_TBL t1 (a, b, c) NATURAL JOIN J2_TBL t2 (a, d)
;;
SELECT *
  FROM J1_TBL RIGHT OUTER JOIN J2_TBL USING (i)
;;
SELECT *
  FROM J1_TBL RIGHT JOIN J2_TBL USING (i)
;;
SELECT *
  FROM J1_TBL FULL OUTER JOIN J2_TBL USING (i)
  ORDER BY i, k, t
;;
SELECT * FROM t1 FULL JOIN t2 USING (name) FULL JOIN t3 USING (name)
;;
SELECT * FROM
(SELECT * FROM t2) as s2
LEFT JOIN
(SELECT * FROM t3) s3
USING (name)
;;
SELECT * FROM
(SELECT * FROM t2) as s2
FULL JOIN
(SELECT * FROM t3) s3
USING (name)
;;
SELECT * FROM
(SELECT name, n as s2_n, 2 as s2_2 FROM t2) as s2
NATURAL LEFT JOIN
(SELECT name, n as s3_n, 3 as s3_2 FROM t3) s3
;;
SELECT * FROM
(SELECT name, n as s2_n, 2 as s2_2 FROM t2) as s2
NATURAL FULL JOIN
(SELECT name, n as s3_n, 3 as s3_2 FROM t3) s3
;;
SELECT * FROM
(SELECT name, n as s1_n, 1 as s1_1 FROM t1) as s1
NATURAL INNER JOIN
(SELECT name, n as s2_n, 2 as s2_2 FROM t2) as s2
NATURAL INNER JOIN
(SELECT name, n as s3_n, 3 as s3_2 FROM t3) s3
;;
select * from (x left join y on (x1 = y1)) left join x xx(xx1,xx2)
on (x1 = xx1)
;;
select * from int8_tbl i1 left join (int8_tbl i2 join
  (select 123 as x) ss on i2.q1 = x) on i1.q2 = i2.q2
order by 1, 2
;;
select * from
  j1_tbl full join
  (select * from j2_tbl order by j2_tbl.i desc, j2_tbl.k asc) j2_tbl
  on j1_tbl.i = j2_tbl.i and j1_tbl.i = j2_tbl.k
;;
DELETE FROM t3 USING t1 table1 WHERE t3.x = table1.a
;;
select foo.*, unnamed_join.* from
  t1 join t2 using (a) as foo, t3 as unnamed_join
  for update of unnamed_join
;;
execute foo(true)
;;
select t1.q2, count(t2.*)
from int8_tbl t1 left join (select * from int8_tbl offset 0) t2 on (t1.q2 = t2.q1)
group by t1.q2 order by 1
;;
select t1.q2, count(t2.*)
from int8_tbl t1 left join
  (select q1, case when q2=1 then 1 else q2 end as q2 from int8_tbl) t2
  on (t1.q2 = t2.q1)
group by t1.q2 order by 1
;;
SELECT qq, unique1
  FROM
  ( SELECT COALESCE(q1, 0) AS qq FROM int8_tbl a ) AS ss1
  FULL OUTER JOIN
  ( SELECT COALESCE(q2, -1) AS qq FROM int8_tbl b ) AS ss2
  USING (qq)
  INNER JOIN tenk1 c ON qq = unique2
;;
select * from
  int8_tbl t1 left join
  (select q1 as x, 42 as y from int8_tbl t2) ss
  on t1.q2 = ss.x
where
  1 = (select 1 from int8_tbl t3 where ss.y is not null limit 1)
order by 1,2
;;
select * from
  (select 1 as x) ss1 left join (select 2 as y) ss2 on (true),
  lateral (select ss2.y as z limit 1) ss3
;;
select * from
  (select 0 as z) as t1
  left join
  (select true as a) as t2
  on true,
  lateral (select true as b
           union all
           select a as b) as t3
where b
;;
with ctetable as not materialized ( select 1 as f1 )
select * from ctetable c1
where f1 in ( select c3.f1 from ctetable c2 full join ctetable c3 on true )
;;
explain (costs off)
select count(*) from
  tenk1 a join tenk1 b on a.unique1 = b.unique2
  left join tenk1 c on a.unique2 = b.unique1 and c.thousand = a.thousand
  join int4_tbl on b.thousand = f1
;;
explain (costs off)
select * from
(
  select unique1, q1, coalesce(unique1, -1) + q1 as fault
  from int8_tbl left join tenk1 on (q2 = unique2)
) ss
where fault = 122
order by fault
;;
explain (costs off)
select * from
(values (1, array[10,20]), (2, array[20,30])) as v1(v1x,v1ys)
left join (values (1, 10), (2, 20)) as v2(v2x,v2y) on v2x = v1x
left join unnest(v1ys) as u1(u1y) on u1y = v2y
;;
select q1, unique2, thousand, hundred
  from int8_tbl a left join tenk1 b on q1 = unique2
  where coalesce(thousand,123) = q1 and q1 = coalesce(hundred,123)
;;
explain (costs off)
select f1, unique2, case when unique2 is null then f1 else 0 end
  from int4_tbl a left join tenk1 b on f1 = unique2
  where (case when unique2 is null then f1 else 0 end) = 0
;;
explain (verbose, costs off)
select * from
  text_tbl t1
  inner join int8_tbl i8
  on i8.q2 = 456
  right join text_tbl t2
  on t1.f1 = 'doh!'
  left join int4_tbl i4
  on i8.q1 = i4.f1
;;
select * from
  text_tbl t1
  left join int8_tbl i8
  on i8.q2 = 123,
  lateral (select i8.q1, t2.f1 from text_tbl t2 limit 1) as ss
where t1.f1 = ss.f1
;;
explain (costs off)
  select p.*, linked from parent p
    left join (select c.*, true as linked from child c) as ss
    on (p.k = ss.k)
;;
select i8.*, ss.v, t.unique2
  from int8_tbl i8
    left join int4_tbl i4 on i4.f1 = 1
    left join lateral (select i4.f1 + 1 as v) as ss on true
    left join tenk1 t on t.unique2 = ss.v
where q2 = 456
;;
explain (costs off)
select * from
  (select *, 12 as phv from parttbl) as ss
  right join int4_tbl on true
where ss.a = ss.phv and f1 = 0
;;
select count(*) from tenk1 a,
  tenk1 b join lateral (values(a.unique1)) ss(x) on b.unique2 = ss.x
;;
select * from ((select f1/2 as x from int4_tbl) ss1 join int4_tbl i4 on x = f1) j,
  lateral (select x) ss2(y)
;;
select * from
  int8_tbl a left join lateral
  (select b.q1 as bq1, c.q1 as cq1, least(a.q1,b.q1,c.q1) from
   int8_tbl b cross join int8_tbl c) ss
  on a.q2 = ss.bq1
;;
select * from
  (select 0 as val0) as ss0
  left join (select 1 as val) as ss1 on true
  left join lateral (select ss1.val as val_filtered where false) as ss2 on true
;;
select * from (
  select arrayd.ad, coalesce(c.hundred, 0) as h
  from unnest(array[1]) as arrayd(ad)
  left join lateral (
    select hundred from tenk1 where unique2 = arrayd.ad
  ) c on true
) c2
where c2.h * c2.ad = c2.h * (c2.ad + 1)
;;
select * from
  (values (0,9998), (1,1000)) v(id,x),
  lateral (select f1 from int4_tbl
           where f1 = any (select unique1 from tenk1
                           where unique2 = v.x offset 0)) ss
;;
select f1,g from int4_tbl a full join lateral generate_series(0, a.f1) g on true
;;
delete from xx1 using lateral (select * from int4_tbl where f1 = x1) ss
;;
select * from j1
inner join j2 on j1.id1 = j2.id1 and j1.id2 = j2.id2
where j1.id1 % 1000 = 1 and j2.id1 % 1000 = 1 and j2.id1 >= any (array[1,5])
;;
update pg_class
  set reltuples = 2, relpages = pg_relation_size('extremely_skewed') / 8192
  where relname = 'extremely_skewed'
;;
explain (costs off)
  select count(*) from simple r join simple s using (id)
;;
explain (costs off)
     select  count(*) from simple r full outer join simple s using (id)
;;
explain (costs off)
     select  count(*) from simple r full outer join simple s on (r.id = 0 - s.id)
;;
SELECT array_to_json(array_agg(q),false) from (select x as b, x * 2 as c from generate_series(1,3) x) q
;;
SELECT array_to_json(array_agg(q),false)
  FROM ( SELECT $$a$$ || x AS b, y AS c,
               ARRAY[ROW(x.*,ARRAY[1,2,3]),
               ROW(y.*,ARRAY[4,5,6])] AS z
         FROM generate_series(1,2) x,
              generate_series(4,5) y) q
;;
SELECT row_to_json(q,true)
FROM rows q
;;
SELECT row_to_json(row((select array_agg(x) as d from generate_series(5,10) x)),false)
;;
select attname, to_json(histogram_bounds) histogram_bounds
from pg_stats
where tablename = 'rows' and
      schemaname = pg_my_temp_schema()::regnamespace::text
order by 1
;;
select to_json(timestamp 'Infinity')
;;
UPDATE rows SET x = NULL WHERE x = 1
;;
SELECT test_json -> -1
FROM test_json
WHERE json_type = 'array'
;;
select '{"a": [{"b": "c"}, {"b": "cc"}]}'::json -> null::int
;;
CREATE TYPE jsrec AS (
	i	int,
	ia	_int4,
	ia1	int[],
	ia2	int[][],
	ia3	int[][][],
	ia1d	js_int_array_1d,
	ia2d	js_int_array_2d,
	t	text,
	ta	text[],
	c	char(10),
	ca	char(10)[],
	ts	timestamp,
	js	json,
	jsb	jsonb,
	jsa	json[],
	rec	jpop,
	reca	jpop[]
)
;;
SELECT rec FROM json_populate_record(
	row(NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,
		row('x',3,'2012-12-31 15:30:56')::jpop,NULL)::jsrec,
	'{"rec": {"a": "abc", "c": "01.02.2003", "x": 43.2}}'
) q
;;
select * from json_populate_recordset(row(0::int,0::int),'[{"a":"1","b":"2"},{"a":"3"}]') q (a text, b text)
;;
INSERT INTO jspoptest
SELECT '{
	"jsa": [1, "2", null, 4],
	"rec": {"a": "abc", "c": "01.02.2003", "x": 43.2},
	"reca": [{"a": "abc", "b": 456}, null, {"c": "01.02.2003", "x": 43.2}]
}'::json
FROM generate_series(1, 3)
;;
SELECT json_build_object(
       'a', json_build_object('b',false,'c',99),
       'd', json_build_object('e',array[9,8,7]::int[],
           'f', (select row_to_json(r) from ( select relkind, oid::regclass as name from pg_class where relname = 'pg_class') r)))
;;
SELECT json_build_object(json '{"a":1,"b":2}', 3)
;;
SELECT json_build_object('turbines',json_object_agg(serial_num,json_build_object('name',name,'type',type)))
FROM foo
;;
SELECT json_object_agg(name, type) FROM foo
;;
select json_object('{a,b,c,"d e f"}','{1,2,3,"a b c",g}')
;;
select * from json_to_recordset('[{"a":1,"b":"foo","d":false},{"a":2,"b":"bar","c":true}]')
    as x(a int, b text, c boolean)
;;
select *, c is null as c_is_null
from json_to_record('{"a":1, "b":{"c":16, "d":2}, "x":8, "ca": ["1 2", 3], "ia": [[1,2],[3,4]], "r": {"a": "aaa", "b": 123}}'::json)
    as t(a int, b json, c text, x int, ca char(5)[], ia int[][], r jpop)
;;
select * from json_to_record('{"out": {"key": 1}}') as x(out json)
;;
select json_to_tsvector('english', '{"a": "aaa in bbb", "b": 123, "c": 456, "d": true, "f": false, "g": null}'::json, '"key"')
;;
select json '{ "a":  "\ud83d\ud83d" }' -> 'a'
;;
SELECT count(*) FROM (SELECT (jsonb_each(j)).key FROM testjsonb) AS wow
;;
SELECT key, count(*) FROM (SELECT (jsonb_each(j)).key FROM testjsonb) AS wow GROUP BY key ORDER BY count DESC, key
;;
SELECT distinct * FROM (values (jsonb '{}' || ''::text),('{}')) v(j)
;;
SELECT '["a","b","c",[1,2],null]'::jsonb -> 3 -> 1
;;
select jsonb_set_lax('{"a":1,"b":2}', '{b}', null, null_value_treatment => 'return_target') as return_target
;;
select ('123'::jsonb)[NULL]
;;
select ('{"a": 1, "b": "c", "d": [1, 2, 3]}'::jsonb)['d'][1]
;;
insert into test_jsonb_subscript values
(1, '{}'), -- empty jsonb
(2, '{"key": "value"}')
;;
select * from test_jsonb_subscript where test_json['key_doesnt_exists'] = '"value"'
;;
update test_jsonb_subscript set test_json[id] = '"baz"'
;;
select jsonb_path_query('[1]', 'strict $[1]', silent => true)
;;
select jsonb_path_exists('[{"a": 1}, {"a": 2}, 3]', 'lax $[*].a', silent => false)
;;
UPDATE lotest_stash_values SET fd=lo_open(loid, CAST(x'20000' | x'40000' AS integer))
;;
SELECT lo_open(loid, x'40000'::int) from lotest_stash_values
;;
SELECT lo_export(loid, :'filename') FROM lotest_stash_values
;;
SELECT lo_from_bytea(0, lo_get(:newloid_1)) AS newloid_2

SELECT md5(lo_get(:newloid_1)) = md5(lo_get(:newloid_2))
;;
SELECT lo_put(:newloid_1, 4294967310, 'foo')
;;
SELECT ''::text AS three, unique1, unique2, stringu1
		FROM onek WHERE unique1 > 100
		ORDER BY unique1 LIMIT 3 OFFSET 20
;;
SELECT ''::text AS five, unique1, unique2, stringu1
		FROM onek
		ORDER BY unique1 OFFSET 990 LIMIT 5
;;
select * from int8_tbl offset (case when random() < 0.5 then null::bigint end)
;;
fetch all in c1
;;
fetch 1 in c1
;;
fetch backward 1 in c1
;;
fetch backward all in c1
;;
declare c5 cursor for select * from int8_tbl order by q1 fetch first 2 rows with ties
;;
select generate_series(0,2) as s1, generate_series((random()*.1)::int,2) as s2
;;
SELECT  thousand
		FROM onek WHERE thousand < 5
		ORDER BY thousand FETCH FIRST ROWS WITH TIES
;;
SELECT  thousand
		FROM onek WHERE thousand < 5
		ORDER BY thousand FETCH FIRST 1 ROW WITH TIES
;;
select '{nan, 1, nan}'::line = '{nan, 1, nan}'::line as true,
	   '{nan, 1, nan}'::line = '{nan, 2, nan}'::line as false
;;
SELECT b <  '08:00:2b:01:02:04' FROM macaddr_data WHERE a = 1
;;
EXPLAIN (costs off)
  CREATE MATERIALIZED VIEW mvtest_tvvm AS SELECT * FROM mvtest_tvv
;;
EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, TIMING OFF)
  CREATE MATERIALIZED VIEW matview_schema.mv_withdata2 (a) AS
  SELECT generate_series(1, 10) WITH DATA
;;
EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, TIMING OFF)
  CREATE MATERIALIZED VIEW matview_schema.mv_nodata2 (a) AS
  SELECT generate_series(1, 10) WITH NO DATA
;;
INSERT INTO expr_key (x, t)
SELECT d1::numeric, d1::text FROM (
    SELECT round((d / pi())::numeric, 7) AS d1 FROM generate_series(1, 20) AS d
) t
;;
INSERT INTO flt VALUES('-0.0'::float),('+0.0'::float)
;;
INSERT INTO target VALUES (1, 10)
;;
SELECT t.ctid is not null as matched, t.*, s.* FROM source s FULL OUTER JOIN target t ON s.sid = t.tid ORDER BY t.tid, s.sid
;;
EXPLAIN (COSTS OFF)
MERGE INTO target t
USING source AS s
ON t.tid = s.sid
WHEN MATCHED THEN
	DELETE
;;
MERGE INTO tv t
USING source s
ON t.tid = s.sid
WHEN NOT MATCHED THEN
	INSERT DEFAULT VALUES
;;
MERGE INTO target
USING (SELECT 1) AS s
ON true
WHEN MATCHED THEN
	DO NOTHING
;;
MERGE INTO target
USING source2
ON target.tid = source2.sid
WHEN MATCHED THEN
	UPDATE SET balance = 0
;;
MERGE INTO target2
USING source
ON target2.tid = source.sid
WHEN MATCHED THEN
	DELETE
;;
SELECT * FROM source ORDER BY sid
;;
SELECT * FROM target ORDER BY tid
;;
DELETE FROM target WHERE tid > 100
;;
INSERT INTO source VALUES (3, 20)
;;
MERGE INTO target t
USING source AS s
ON t.tid = s.sid
WHEN MATCHED THEN
	UPDATE SET balance = 0
WHEN NOT MATCHED THEN
	INSERT VALUES (4, 4)
;;
MERGE INTO target t
USING source AS s
ON (SELECT true)
WHEN NOT MATCHED THEN
	INSERT (tid, balance) VALUES (t.tid, s.delta)
;;
MERGE INTO target t
USING source AS s
ON t.tid = s.sid
WHEN MATCHED THEN /* Terminal WHEN clause for MATCHED */
	DELETE
WHEN MATCHED THEN
	UPDATE SET balance = t.balance - s.delta
;;
MERGE INTO wq_target t
USING wq_source s ON t.tid = s.sid
WHEN NOT MATCHED AND t.balance = 100 THEN
	INSERT (tid) VALUES (s.sid)
;;
MERGE INTO wq_target t
USING wq_source s ON t.tid = s.sid
WHEN MATCHED AND s.balance = 100 THEN
	UPDATE SET balance = t.balance + s.balance
;;
MERGE INTO wq_target t
USING wq_source s ON (t.tid = s.sid)
WHEN matched and t = s or t.tid = s.sid THEN
	UPDATE SET balance = t.balance + s.balance
;;
UPDATE target SET balance = 0 WHERE tid = 3
;;
SELECT * FROM target full outer join source on (sid = tid)
;;
MERGE INTO target t
USING (SELECT sid, delta FROM source WHERE delta > 0) AS s
ON t.tid = s.sid
WHEN NOT MATCHED THEN
	INSERT (tid, balance) VALUES (s.sid, s.delta)
;;
MERGE INTO target t1
USING target t2
ON t1.tid = t2.tid
WHEN MATCHED THEN
	UPDATE SET balance = t1.balance + t2.balance
WHEN NOT MATCHED THEN
	INSERT VALUES (t2.tid, t2.balance)
;;
MERGE INTO target t
USING
(SELECT sid, max(delta) AS delta
 FROM source
 GROUP BY sid
 HAVING count(*) = 1
 ORDER BY sid ASC) AS s
ON t.tid = s.sid
WHEN NOT MATCHED THEN
	INSERT (tid, balance) VALUES (s.sid, s.delta)
;;
prepare foom as merge into target t using (select 1 as sid) s on (t.tid = s.sid) when matched then update set balance = 1
;;
PREPARE foom2 (integer, integer) AS
MERGE INTO target t
USING (SELECT 1) s
ON t.tid = $1
WHEN MATCHED THEN
UPDATE SET balance = $2
;;
MERGE INTO sq_target t
USING (SELECT * FROM sq_source) s
ON tid = sid
WHEN MATCHED AND t.balance > delta THEN
	UPDATE SET balance = t.balance + delta
;;
MERGE INTO sq_target
USING v
ON tid = sid
WHEN MATCHED AND tid > 2 THEN
    UPDATE SET balance = balance + delta
WHEN NOT MATCHED THEN
	INSERT (balance, tid) VALUES (balance + delta, sid)
WHEN MATCHED AND tid < 2 THEN
	DELETE
;;
MERGE INTO sq_target t
USING v
ON tid = sid
WHEN MATCHED AND tid > 2 THEN
    UPDATE SET balance = t.balance + delta
WHEN NOT MATCHED THEN
	INSERT (balance, tid) VALUES (balance + delta, sid)
WHEN MATCHED AND tid < 2 THEN
	DELETE
RETURNING *
;;
MERGE INTO sq_target t
USING v
ON tid = sid
WHEN MATCHED AND (SELECT count(*) > 0 FROM sq_target) THEN
    UPDATE SET balance = 42
;;
MERGE INTO pa_target t
  USING pa_source s
  ON t.tid = s.sid
  WHEN MATCHED THEN
    UPDATE SET balance = balance + delta, val = val || ' updated by merge'
  WHEN NOT MATCHED THEN
    INSERT VALUES (sid, delta, 'inserted by merge')
;;
MERGE INTO cj_target t
USING cj_source2 s2
	INNER JOIN cj_source1 s1 ON sid1 = sid2 AND scat = 20
ON t.tid = sid1
WHEN MATCHED THEN
	UPDATE SET val = val || ' ' || delta::text
;;
MERGE INTO fs_target t
USING generate_series(1,100,2) AS id
ON t.a = id
WHEN MATCHED THEN
	UPDATE SET b = b + id, c = 'updated '|| id.*::text
WHEN NOT MATCHED THEN
	INSERT VALUES (id, -1, 'inserted ' || id.*::text)
;;
MERGE INTO new_measurement nm
 USING ONLY measurement m ON
      (nm.city_id = m.city_id and nm.logdate=m.logdate)
WHEN MATCHED THEN DELETE
;;
SELECT * FROM onek EXCEPT ALL SELECT * FROM onek_copy
;;
COPY BINARY stud_emp TO :'filename'
;;
INSERT INTO hobbies_r (name, person)
   SELECT 'posthacking', p.name
   FROM person* p
   WHERE p.name = 'mike' or p.name = 'jeff'
;;
SELECT hobbies_r.name, (hobbies_r.equipment).name FROM hobbies_r
;;
SELECT (p.hobbies).equipment.name, p.name, name(p.hobbies) FROM person* p
;;
SELECT name(equipment(p.hobbies)), name(p.hobbies), p.name FROM person* p
;;
SELECT name(equipment(hobby_construct(text 'skywalking', text 'mer')))
;;
SELECT *, name(equipment(h.*)) FROM hobbies_r h
;;
SELECT num_nonnulls(1, 2, NULL::text, NULL::point, '', int8 '9', 1.0 / NULL)
;;
SELECT num_nonnulls(VARIADIC '{1,2,NULL,3}'::int[])
;;
SELECT num_nonnulls(VARIADIC ARRAY(SELECT CASE WHEN i <> 40 THEN i END FROM generate_series(1, 100) i))
;;
SELECT num_nulls(VARIADIC NULL::text[])
;;
select (w).size = :segsize as ok
from (select pg_ls_waldir() w) ss where length((w).name) = 24 limit 1
;;
select count(*) >= 0 as ok from pg_ls_archive_statusdir()
;;
select * from (select (pg_timezone_names()).name) ptn where name='UTC' limit 1
;;
SELECT m <= '$123.00' FROM money_data
;;
SELECT m >= '$123.00' FROM money_data
;;
SELECT m > '$122.00' FROM money_data
;;
SELECT '-1'::money / 1.175494e-38::float4
;;
SELECT * FROM nummultirange_test WHERE 4.0 <@ nmr
;;
SELECT nummultirange() + nummultirange(numrange(1,2))
;;
SELECT nummultirange() - nummultirange(numrange(1,2))
;;
SELECT nummultirange(numrange(1,2)) * nummultirange()
;;
select * from nummultirange_test natural join nummultirange_test2 order by nmr
;;
insert into i8mr_array values (42, array[int8multirange(int8range(1,10)), int8multirange(int8range(2,20))])
;;
INSERT INTO clean_aborted_self (key, data) VALUES (-1, 'just to allocate metapage')
;;
SELECT name 'name string' = name 'name string ' AS "False"
;;
SELECT parse_ident(' first . "  second  " ."   third   ". "  ' || repeat('x',66) || '"')::name[]
;;
INSERT INTO num_result SELECT id, 0, LOG(numeric '10', ABS(val))
    FROM num_data
    WHERE val != '0.0'
;;
WITH v(x) AS
  (VALUES('0'::numeric),('1'),('-1'),('4.2'),('inf'),('-inf'),('nan'))
SELECT x1, x2,
  x1 / x2 AS quot,
  x1 % x2 AS mod,
  div(x1, x2) AS div
FROM v AS v1(x1), v AS v2(x2) WHERE x2 != 0
;;
SELECT 'inf'::numeric % '0'
;;
WITH v(x) AS
  (VALUES('0'::numeric),('1'),('2'),('4.2'),('inf'),('nan'))
SELECT x1, x2,
  power(x1, x2)
FROM v AS v1(x1), v AS v2(x2) WHERE x1 != 0 OR x2 >= 0
;;
SELECT round(4.5e131071, -131071) = 5e131071
;;
WITH v(val) AS
  (VALUES('0'::numeric),('-4.2'),('4.2e9'),('1.2e-5'),('inf'),('-inf'),('nan'))
SELECT val,
  to_char(val, '9.999EEEE') as numeric,
  to_char(val::float8, '9.999EEEE') as float8,
  to_char(val::float4, '9.999EEEE') as float4
FROM v
;;
WITH v(exp) AS
  (VALUES(-16379),(-16378),(-1234),(-789),(-45),(-5),(-4),(-3),(-2),(-1),(0),
         (1),(2),(3),(4),(5),(38),(275),(2345),(45678),(131070),(131071))
SELECT exp,
  to_char(('1.2345e'||exp)::numeric, '9.999EEEE') as numeric
FROM v
;;
select 4789999999999999999999999999999999999999999999999999999999999999999999999999999999999999 * 9999999999999999999999999999999999999999999999999999999999999999999999999999999999999999
;;
select trim_scale((0.1 - 2e-16383) * (0.1 - 3e-16383))
;;
select div(-9999999999999999999999::numeric,1000000000000000000000)
;;
select div(-9999999999999999999999::numeric,1000000000000000000000)*1000000000000000000000 + mod(-9999999999999999999999::numeric,1000000000000000000000)
;;
select 70.0 / 70
;;
select 12345678901234567890 % 123
;;
select div(12345678901234567890, 123) * 123 + 12345678901234567890 % 123
;;
select 10.0 ^ -2147483647 as rounds_to_zero
;;
select 10.0 ^ 2147483647 as overflows
;;
select 0.12 ^ (-20)
;;
select coalesce(nullif(0.9999999999 ^ 23300000000000, 0), 0) as rounds_to_zero
;;
select round(((1 - 1.500012345678e-1000) ^ 1.45e1003) * 1e1000)
;;
select 'NaN'::numeric ^ 0
;;
select 0 ^ 'NaN'::numeric
;;
INSERT INTO num_variance VALUES (-4e-500 + 1e-16383)
;;
INSERT INTO num_variance SELECT 9e131071 + x FROM generate_series(1, 5) x
;;
SELECT lcm(9999 * (10::numeric)^131068 + (10::numeric^131068 - 1), 2)
;;
-- this transform would be quite unsafe to leave lying around,
-- except that the SQL language pays no attention to transforms:
CREATE TRANSFORM FOR int LANGUAGE SQL (
	FROM SQL WITH FUNCTION prsd_lextype(internal),
	TO SQL WITH FUNCTION int4recv(internal))
;;
SELECT p1.oid, p1.proname
FROM pg_proc as p1
WHERE p1.prorettype = 'anycompatiblerange'::regtype
  AND NOT
     'anycompatiblerange'::regtype = ANY (p1.proargtypes)
ORDER BY 2
;;
SELECT p1.oid, p1.proname
FROM pg_proc as p1
WHERE proargmodes IS NOT NULL AND
    array_length(proargmodes,1) < array_length(proargtypes,1)
;;
SELECT p1.oid, p1.proname
FROM pg_proc as p1
WHERE proallargtypes IS NOT NULL AND proargmodes IS NOT NULL AND
    array_length(proallargtypes,1) <> array_length(proargmodes,1)
;;
SELECT c.*
FROM pg_cast c, pg_proc p
WHERE c.castfunc = p.oid AND
    ((p.pronargs > 1 AND p.proargtypes[1] != 'int4'::regtype) OR
     (p.pronargs > 2 AND p.proargtypes[2] != 'bool'::regtype))
;;
SELECT ctid, aggfnoid::oid
FROM pg_aggregate as a
WHERE aggmtranstype = 0 AND
    (aggmtransfn != 0 OR aggminvtransfn != 0 OR aggmfinalfn != 0 OR
     aggmtransspace != 0 OR aggminitval IS NOT NULL)
;;
SELECT a1.amopfamily, a1.amopstrategy
FROM pg_amop as a1
WHERE NOT ((a1.amoppurpose = 's' AND a1.amopsortfamily = 0) OR
           (a1.amoppurpose = 'o' AND a1.amopsortfamily <> 0))
;;
SELECT c, sum(a) FROM pagg_tab WHERE 1 = 2 GROUP BY c
;;
EXPLAIN (COSTS OFF)
SELECT c, sum(a) FROM pagg_tab WHERE c = 'x' GROUP BY c
;;
SELECT c, sum(a), avg(b), count(*) FROM pagg_tab GROUP BY 1 HAVING avg(d) < 15 ORDER BY 1, 2, 3
;;
SELECT b.y, sum(a.y) FROM pagg_tab1 a LEFT JOIN pagg_tab2 b ON a.x = b.y GROUP BY b.y ORDER BY 1 NULLS LAST
;;
SELECT a.x, b.y, count(*) FROM (SELECT * FROM pagg_tab1 WHERE x < 20) a LEFT JOIN (SELECT * FROM pagg_tab2 WHERE y > 10) b ON a.x = b.y WHERE a.x > 5 or b.y < 20  GROUP BY a.x, b.y ORDER BY 1, 2
;;
SELECT a, sum(b), avg(c), count(*) FROM pagg_tab_m GROUP BY a, (a+b)/2 HAVING sum(b) < 50 ORDER BY 1, 2, 3
;;
SELECT relid, parentrelid, level, isleaf
  FROM pg_partition_tree('ptif_normal_table')
;;
SELECT t1.a, t1.c, t2.b, t2.c FROM (SELECT 50 phv, * FROM prt1 WHERE prt1.b = 0) t1 FULL JOIN (SELECT 75 phv, * FROM prt2 WHERE prt2.a = 0) t2 ON (t1.a = t2.b) WHERE t1.phv = t1.a OR t2.phv = t2.b ORDER BY t1.a, t2.b
;;
EXPLAIN (COSTS OFF)
SELECT t1.a, t1.c, t2.b, t2.c FROM prt1_e t1, prt2_e t2 WHERE (t1.a + t1.b)/2 = (t2.b + t2.a)/2 AND t1.c = 0 ORDER BY t1.a, t2.b
;;
EXPLAIN (COSTS OFF)
SELECT t1.a, t1.c, t2.b, t2.c, t3.a + t3.b, t3.c FROM (prt1 t1 LEFT JOIN prt2 t2 ON t1.a = t2.b) RIGHT JOIN prt1_e t3 ON (t1.a = (t3.a + t3.b)/2) WHERE t3.c = 0 ORDER BY t1.a, t2.b, t3.a + t3.b
;;
EXPLAIN (COSTS OFF)
SELECT t1.* FROM prt1 t1 WHERE t1.a IN (SELECT t1.b FROM prt2 t1 WHERE t1.b IN (SELECT (t1.a + t1.b)/2 FROM prt1_e t1 WHERE t1.c = 0)) AND t1.b = 0 ORDER BY t1.a
;;
SELECT t1.a, t2.b FROM prt1 t1, prt2 t2 WHERE t1::text = t2::text AND t1.a = t2.b ORDER BY t1.a
;;
INSERT INTO plt1_adv SELECT i, i, to_char(i % 10, 'FM0000') FROM generate_series(1, 299) i WHERE i % 10 IN (1, 3, 4, 6, 8, 9)
;;
SELECT t1.a, t1.c, t2.a, t2.c FROM plt1_adv t1 FULL JOIN plt2_adv t2 ON (t1.a = t2.a AND t1.c = t2.c) WHERE coalesce(t1.b, 0) < 10 AND coalesce(t2.b, 0) < 10 ORDER BY t1.a, t2.a
;;
SELECT t1.a, t1.c, t2.a, t2.c, t3.a, t3.c FROM (plt1_adv t1 LEFT JOIN plt2_adv t2 ON (t1.c = t2.c)) FULL JOIN plt3_adv t3 ON (t1.c = t3.c) WHERE coalesce(t1.a, 0) % 5 != 3 AND coalesce(t1.a, 0) % 5 != 4 ORDER BY t1.c, t1.a, t2.a, t3.a
;;
INSERT INTO alpha_neg SELECT -1.0, i, to_char(i % 10, 'FM0000') FROM generate_series(100, 399) i WHERE i % 10 IN (1, 3, 4, 6, 8, 9)
;;
EXPLAIN (COSTS OFF)
SELECT * FROM fract_t x LEFT JOIN fract_t y USING (id) ORDER BY id ASC LIMIT 10
;;
explain (costs off) select * from mc3p where a = 10 and abs(b) between 5 and 35
;;
explain (costs off) select * from mc3p where a <= 10 and abs(b) < 10
;;
insert into boolpart values (true), (false), (null)
;;
explain (costs off) select * from boolpart where a in (true, false)
;;
explain (costs off) select * from boolpart where a is true or a is not true
;;
explain (costs off) select * from boolpart where a is not true and a is not false
;;
explain (costs off) select * from coercepart where a ~ any ('{ab}')
;;
explain (costs off) select * from coercepart where a !~ all ('{ab}')
;;
explain (costs off) select * from coercepart where a = all (null::text[])
;;
explain (costs off)
select * from
  (select exists (select 1 from int4_tbl tinner where f1 = touter.f1) as b
   from int4_tbl touter) ss,
  asptab
where asptab.id > ss.b::int
;;
prepare ab_q1 (int, int, int) as
select * from ab where a between $1 and $2 and b <= $3
;;
explain (analyze, costs off, summary off, timing off) execute ab_q1 (2, 2, 3)
;;
prepare ab_q6 as
select * from (
	select tableoid::regclass,a,b from ab
union all
	select tableoid::regclass,x,y from xy_1
union all
	select tableoid::regclass,a,b from ab
) ab where a = $1 and b = (select -10)
;;
explain (analyze, costs off, summary off, timing off)
select * from stable_qual_pruning
  where a = any(array['2000-02-01', '2010-01-01']::timestamp[])
;;
explain (analyze, costs off, summary off, timing off)
select * from stable_qual_pruning
  where a = any(array['2000-02-01', localtimestamp]::timestamp[])
;;
prepare ps2 as
  select * from mc3p where a <= $1 and abs(b) < (select 3)
;;
explain (analyze, costs off, summary off, timing off)
select * from boolp where a = (select value from boolvalues where value)
;;
explain (analyze, costs off, summary off, timing off)
select * from boolp where a = (select value from boolvalues where not value)
;;
prepare mt_q1 (int) as select a from ma_test where a >= $1 and a % 10 = 5 order by b
;;
prepare mt_q2 (int) as select * from ma_test where a >= $1 order by b limit 1
;;
explain (costs off) update pp_lp set value = 10 where a = 1
;;
SELECT 16::numeric + '0/16AE7F7'::pg_lsn
;;
SELECT DISTINCT (i || '/' || j)::pg_lsn f
  FROM generate_series(1, 10) i,
       generate_series(1, 10) j,
       generate_series(1, 5) k
  WHERE i <= 10 AND j > 0 AND j <= 10
  ORDER BY f
;;
prepare pstmt_def_insert (int) as insert into pc_list_part_def values($1)
;;
insert into System values ('orion', 'PC')
;;
select f1(42) as int, f1(4.5) as num
;;
select f1(int4range(42, 49), 11, 2::smallint) as int, f1(float8range(4.5, 7.8), 7.8, 11::real) as num
;;
fetch next in test1
;;
select foreach_test(ARRAY[[(10,20),(40,69)],[(35,78),(88,76)]]::xy_tuple[])
;;
INSERT INTO transition_table_status (level, node_no, status)
  SELECT 1, level1_no, 0 FROM transition_table_level1
;;
UPDATE alter_table_under_transition_tables
  SET name = name || name
;;
UPDATE alter_table_under_transition_tables
  SET name = (name::text || name::text)::integer
;;
SELECT p.* FROM POINT_TBL p
   WHERE p.f1 <@ path '[(0,0),(-10,0),(-10,10)]'
;;
INSERT INTO quad_poly_tbl
	SELECT (x - 1) * 100 + y, polygon(circle(point(x * 10, y * 10), 1 + (x + y) % 10))
	FROM generate_series(1, 100) x,
		 generate_series(1, 100) y
;;
select concat('|', variadic array[1,2,33])
;;
-- test out parameters with named params
create function dfunc(a varchar = 'def a', out _a varchar, c numeric = NULL, out _c numeric)
returns record as $$
  select $1, $2;
$$ language sql
;;
select dfunc(a := 'a'::text, b := 'b', flag := false)
;;
select dfunc(a => 'a'::text, b => 'b')
;;
select dfunc(a =>+1)
;;
select dfunc(a =>/**/1)
;;
select dfunc(a =>--comment to be removed by psql
  1)
;;
DECLARE foo1 SCROLL CURSOR FOR SELECT * FROM tenk1 ORDER BY unique2
;;
SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors
;;
DECLARE foo24 NO SCROLL CURSOR FOR SELECT * FROM tenk1 ORDER BY unique2
;;
FETCH ABSOLUTE 2 FROM foo24
;;
DECLARE foo25 SCROLL CURSOR WITH HOLD FOR SELECT * FROM tenk2
;;
FETCH BACKWARD FROM foo25
;;
FETCH ABSOLUTE -1 FROM foo25
;;
DECLARE bc BINARY CURSOR FOR SELECT * FROM tenk1
;;
DECLARE foo1 CURSOR WITH HOLD FOR SELECT 1
;;
DECLARE foo2 CURSOR WITHOUT HOLD FOR SELECT 1
;;
DELETE FROM uctest WHERE CURRENT OF c1
;;
FETCH RELATIVE 0 FROM c1
;;
DECLARE c1 INSENSITIVE CURSOR FOR SELECT * FROM uctest
;;
FETCH NEXT FROM c1
;;
DECLARE c1 CURSOR FOR SELECT * FROM uctest a, uctest b WHERE a.f1 = b.f1 + 5 FOR SHARE OF a
;;
DECLARE c CURSOR FOR SELECT * FROM tenk2 FOR SHARE
;;
EXPLAIN (costs off)
DECLARE c1 CURSOR FOR SELECT stringu1 FROM onek WHERE stringu1 = 'DZAAAA'
;;
DELETE FROM current_check WHERE CURRENT OF c1 RETURNING *
;;
INSERT INTO cursor VALUES (1)
;;
DECLARE c1 NO SCROLL CURSOR FOR SELECT * FROM cursor FOR UPDATE
;;
UPDATE cursor SET a = 2
;;
declare c cursor for select * from int8_tbl limit nochange(3)
;;
PREPARE q3(text, int, float, boolean, smallint) AS
	SELECT * FROM tenk1 WHERE string4 = $1 AND (four = $2 OR
	ten = $3::bigint OR true = $4 OR odd = $5::int)
	ORDER BY unique1
;;
EXECUTE q3('AAAAxx', 5::smallint, 10.5::float, false, 4::bigint)
;;
PREPARE q7(unknown) AS
    SELECT * FROM road WHERE thepath = $1
;;
SELECT current_setting('max_prepared_transactions')::integer < 2 AS skip_test
;;
SELECT session_user, current_role, current_user, current_setting('role') as role
;;
SELECT session_user = current_role as c_r_ok, session_user = current_user as c_u_ok, current_setting('role') as role
;;
MERGE INTO mtarget t USING msource s ON t.a = s.a
WHEN MATCHED AND t.b IS NOT NULL THEN
	DELETE
;;
select has_table_privilege(current_user,'pg_authid','insert')
;;
select has_table_privilege(t2.oid,'pg_authid','update')
from (select oid from pg_roles where rolname = current_user) as t2
;;
SELECT backend_type FROM pg_stat_activity
WHERE CASE WHEN COALESCE(usesysid, 10) = 10 THEN terminate_nothrow(pid) END
;;
-- no

-- placeholder for test with duplicated schema and role names
ALTER DEFAULT PRIVILEGES IN SCHEMA testns,testns GRANT SELECT ON TABLES TO public,public
;;
SELECT d.*     -- check that entries went away
  FROM pg_default_acl d LEFT JOIN pg_namespace n ON defaclnamespace = n.oid
  WHERE nspname IS NULL AND defaclnamespace != 0
;;
SELECT * FROM ctv_data \crosstabview

INSERT INTO ctv_data VALUES (1, 10, '*')
;;
CREATE PUBLICATION dump_pub_all FOR
  TABLE ONLY pubme.t0,
  TABLE ONLY pubme.t1 WHERE (c < 0),
  TABLES IN SCHEMA pubme,
  TABLES IN SCHEMA pubme2
  WITH (publish_via_partition_root = true)
;;
SELECT AVG(random) FROM RANDOM_TBL
  HAVING AVG(random) NOT BETWEEN 80 AND 120
;;
select * from rngfunct(1) with ordinality as z(a,b,ord) where b > 100
;;
select * from rows from(unnest(array[10,20],array['foo','bar'],array[1.0])) with ordinality as z(a,b,c,ord)
;;
fetch prior from rf_cur
;;
SELECT * FROM (VALUES (1),(2),(3)) v(r) LEFT JOIN ROWS FROM( rngfunc_sql(11,13), rngfunc_mat(11,13) ) WITH ORDINALITY AS f(i1,s1,i2,s2,o) ON (r+i1+i2)<100
;;
SELECT * FROM (VALUES (1),(2),(3)) v(r), ROWS FROM( rngfunc_sql(11,11), rngfunc_mat(10+r,13) )
;;
SELECT * FROM (VALUES (1),(2),(3)) v(r), unnest(array[r*10,r*20,r*30]) f(i)
;;
SELECT * FROM (VALUES (1),(2),(3)) v1(r1),
              LATERAL (SELECT r1, * FROM (VALUES (10),(20),(30)) v2(r2)
                                         LEFT JOIN generate_series(20+r1,23) f(i) ON ((r2+i)<100) OFFSET 0) s1
;;
SELECT dup(22, array[44::bigint])
;;
select * from array_to_set(array['one', 'two']) as t(f1 numeric(4,2),f2 text)
;;
select *, row_to_json(u) from unnest(array[null::rngfunc2, null::rngfunc2]) u
;;
select '[123.001, 5.e9)'::float8range @> 888.882::float8
;;
select substring('a' from '((a))+')
;;
INSERT INTO foo (f2,f3)
  VALUES ('test', DEFAULT), ('More', 11), (upper('more'), 7+9)
  RETURNING *, f1+f3 AS sum
;;
UPDATE foo SET f2 = lower(f2), f3 = DEFAULT RETURNING foo.*, f1+f3 AS sum13
;;
DELETE FROM foo WHERE f1 > 2 RETURNING f3, f2, f1, least(f1,f3)
;;
UPDATE foo SET f3 = f3 * 2
  WHERE f1 > 10
  RETURNING *, f1+112 IN (SELECT q1 FROM int8_tbl) AS subplan,
    EXISTS(SELECT * FROM int4_tbl) AS initplan
;;
DELETE FROM foo
  USING int4_tbl i
  WHERE foo.f1 + 123455 = i.f1
  RETURNING foo.*, i.f1 as "i.f1"
;;
UPDATE foo SET f4 = f4 + f3 WHERE f4 = 99 RETURNING *
;;
SELECT * FROM document WHERE f_leak(dtitle) ORDER BY did
;;
SELECT * FROM document NATURAL JOIN category WHERE f_leak(dtitle) ORDER BY did
;;
SELECT * FROM document d FULL OUTER JOIN category c on d.cid = c.cid ORDER BY d.did, c.cid
;;
INSERT INTO document VALUES (11, 33, 1, current_user, 'hoge')
;;
SELECT * FROM t1 WHERE f_leak(b) FOR SHARE
;;
INSERT INTO s1 (SELECT x, md5(x::text) FROM generate_series(-10,10) x)
;;
EXPLAIN (COSTS OFF) UPDATE only t1 SET b = b || '_updt' WHERE f_leak(b)
;;
EXPLAIN (COSTS OFF) DELETE FROM only t1 WHERE f_leak(b)
;;
MERGE INTO document d
USING (SELECT 4 as sdid) s
ON did = s.sdid
WHEN MATCHED AND dnotes <> '' THEN
	UPDATE SET dnotes = dnotes || ' notes added by merge '
WHEN MATCHED THEN
	DELETE
;;
PREPARE plancache_test2 AS WITH q AS MATERIALIZED (SELECT * FROM z1 WHERE f_leak(b)) SELECT * FROM q,z2
;;
EXPLAIN (COSTS OFF)
WITH cte1 AS MATERIALIZED (SELECT * FROM t1 WHERE f_leak(b)) SELECT * FROM cte1
;;
WITH cte1 AS (UPDATE t1 SET a = a + 1 RETURNING *) SELECT * FROM cte1
;;
INSERT INTO comment VALUES
    (1, 'cool blog'),
    (1, 'fun blog'),
    (3, 'crazy blog'),
    (5, 'what?'),
    (4, 'insane!'),
    (2, 'who did it?')
;;
SELECT id, author, message FROM comment JOIN blog ON id = blog_id
;;
COPY (SELECT * FROM copy_t ORDER BY a ASC) TO STDOUT WITH DELIMITER ','
;;
insert into quadtable values (1, ((3.3,4.4),(5.5,6.6)))
;;
insert into quadtable values (2, ((null,4.4),(5.5,6.6)))
;;
insert into people select ('Jim', f1, null)::fullname, current_date from pp
;;
select (fn).first, substr((fn).last, 1, 20), length((fn).last) from people
;;
select ROW(1,2) < ROW(1,NULL) as null
;;
select ROW(11,'ABC') > ROW(11,'DEF') as false
;;
select ROW(1,2,3) <> ROW(1,NULL,4) as true
;;
select ROW('ABC','DEF') ~>=~ ROW('DEF','ABC') as false
;;
select thousand, tenthous from tenk1
where (thousand, tenthous) >= (997, 5000)
order by thousand, tenthous
;;
explain (costs off)
select thousand, tenthous, four from tenk1
where (thousand, tenthous, four) > (998, 5000, 3)
order by thousand, tenthous
;;
select ROW() IS NULL
;;
select row(1,1.1) = any (array[ row(7,7.7), row(1,1.0), row(0,0.0) ])
;;
select row(1, 2)::testtype1 <= row(1, 3)::testtype1
;;
select row(1, 2)::testtype1 <> row(1, 3)::testtype1
;;
select row(1, 3)::testtype1 >= row(1, 2)::testtype1
;;
select row(1, 2)::testtype1 < row(1, 'abc')::testtype3
;;
select row(-2, true)::testtype2 *< row(-1, true)::testtype2
;;
select text(fullname) from fullname
;;
select f.last from fullname f
;;
select last(f) from fullname f
;;
select r, r is null as isnull, r is not null as isnotnull
from (values (1,row(1,2)), (1,row(null,null)), (1,null),
             (null,row(1,2)), (null,row(null,null)), (null,null) ) r(a,b)
;;
explain (verbose, costs off)
with r(a,b) as materialized
  (values (1,row(1,2)), (1,row(null,null)), (1,null),
          (null,row(1,2)), (null,row(null,null)), (null,null) )
select r, r is null as isnull, r is not null as isnotnull from r
;;
with cte(c) as materialized (select row(1, 2)),
     cte2(c) as (select * from cte)
select * from cte2 as t
where (select * from (select c as c1) s
       where (select (c1).f1 > 0)) is not null
;;
** Remember the delete rule on rtest_v1: It says
** DO INSTEAD DELETE FROM rtest_t1 WHERE a = old.a
** So this time both rows with a = 2 must get deleted
delete from rtest_v1 where b = 12
;;
select ename, who = current_user as "matches user", action, newsal, oldsal from rtest_emplog order by ename, action, newsal
;;
select * from rtest_vcomp where size_in_cm > 10.0 order by size_in_cm using >
;;
create rule rrule as
  on update to vview do instead
(
  insert into cchild (pid, descrip)
    select old.pid, new.descrip where old.descrip isnull;
  update cchild set descrip = new.descrip where cchild.pid = old.pid;
)
;;
EXPLAIN (costs off)
WITH data(hat_name, hat_color) AS MATERIALIZED (
    VALUES ('h8', 'green'),
        ('h9', 'blue'),
        ('h7', 'forbidden')
)
INSERT INTO hats
    SELECT * FROM data
RETURNING *
;;
select foo from (select null offset 0) as foo
;;
VALUES (1,2), (3,4+4), (7,77.7)
UNION ALL
SELECT 2+2, 57
UNION ALL
TABLE int8_tbl
;;
select unique2 from onek2 where unique2 = 11 and stringu1 < 'B' for update
;;
EXPLAIN (costs off)
SELECT DISTINCT g%1000 FROM generate_series(0,9999) g
;;
SELECT f1, f1 IS DISTINCT FROM NULL as "not null" FROM disttable
;;
SELECT 2 IS DISTINCT FROM 2 as "no"
;;
SELECT null IS DISTINCT FROM null as "no"
;;
SELECT 2 IS NOT DISTINCT FROM 2 as "yes"
;;
SELECT DISTINCT ON (string4, ten) string4, ten, two
   FROM onek
   ORDER BY string4 using <, ten using >, two using <
;;
SELECT 1 AS one FROM test_having HAVING 1 < 2
;;
EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, TIMING OFF)
  CREATE TABLE selinto_schema.tbl_withdata2 (a) AS
  SELECT generate_series(1,3) WITH DATA
;;
EXPLAIN (ANALYZE, COSTS OFF, SUMMARY OFF, TIMING OFF)
  CREATE TABLE selinto_schema.tbl_withdata4 (a) AS
  EXECUTE data_sel WITH DATA
;;
COPY (SELECT 1 INTO frak UNION SELECT 2) TO 'blob'
;;
explain (costs off)
select * from
  (select count(unique1) from tenk1 where hundred > 10) ss
  right join (values (1),(2),(3)) v(x) on true
;;
explain (costs off, verbose)
    select ten, sp_simple_func(ten) from tenk1 where ten < 100 order by ten
;;
SELECT name, #thepath FROM iexit ORDER BY name COLLATE "C", 2
;;
-- error

ALTER SEQUENCE sequence_test2 RESTART WITH -24 START WITH -24
  INCREMENT BY -4 MINVALUE -36 MAXVALUE -5 CYCLE
;;
SELECT schemaname, sequencename, start_value, min_value, max_value, increment_by, cycle, cache_size, last_value
FROM pg_sequences
WHERE sequencename ~ ANY(ARRAY['sequence_test', 'serialtest'])
  ORDER BY sequencename ASC
;;
SELECT stats_reset > :'shared_db_reset_before'::timestamptz AS has_updated
  FROM pg_stat_database WHERE datid = 0
;;
SELECT sessions > :db_stat_sessions FROM pg_stat_database WHERE datname = (SELECT current_database())
;;
SELECT pg_stat_get_snapshot_timestamp() >= NOW()
;;
SELECT pg_stat_have_stats('database', :dboid, 0)
;;
SELECT c0 FROM ONLY expr_stats_incompatible_test WHERE
(
  upper('x') LIKE ('x'||('[0,1]'::int4range))
  AND
  (c0 IN (0, 1) OR c1)
)
;;
SELECT statistics_name, most_common_vals FROM pg_stats_ext x
    WHERE tablename = 'stats_ext_tbl' ORDER BY ROW(x.*)
;;
SELECT U&'d\0061t\+000061' AS U&"d\0061t\+000061"
;;
SELECT U&'d!0061t\+000061' UESCAPE '!' AS U&"d*0061t\+000061" UESCAPE '*'
;;
SELECT 1 AS zero WHERE 1 NOT IN (SELECT 1)
;;
SELECT (((SELECT 2)) UNION SELECT 2)
;;
SELECT f1 AS "Correlated Field", f3 AS "Second Field"
  FROM SUBSELECT_TBL upper
  WHERE f1 IN
    (SELECT f2 FROM SUBSELECT_TBL WHERE CAST(upper.f2 AS float) = f3)
;;
SELECT f1 AS "Correlated Field", f3 AS "Second Field"
  FROM SUBSELECT_TBL upper
  WHERE f3 IN (SELECT upper.f1 + f2 FROM SUBSELECT_TBL
               WHERE f2 = CAST(f3 AS integer))
;;
select q1, float8(count(*)) / (select count(*) from int8_tbl)
from int8_tbl group by q1 order by q1
;;
explain (verbose, costs off) select '42' union all select 43
;;
insert into parts (partnum, cost) values (1, 1234.56)
;;
insert into shipped_view (ordnum, partnum, value)
    values (0, 1, (select cost from parts where partnum = '1'))
;;
update shipped_view set value = 11
    from int4_tbl a join int4_tbl b
      on (a.f1 = (select f1 from int4_tbl c where c.f1=b.f1))
    where ordnum = a.f1
;;
insert into upsert values(1, 'val') on conflict (key) do update set val = 'seen with subselect ' || (select f1 from int4_tbl where f1 != 0 limit 1)::text
;;
with aa as (select 'int4_tbl' u from int4_tbl limit 1)
insert into upsert values (1, 'x'), (999, 'y')
on conflict (key) do update set val = (select u from aa)
returning *
;;
select 'foo'::text in (select 'bar'::name union all select 'bar'::name)
;;
select count(*) from tenk1 t
where (exists(select 1 from tenk1 k where k.unique1 = t.unique2) or ten < 0)
;;
select sum(ss.tst::int) from
  onek o cross join lateral (
  select i.ten in (select f1 from int4_tbl where f1 <= o.hundred) as tst,
         random() as r
  from onek i where i.unique1 = o.unique1 ) ss
where o.ten = 0
;;
select sum(o.four), sum(ss.a) from
  onek o cross join lateral (
    with recursive x(a) as
      (select o.four as a
       union
       select a + 1 from x
       where a < 10)
    select * from x
  ) ss
where o.ten = 1
;;
select * from
(values
  (3 not in (select * from (values (1), (2)) ss1)),
  (false)
) ss
;;
select * from int4_tbl where
  (case when f1 in (select unique1 from tenk1 a) then f1 else null end) in
  (select ten from tenk1 b)
;;
select * from int4_tbl o where (f1, f1) in
  (select f1, generate_series(1,50) / 10 g from int4_tbl i group by f1)
;;
select * from
    int4_tbl i4,
    lateral (
        select i4.f1 > 1 as b, 1 as id
        from (select random() order by 1) as t1
      union all
        select true as b, 2 as id
    ) as t2
where b and f1 >= 0
;;
declare c1 scroll cursor for
 select * from generate_series(1,4) i
  where i <> all (values (2),(3))
;;
with recursive x(a) as
  ((values ('a'), ('b'))
   union all
   (with z as not materialized (select * from x)
    select z.a || z1.a as a from z cross join z as z1
    where length(z.a || z1.a) < 5))
select * from x
;;
SELECT t.id FROM test_tablesample AS t TABLESAMPLE SYSTEM (50) REPEATABLE (0)
;;
SELECT id FROM test_tablesample TABLESAMPLE SYSTEM (100.0/11) REPEATABLE (0)
;;
SELECT id FROM test_tablesample TABLESAMPLE BERNOULLI (50) REPEATABLE (0)
;;
FETCH FIRST FROM tablesample_cur
;;
SELECT current_schema() ~ 'pg_temp' AS is_temp_schema
;;
INSERT INTO INT8_TBL VALUES
  ('  123   ','  456'),
  ('123   ','4567890123456789'),
  ('4567890123456789','123'),
  (+4567890123456789,'4567890123456789'),
  ('+4567890123456789','-4567890123456789')
;;
INSERT INTO shighway
   SELECT *, 'asphalt'
   FROM ONLY road
   WHERE name ~ 'State Hwy.*'
;;
SELECT text 'this is a text string' = text 'this is a text strin' AS false
;;
select 'four: ' || 2+2
;;
select i, left('ahoj', i), right('ahoj', i) from generate_series(-5, 5) t(i) order by i
;;
select format('%s, %s', variadic array[true, false])
;;
SELECT ctid, * FROM tidscan WHERE ctid = '(0,2)' OR '(0,1)' = ctid
;;
SELECT ctid, * FROM tidscan WHERE ctid != ANY(ARRAY['(0,1)', '(0,2)']::tid[])
;;
SELECT EXTRACT(MILLISECOND FROM TIME '2020-05-26 13:30:25.575401')
;;
SELECT count(*) AS One FROM TIMESTAMP_TBL WHERE d1 = timestamp without time zone 'today'
;;
SELECT count(*) AS two FROM TIMESTAMP_TBL WHERE d1 = timestamp(2) without time zone 'now'
;;
SELECT d1 FROM TIMESTAMP_TBL
   WHERE d1 < timestamp without time zone '1997-01-02'
;;
SELECT d1 FROM TIMESTAMP_TBL
   WHERE d1 != timestamp without time zone '1997-01-02'
;;
SELECT d1 FROM TIMESTAMP_TBL
   WHERE d1 <= timestamp without time zone '1997-01-02'
;;
SELECT d1 FROM TIMESTAMP_TBL
   WHERE d1 >= timestamp without time zone '1997-01-02'
;;
SELECT date_bin('5 years'::interval,  timestamp '2020-02-01 01:01:01', timestamp '2001-01-01')
;;
SELECT extract(epoch from '294270-01-01 00:00:00'::timestamp)
;;
SELECT '19970210 173201' AT TIME ZONE 'America/New_York'
;;
SELECT make_timestamptz(2014, 12, 10, 0, 0, 0, 'Europe/Prague') AT TIME ZONE 'UTC'
;;
SELECT '2011-03-27 00:00:00'::timestamp AT TIME ZONE 'Europe/Moscow'
;;
SELECT '2011-03-26 21:00:00 UTC'::timestamptz AT TIME ZONE 'Europe/Moscow'
;;
SELECT EXTRACT(SECOND      FROM TIME WITH TIME ZONE '2020-05-26 13:30:25.575401-04')
;;
SELECT f1 AS dat,
       f1 AT TIME ZONE 'UTC+10' AS dat_at_tz,
       f1 AT TIME ZONE INTERVAL '-10:00' AS dat_at_int
  FROM TIMETZ_TBL
  ORDER BY f1
;;
CREATE TRIGGER modified_any BEFORE UPDATE OF a ON main_table
FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE PROCEDURE trigger_func('modified_any')
;;
with ins (a) as (
  insert into parted2_stmt_trig values (1), (2) returning a
) insert into parted_stmt_trig select a from ins returning tableoid::regclass, a
;;
create constraint trigger parted_trig_two after insert on parted_constr
  deferrable initially deferred
  for each row when (bark(new.b) AND new.a % 2 = 1)
  execute procedure trigger_notice_ab()
;;
merge into merge_target_table t
using merge_source_table s
on t.a = s.a
when matched and s.a <= 2 then
	update set b = t.b || ' updated by merge'
when matched and s.a > 2 then
	delete
when not matched then
  insert values (a, b)
;;
SELECT plainto_tsquery('english', 'foo bar') || !!plainto_tsquery('english', 'asd fg')
;;
SELECT ts_rank_cd(strip(to_tsvector('both stripped')),
                  to_tsquery('both & stripped'))
;;
SELECT ts_rank_cd(to_tsvector('unstripped') || strip(to_tsvector('stripped')),
                  to_tsquery('unstripped & stripped'))
;;
'New York'	new <-> york | big <-> apple | nyc
Moscow	moskva | moscow
'Sanct Peter'	Peterburg | peter | 'Sanct Peterburg'
foo & bar & qq	foo & (bar | qq) & city
1 & (2 <-> 3)	2 <-> 4
5 <-> 6	5 <-> 7

ALTER TABLE test_tsquery ADD COLUMN keyword tsquery
;;
SELECT * FROM few f1,
  (SELECT unnest(ARRAY[1,2]) FROM few f2 WHERE false OFFSET 0) ss
;;
SELECT 'foo & bar'::tsquery || !!'asd & fg'::tsquery
;;
SELECT strip('wa:1A'::tsvector) @@ 'w:*D'::tsquery as "true"
;;
SELECT abort_increasing, abort_decreasing FROM abbrev_abort_uuids ORDER BY abort_decreasing NULLS FIRST OFFSET 20000 - 4
;;
SELECT abort_increasing, noabort_increasing FROM abbrev_abort_uuids ORDER BY noabort_increasing NULLS FIRST LIMIT 5
;;
EXPLAIN (COSTS OFF) :qry
;;
SELECT txid_current_if_assigned() IS NOT DISTINCT FROM BIGINT :'txid_current'
;;
SELECT txid_status(:committed) AS committed
;;
SELECT t1.oid, t1.typname, p1.oid, p1.proname
FROM pg_type AS t1, pg_proc AS p1
WHERE t1.typoutput = p1.oid AND NOT
    (p1.prorettype = 'cstring'::regtype AND NOT p1.proretset)
;;
SELECT getdatabaseencoding() <> 'UTF8' AS skip_test
;;
SELECT U&'\0061\0308bc' <> U&'\00E4bc' COLLATE "C" AS sanity_check
;;
SELECT normalize('')
;;
SELECT normalize(U&'\0061\0308\24D1c') = U&'\00E4\24D1c' COLLATE "C" AS test_default
;;
SELECT normalize(U&'\0061\0308\24D1c', NFC) = U&'\00E4\24D1c' COLLATE "C" AS test_nfc
;;
SELECT normalize(U&'\00E4\24D1c', NFD) = U&'\0061\0308\24D1c' COLLATE "C" AS test_nfd
;;
SELECT normalize(U&'\0061\0308\24D1c', NFKC) = U&'\00E4bc' COLLATE "C" AS test_nfkc
;;
SELECT normalize(U&'\00E4\24D1c', NFKD) = U&'\0061\0308bc' COLLATE "C" AS test_nfkd
;;
SELECT U&'\00E4\24D1c' IS NFC NORMALIZED AS test_nfc
;;
SELECT 1 AS three UNION SELECT 2 UNION SELECT 3 ORDER BY 1
;;
SELECT 1.1 AS two UNION SELECT 2.2 ORDER BY 1
;;
SELECT 1.1 AS two UNION (SELECT 2 UNION ALL SELECT 2) ORDER BY 1
;;
SELECT f1 AS five FROM FLOAT8_TBL
  WHERE f1 BETWEEN -1e6 AND 1e6
UNION
SELECT f1 FROM INT4_TBL
  WHERE f1 BETWEEN 0 AND 1000000
ORDER BY 1
;;
SELECT CAST(f1 AS char(4)) AS three FROM VARCHAR_TBL
UNION
SELECT f1 FROM CHAR_TBL
ORDER BY 1
;;
SELECT f1 AS five FROM TEXT_TBL
UNION
SELECT f1 FROM VARCHAR_TBL
UNION
SELECT TRIM(TRAILING FROM f1) FROM CHAR_TBL
ORDER BY 1
;;
SELECT q2 FROM int8_tbl INTERSECT ALL SELECT q1 FROM int8_tbl ORDER BY 1
;;
SELECT q1 FROM int8_tbl EXCEPT ALL SELECT q1 FROM int8_tbl FOR NO KEY UPDATE
;;
(SELECT 1,2,3 UNION SELECT 4,5,6 ORDER BY 1,2) INTERSECT SELECT 4,5,6
;;
(SELECT 1,2,3 UNION SELECT 4,5,6) EXCEPT SELECT 4,5,6
;;
explain (costs off)
select x from (values (array[1, 2]), (array[1, 3])) _(x) except select x from (values (array[1, 2]), (array[1, 4])) _(x)
;;
SELECT q1 FROM int8_tbl INTERSECT (((SELECT q2 FROM int8_tbl UNION ALL SELECT q2 FROM int8_tbl))) ORDER BY 1
;;
explain (costs off)
select from generate_series(1,5) union select from generate_series(1,3)
;;
select from generate_series(1,5) intersect all select from generate_series(1,3)
;;
explain (costs off)
SELECT * FROM
  (SELECT 1 AS t, (random()*3)::int AS x
   UNION
   SELECT 2 AS t, 4 AS x) ss
WHERE x > 3
ORDER BY x
;;
select * from
  (select *, 0 as x from int8_tbl a
   union all
   select *, 1 as x from int8_tbl b) ss
where (x = 0) or (q1 >= q2 and q1 <= q2)
;;
SELECT table_name, is_insertable_into
  FROM information_schema.tables
 WHERE table_name = 'rw_view1'
;;
SELECT events & 4 != 0 AS upd,
       events & 8 != 0 AS ins,
       events & 16 != 0 AS del
  FROM pg_catalog.pg_relation_is_updatable('rw_view3'::regclass, false) t(events)
;;
EXPLAIN (costs off) DELETE FROM rw_view1 WHERE id = 1 AND snoop(data)
;;
EXPLAIN (VERBOSE, COSTS OFF)
UPDATE v1 SET a=100 WHERE snoop(a) AND leakproof(a) AND a < 7 AND a != 6
;;
explain (costs off)
insert into uv_iocu_view (aa,bb) values (1,'y')
   on conflict (aa) do update set bb = 'Rejected: '||excluded.*
   where excluded.aa > 0
   and excluded.bb != ''
   and excluded.cc is not null
;;
insert into base_tab_def_view values (17), (default)
;;
UPDATE update_test SET a = DEFAULT, b = DEFAULT
;;
UPDATE update_test SET (c,b,a) = ('bugle', b+11, DEFAULT) WHERE c = 'foo'
;;
UPDATE update_test t
  SET (a, b) = (SELECT b, a FROM update_test s WHERE s.a = t.a)
  WHERE CURRENT_USER = SESSION_USER
;;
UPDATE range_parted set c = 95 WHERE a = 'b' and b > 10 and c > 100 returning (range_parted), *
;;
UPDATE range_parted set c = (case when c = 96 then 110 else c + 1 end ) WHERE a = 'b' and b > 10 and c >= 96
;;
SELECT depname, empno, salary, sum(salary) OVER w FROM empsalary WINDOW w AS (PARTITION BY depname)
;;
SELECT COUNT(*) OVER w FROM tenk1 WHERE unique2 < 10 WINDOW w AS ()
;;
SELECT (count(*) OVER (PARTITION BY four ORDER BY ten) +
  sum(hundred) OVER (PARTITION BY four ORDER BY ten))::varchar AS cntsum
  FROM tenk1 WHERE unique2 < 10
;;
SELECT ten, two, sum(hundred) AS gsum, sum(sum(hundred)) OVER win AS wsum
FROM tenk1 GROUP BY ten, two WINDOW win AS (PARTITION BY two ORDER BY ten)
;;
SELECT sum(unique1) over (order by four range between current row and unbounded following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between current row and unbounded following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 2 following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 2 following exclude no others),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 2 following exclude current row),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 2 following exclude group),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 2 following exclude ties),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT first_value(unique1) over (ORDER BY four rows between current row and 2 following exclude current row),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 2 preceding and 1 preceding),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 1 following and 3 following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between unbounded preceding and 1 following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (w range between current row and unbounded following),
	unique1, four
FROM tenk1 WHERE unique1 < 10 WINDOW w AS (order by four)
;;
SELECT sum(unique1) over (w range between unbounded preceding and current row exclude current row),
	unique1, four
FROM tenk1 WHERE unique1 < 10 WINDOW w AS (order by four)
;;
SELECT first_value(unique1) over w,
	nth_value(unique1, 2) over w AS nth_2,
	last_value(unique1) over w, unique1, four
FROM tenk1 WHERE unique1 < 10
WINDOW w AS (order by four range between current row and unbounded following)
;;
SELECT sum(unique1) over
	(order by unique1
	 rows (SELECT unique1 FROM tenk1 ORDER BY unique1 LIMIT 1) + 1 PRECEDING),
	unique1
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between 9223372036854775807 following and 1 following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT last_value(unique1) over (ORDER BY four rows between current row and 9223372036854775807 following exclude current row),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (ORDER BY four groups between 9223372036854775807 following and unbounded following),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (order by four desc range between 2::int8 preceding and 1::int2 preceding),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (order by four range between 2::int8 preceding and 1::int2 preceding exclude no others),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (order by four range between 2::int8 preceding and 6::int2 following exclude ties),
	unique1, four
FROM tenk1 WHERE unique1 < 10
;;
select sum(salary) over (order by enroll_date range between '1 year'::interval preceding and '1 year'::interval following),
	salary, enroll_date from empsalary
;;
select sum(salary) over (order by enroll_date desc range between '1 year'::interval following and '1 year'::interval following),
	salary, enroll_date from empsalary
;;
SELECT sum(unique1) over (rows between unbounded(1) preceding and unbounded(1) following),
       unique1, four
FROM tenk1 WHERE unique1 < 10
;;
SELECT sum(unique1) over (rows between unbounded.x preceding and unbounded.x following),
       unique1, four
FROM tenk1, (values (1)) as unbounded(x) WHERE unique1 < 10
;;
select x, last_value(x) over (order by x::smallint desc range between current row and 2147450885 following)
from generate_series(-32766, -32764) x
;;
select id, f_float4, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_float4 range between
             1 preceding and 1.1::float4 following)
;;
select id, f_float4, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_float4 range between
             'inf' preceding and 'inf' following)
;;
select id, f_float4, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_float4 range between
             'inf' preceding and 'inf' preceding)
;;
select id, f_float4, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_float4 range between
             'inf' following and 'inf' following)
;;
select id, f_float4, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_float4 range between
             1.1 preceding and 'NaN' following)
;;
select id, f_numeric, first_value(id) over w, last_value(id) over w
from numerics
window w as (order by f_numeric range between
             1 preceding and 1.1::numeric following)
;;
select sum(salary) over (range between '1 year'::interval preceding and '2 years'::interval following
	exclude ties), salary, enroll_date from empsalary
;;
select max(enroll_date) over (order by salary range between -1 preceding and 2 following
	exclude ties), salary, enroll_date from empsalary
;;
select max(enroll_date) over (order by salary range between 1 preceding and -2 following
	exclude ties), salary, enroll_date from empsalary
;;
WITH cte (x) AS (
        SELECT * FROM generate_series(1, 35, 2)
)
SELECT x, (sum(x) over w)
FROM cte
WINDOW w AS (ORDER BY x groups between 1 preceding and 1 following)
;;
SELECT rank() OVER (PARTITION BY four, ORDER BY ten) FROM tenk1
;;
SELECT count() OVER () FROM tenk1
;;
EXPLAIN (COSTS OFF)
SELECT * FROM
  (SELECT empno,
          salary,
          count(*) OVER (ORDER BY salary DESC ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) c
   FROM empsalary) emp
WHERE c >= 3
;;
SELECT nth_value_def(n := 2, val := ten) OVER (PARTITION BY four), ten, four
  FROM (SELECT * FROM tenk1 WHERE unique2 < 10 ORDER BY four, ten) s
;;
SELECT i,AVG(v::interval) OVER (ORDER BY i ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
  FROM (VALUES(1,'1 sec'),(2,'2 sec'),(3,NULL),(4,NULL)) t(i,v)
;;
SELECT i,SUM(v::bigint) OVER (ORDER BY i ROWS BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING)
  FROM (VALUES(1,1),(2,2),(3,NULL),(4,NULL)) t(i,v)
;;
SELECT i, b, bool_and(b) OVER w, bool_or(b) OVER w
  FROM (VALUES (1,true), (2,true), (3,false), (4,false), (5,true)) v(i,b)
  WINDOW w AS (ORDER BY i ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)
;;
explain (verbose, costs off)
with recursive search_graph(f, t, label) as (
	select * from graph0 g
	union all
	select g.*
	from graph0 g, search_graph sg
	where g.f = sg.t
) search depth first by f, t set seq
select * from search_graph order by seq
;;
with recursive search_graph(f, t, label) as (
	select * from graph0 g
	union distinct
	select g.*
	from graph0 g, search_graph sg
	where g.f = sg.t
) search depth first by f, t set seq
select * from search_graph order by seq
;;
explain (verbose, costs off)
with recursive search_graph(f, t, label) as (
	select * from graph0 g
	union all
	select g.*
	from graph0 g, search_graph sg
	where g.f = sg.t
) search breadth first by f, t set seq
select * from search_graph order by seq
;;
with recursive test as (
  select 1 as x
  union all
  select x + 1
  from test
) search depth first by x set y
select * from test limit 5
;;
with recursive search_graph(f, t, label) as (
	select * from graph0 g
	union all
	select g.*
	from graph0 g, search_graph sg
	where g.f = sg.t
) search depth first by f, t set label
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set is_cycle using path
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union distinct
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set is_cycle to 'Y' default 'N' using path
select * from search_graph
;;
explain (verbose, costs off)
with recursive test as (
  select 0 as x
  union all
  select (x + 1) % 10
  from test
) cycle x set is_cycle using path
select * from test
;;
with recursive test as (
  select 0 as x
  union all
  select (x + 1) % 10
  from test
    where not is_cycle  -- redundant, but legal
) cycle x set is_cycle using path
select * from test
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) search breadth first by f, t set seq
  cycle f, t set is_cycle using path
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set is_cycle to true default 55 using path
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set is_cycle to point '(1,1)' default point '(0,0)' using path
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set label to true default false using path
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set is_cycle to true default false using label
select * from search_graph
;;
with recursive search_graph(f, t, label) as (
	select * from graph g
	union all
	select g.*
	from graph g, search_graph sg
	where g.f = sg.t
) cycle f, t set foo to true default false using foo
select * from search_graph
;;
WITH RECURSIVE t(a) AS (
	SELECT 11
	UNION ALL
	SELECT a+1 FROM t WHERE a < 50
)
DELETE FROM y USING t WHERE t.a = y.a RETURNING y.a
;;
WITH RECURSIVE x(n) AS (SELECT 1 INTERSECT ALL SELECT n+1 FROM x)
	SELECT * FROM x
;;
WITH RECURSIVE x(n) AS (SELECT 1 EXCEPT ALL SELECT n+1 FROM x)
	SELECT * FROM x
;;
WITH RECURSIVE foo(i) AS
    (values (1)
    UNION ALL
       (SELECT i+1 FROM foo WHERE i < 10
          EXCEPT
       SELECT i+1 FROM foo WHERE i < 5)
) SELECT * FROM foo
;;
select ( with cte(foo) as ( values(f1) )
          values((select foo from cte)) )
from int4_tbl
;;
WITH outermost(x) AS (
  SELECT 1
  UNION (WITH innermost as (SELECT 2)
         SELECT * FROM outermost  -- fail
         UNION SELECT * FROM innermost)
)
SELECT * FROM outermost ORDER BY 1
;;
WITH t1 AS ( DELETE FROM bug6051 RETURNING * )
INSERT INTO bug6051 SELECT * FROM t1
;;
WITH t4 AS (INSERT INTO id_alw4 DEFAULT VALUES RETURNING i)
  INSERT INTO id_alw3_view DEFAULT VALUES RETURNING i
;;
WITH t AS (
    INSERT INTO withz SELECT i, 'insert'
    FROM generate_series(0, 16) i
    ON CONFLICT (k) DO UPDATE SET v = withz.v || ', now update'
    RETURNING *
)
SELECT * FROM t JOIN y ON t.k = y.a ORDER BY a, k
;;
WITH aa AS (SELECT 1 a, 2 b)
INSERT INTO withz VALUES(1, 'insert')
ON CONFLICT (k) DO UPDATE SET v = ' update' WHERE withz.k = (SELECT a FROM aa)
;;
WITH aa AS (SELECT 'a' a, 'b' b UNION ALL SELECT 'a' a, 'b' b)
INSERT INTO withz VALUES(1, 'insert')
ON CONFLICT (k) DO UPDATE SET v = (SELECT b || ' update' FROM aa WHERE a = 'a' LIMIT 1)
;;
WITH wcte AS ( INSERT INTO child1 VALUES ( 42, 'new' ) RETURNING id AS newid )
UPDATE parent SET id = id + newid FROM wcte
;;
explain (costs off) select length(stringu1) into parallel_write
    from tenk1 group by length(stringu1)
;;
SELECT pg_current_xact_id_if_assigned() IS NOT DISTINCT FROM xid8 :'pg_current_xact_id'
;;
SELECT pg_xact_status(:committed::text::xid8) AS committed
;;
SELECT test_future_xid_status((:inprogress + 10000)::text::xid8)
;;
SELECT xmlconcat(xmlcomment('hello'),
                 xmlelement(NAME qux, 'foo'),
                 xmlcomment('world'))
;;
SELECT xmlelement(name element,
                  xmlattributes (1 as one, 'deuce' as two),
                  'content')
;;
SELECT xmlelement(name element, xmlelement(name nested, 'stuff'))
;;
SELECT xmlelement(name employee, xmlforest(name, age, salary as pay)) FROM emp
;;
SELECT xmlelement(name foo, xml 'bar')
;;
SELECT xmlelement(name foo, xmlattributes(true as bar))
;;
SELECT xmlelement(name foo, xmlattributes('<>&"''' as funny, xml 'b<a/>r' as funnier))
;;
SELECT xmlparse(content '')
;;
SELECT xmlparse(document '   ')
;;
SELECT xmlpi(name foo)
;;
SELECT xmlpi(name xml)
;;
SELECT xmlpi(name xml, null)
;;
SELECT xmlroot(xml '<foo/>', version no value, standalone no value)
;;
SELECT xmlroot(xml '<foo/>', version '2.0')
;;
SELECT xmlroot(xml '<foo/>', version no value, standalone yes)
;;
SELECT xmlroot(xmlroot(xml '<foo/>', version '1.0'), version '1.1', standalone no)
;;
SELECT xmlroot (
  xmlelement (
    name gazonk,
    xmlattributes (
      'val' AS name,
      1 + 1 AS num
    ),
    xmlelement (
      NAME qux,
      'foo'
    )
  ),
  version '1.0',
  standalone yes
)
;;
SELECT xmlserialize(content data as character varying(20)) FROM xmltest
;;
SELECT xmlserialize(content 'good' as char(10))
;;
SELECT xmlserialize(document 'bad' as text)
;;
SELECT xml '<foo>bar</foo>' IS DOCUMENT
;;
SELECT xml '<abc/>' IS NOT DOCUMENT
;;
SELECT xmlelement(name employees, xmlagg(xmlelement(name name, name))) FROM emp
;;
PREPARE foo (xml) AS SELECT xmlconcat('<foo/>', $1)
;;
SELECT xpath(NULL, NULL) IS NULL FROM xmltest
;;
SELECT xmlexists('//town[text() = ''Cwmbran'']' PASSING BY REF '<towns><town>Bidford-on-Avon</town><town>Cwmbran</town><town>Bristol</town></towns>')
;;
SELECT xpath_exists('//town[text() = ''Toronto'']','<towns><town>Bidford-on-Avon</town><town>Cwmbran</town><town>Bristol</town></towns>'::xml)
;;
SELECT COUNT(id) FROM xmltest WHERE xmlexists('/menu/beer' PASSING data)
;;
SELECT COUNT(id) FROM xmltest WHERE xmlexists('/menu/beer' PASSING BY REF data BY REF)
;;
SELECT COUNT(id) FROM xmltest WHERE xpath_exists('/myns:menu/myns:beer',data,ARRAY[ARRAY['myns','http://myns.com']])
;;
SELECT COUNT(id) FROM xmltest, query WHERE xmlexists(expr PASSING BY REF data)
;;
SELECT * FROM XMLTABLE (ROW () PASSING null COLUMNS v1 timestamp __pg__is_not_null 1) AS f (v1)
;;
SELECT * FROM XMLTABLE(XMLNAMESPACES(DEFAULT 'http://x.y'),
                      '/rows/row'
                      PASSING '<rows xmlns="http://x.y"><row><a>10</a></row></rows>'
                      COLUMNS a int PATH 'a')
;;
SELECT * FROM XMLTABLE('.'
                       PASSING '<foo/>'
                       COLUMNS a text PATH 'foo/namespace::node()')
;;
SELECT xmltable.* FROM xmldata, LATERAL xmltable('/ROWS/ROW[COUNTRY_NAME="Japan" or COUNTRY_NAME="India"]' PASSING data COLUMNS "COUNTRY_NAME" text, "REGION_ID" int)
;;
SELECT xmltable.* FROM xmldata, LATERAL xmltable('/ROWS/ROW[COUNTRY_NAME="Japan" or COUNTRY_NAME="India"]' PASSING data COLUMNS id FOR ORDINALITY, "COUNTRY_NAME" text, "REGION_ID" int)
;;
SELECT xmltable.* FROM xmldata, LATERAL xmltable('/ROWS/ROW[COUNTRY_NAME="Japan" or COUNTRY_NAME="India"]' PASSING data COLUMNS id int PATH '@id', "COUNTRY_NAME" text, "REGION_ID" int, rawdata xml PATH '.')
;;
SELECT * FROM xmltable('/x/a' PASSING '<x><a><ent>&apos;</ent></a><a><ent>&quot;</ent></a><a><ent>&amp;</ent></a><a><ent>&lt;</ent></a><a><ent>&gt;</ent></a></x>' COLUMNS ent xml)
;;
EXPLAIN (VERBOSE, COSTS OFF)
SELECT xmltable.* FROM xmldata, LATERAL xmltable('/ROWS/ROW[COUNTRY_NAME="Japan" or COUNTRY_NAME="India"]' PASSING data COLUMNS "COUNTRY_NAME" text, "REGION_ID" int) WHERE "COUNTRY_NAME" = 'Japan'
;;
SELECT xmltable.* FROM xmltest2, LATERAL xmltable('/d/r' PASSING x COLUMNS a int PATH '' || lower(_path) || 'c')
;;
SELECT xmltable.* FROM xmltest2, LATERAL xmltable(('/d/r/' || lower(_path) || 'c') PASSING x COLUMNS a int PATH '.')
;;
SELECT xmltable.* FROM xmltest2, LATERAL xmltable(('/d/r/' || lower(_path) || 'c') PASSING x COLUMNS a int PATH 'x' DEFAULT ascii(_path) - 54)
;;
SELECT * FROM XMLTABLE('.' PASSING XMLELEMENT(NAME a) columns a varchar(20) PATH '"<foo/>"', b xml PATH '"<foo/>"')
;;
SELECT xmlforest(c1, c2, c3, c4) FROM testxmlschema.test3
