#!/usr/bin/env python3
"""Parses a text as often as asked with libpg_query, PostgreSQL's own parser in a library, so that `count.sh` can count.

In: the text and how often. Out: nothing; `pg_query_parse_protobuf_opts` is what every binding calls, `raw_parser` the parser in it.
"""

import sys

from pglast.parser import parse_sql_protobuf

for _ in range(int(sys.argv[2])):
    parse_sql_protobuf(sys.argv[1])
