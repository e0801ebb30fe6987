"""Texts as PostgreSQL's own scanner and grammar read them (pglast holds the server's C code).

Standard input: one JSON object a line, from tests/grammar.rs:
    sql      the client's text
    tokens   pgscrim's tokens of it, [kind, first character], or null when its lexer refuses
    printed  those tokens as pgscrim prints them, or null
    sent     [client's text, text that would be sent for it, whether it may hold derived tables and masks]
    masks    [column, SQL of its mask with pgs_operand in the place of the column, or null when it is withheld]
Standard output: one JSON object a line for each disagreement, {"what", "sql", …}, then {"counts": …}.
"""

import json
import re
import sys
from collections import Counter

from pglast.parser import ParseError, parse_sql_json, scan

WORDS = {"IDENT"}
PUNCTUATION = {
    "ASCII_40": "Open", "ASCII_41": "Close", "ASCII_91": "OpenBracket", "ASCII_93": "CloseBracket", "ASCII_44": "Comma",
    "ASCII_59": "Semicolon", "ASCII_46": "Dot", "ASCII_58": "Colon", "TYPECAST": "Typecast", "COLON_EQUALS": "Assign",
    "EQUALS_GREATER": "Arrow", "SCONST": "Text", "BCONST": "Bits", "XCONST": "Hex", "ICONST": "Number",
    "FCONST": "Number", "PARAM": "Parameter",
}
OPERATORS = {"Op", "NOT_EQUALS", "LESS_EQUALS", "GREATER_EQUALS"} | {
    f"ASCII_{ord(c)}" for c in "+-*/%^<>="
}


def scanned(sql):
    """PostgreSQL's tokens as [kind, first character], or the message of its refusal."""
    try:
        raw = [t for t in scan(sql) if t.name not in ("SQL_COMMENT", "C_COMMENT")]
    except ParseError as error:
        return str(error)
    out = []
    at = 0
    while at < len(raw):
        token = raw[at]
        name = token.name
        following = raw[at + 1] if at + 1 < len(raw) else None
        if name == "NCHAR" and token.end == token.start and following and following.name == "SCONST":
            out.append(["National", token.start])
            at += 1
        elif name in ("UIDENT", "USCONST"):
            out.append(["Quoted" if name == "UIDENT" else "Text", token.start])
            if following and following.name == "UESCAPE":
                at += 2
        elif name in PUNCTUATION:
            out.append([PUNCTUATION[name], token.start])
        elif name in OPERATORS:
            out.append(["Operator", token.start])
        elif name in WORDS or token.kind != "NO_KEYWORD":
            out.append(["Quoted" if sql[token.start] == '"' else "Word", token.start])
        else:
            out.append([name, token.start])
        at += 1
    return out


# Places, and what PostgreSQL works out for error messages.
PLACES = re.compile(r"location|stmt_len|list_start|list_end|rexpr_list_start|rexpr_list_end")


def strip(node):
    if isinstance(node, dict):
        return {key: strip(value) for key, value in node.items() if not PLACES.search(key)}
    if isinstance(node, list):
        return [strip(value) for value in node]
    return node


def mark(node, text):
    """Marks relations behind an upper-case FROM: pgscrim prints the client's words in lower case, its own in capitals."""
    if isinstance(node, list):
        for value in node:
            mark(value, text)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key == "RangeVar" and text[: value.get("location", 0)].endswith((b"FROM ", b"FROM ONLY ")):
                value["ours"] = True
            mark(value, text)


def tree(sql, marked=False):
    """The parse tree of each statement without places; none when it is no SQL."""
    try:
        root = json.loads(parse_sql_json(sql))
    except ParseError:
        return None
    if marked:
        mark(root, sql.encode())
    return [statement["stmt"] for statement in strip(root)["stmts"] if "stmt" in statement]


def is_ours(select):
    """SELECT list FROM [ONLY] schema.table [TABLESAMPLE …], with nothing else to it."""
    clauses = set(select) - {"targetList", "fromClause", "limitOption", "op"}
    source = select.get("fromClause", [])
    if clauses or len(source) != 1:
        return None
    source = source[0]
    if "RangeTableSample" in source:
        inner = source["RangeTableSample"]["relation"]
        relation = inner.get("RangeVar")
    else:
        relation = source.get("RangeVar")
    return source if relation and relation.get("ours") else None


def plain(node):
    """The tree with our derived tables as the relations that they stand for, and every relation without schema."""
    if isinstance(node, list):
        return [plain(value) for value in node]
    if not isinstance(node, dict):
        return node
    if "RangeSubselect" in node and not node["RangeSubselect"].get("lateral"):
        subselect = node["RangeSubselect"]
        source = is_ours(subselect.get("subquery", {}).get("SelectStmt", {"x": 1}))
        if source and "alias" in subselect:
            alias = plain(subselect["alias"])
            sample = dict(source["RangeTableSample"]) if "RangeTableSample" in source else None
            relation = dict(sample["relation"]["RangeVar"] if sample else source["RangeVar"])
            if alias["aliasname"] != relation["relname"] or "colnames" in alias:
                relation["alias"] = alias
            relation = {"RangeVar": named(relation)}
            return {"RangeTableSample": plain({**sample, "relation": relation})} if sample else relation
    if "RangeVar" in node:
        return {"RangeVar": named(node["RangeVar"])}
    if "relname" in node and "relpersistence" in node:
        return named(node)
    return {key: plain(value) for key, value in node.items()}


def named(node):
    node = {key: plain(value) for key, value in node.items() if key not in ("schemaname", "catalogname", "ours")}
    if node.get("alias") == {"aliasname": node["relname"]}:
        del node["alias"]
    return node


def answered(call):
    """A call that answers nothing with the argument that the client wrote: `pg_stat_get_numscans(CASE WHEN false THEN (i) ELSE NULL::oid END)`."""
    case = call.get("args", [{}])[0].get("CaseExpr", {})
    named = call["funcname"][-1] in [{"String": {"sval": name}} for name in ("pg_stat_get_numscans", "pg_stat_get_dead_tuples")]
    null = case.get("defresult", {}).get("TypeCast", {}).get("arg", {}).get("A_Const", {}).get("isnull")
    if named and null and len(case["args"]) == 1 and case["args"][0]["CaseWhen"]["expr"] == {"A_Const": {"boolval": {}}}:
        return {**call, "args": [case["args"][0]["CaseWhen"]["result"]]}
    return call


def unqualified(node):
    """Names without what pgscrim adds: pg_catalog before functions, operators and types; schemas before columns."""
    if isinstance(node, list):
        return [unqualified(value) for value in node]
    if not isinstance(node, dict):
        return node
    if any(len(clause["LockingClause"].get("lockedRels", [])) > 1 for clause in node.get("lockingClause", [])):
        # `FOR UPDATE OF a, b` is sent as `FOR UPDATE OF a FOR UPDATE OF b`.
        single = []
        for clause in node["lockingClause"]:
            clause = clause["LockingClause"]
            for relation in clause.get("lockedRels", [None]):
                single.append({"LockingClause": {**clause, "lockedRels": [relation]} if relation else clause})
        return unqualified({**node, "lockingClause": [dict(one) for one in single]})
    if "ColumnRef" in node:
        fields = node["ColumnRef"]["fields"]
        return {"ColumnRef": {"fields": fields[-2:]}}
    if "FuncCall" in node:
        node = {"FuncCall": answered(node["FuncCall"])}
    out = {}
    for key, value in node.items():
        if key in ("funcname", "name", "names") and isinstance(value, list) and len(value) > 1:
            if value[0] == {"String": {"sval": "pg_catalog"}}:
                value = value[1:]
        out[key] = unqualified(value)
    return out


def rows(node):
    """Rows of tables as the client writes them; masks are taken out before."""
    if isinstance(node, list):
        return [rows(value) for value in node]
    if not isinstance(node, dict):
        return node
    node = {key: rows(value) for key, value in node.items()}
    if node.get("A_Indirection", {}).get("indirection") == [{"A_Star": {}}]:
        # `(c).*` is sent as `c.*`.
        argument = node["A_Indirection"]["arg"]
        if "ColumnRef" in argument:
            return {"ColumnRef": {"fields": argument["ColumnRef"]["fields"] + [{"A_Star": {}}]}}
    if "ColumnRef" in node.get("TypeCast", {}).get("arg", {}):
        # `c::public.customers` gives a row back the type that a derived table takes from it.
        names = [name["String"]["sval"] for name in node["TypeCast"]["typeName"].get("names", [])]
        if len(names) == 2 or [name[:3] for name in names] == ["pg_"]:
            return node["TypeCast"]["arg"]
    return node


OPERAND = [{"String": {"sval": "pgs_operand"}}]


class Masks:
    """The masks of a rule set, to be taken out of what is sent."""

    def __init__(self, masks):
        self.withheld = {column for column, sql in masks if sql is None}
        self.patterns = []
        for column, sql in masks:
            if sql is not None:
                select = tree(f"SELECT {sql}")[0]["SelectStmt"]
                self.patterns.append((column, unqualified(plain(select["targetList"][0]["ResTarget"]["val"]))))
        # The longest first: a mask may stand in another one.
        self.patterns.sort(key=lambda pattern: -len(json.dumps(pattern[1])))

    def taken_out(self, node):
        """The tree with references where masks of them stand."""
        if isinstance(node, dict):
            for column, pattern in self.patterns:
                if pattern.keys() == node.keys():
                    operands = []
                    if matches(pattern, node, operands) and operands and all(o == operands[0] for o in operands):
                        if operands[0]["ColumnRef"]["fields"][-1] == {"String": {"sval": column}}:
                            return operands[0]
            return {key: self.taken_out(value) for key, value in node.items()}
        if isinstance(node, list):
            return [self.taken_out(value) for value in node]
        return node

    def withholds(self, reference, node):
        """Whether a node is NULL in the place of a reference to a column that is withheld."""
        name = last_name(reference)
        is_null = node.get("TypeCast", {}).get("arg") == {"A_Const": {"isnull": True}}
        return is_null and "ColumnRef" in reference and name in self.withheld


MASKS = Masks([])


def matches(pattern, node, operands):
    if isinstance(pattern, dict):
        if pattern.get("ColumnRef", {}).get("fields") == OPERAND:
            operands.append(node)
            return isinstance(node, dict) and "ColumnRef" in node
        return (
            isinstance(node, dict)
            and pattern.keys() == node.keys()
            and all(matches(value, node[key], operands) for key, value in pattern.items())
        )
    if isinstance(pattern, list):
        return (
            isinstance(node, list)
            and len(pattern) == len(node)
            and all(matches(one, two, operands) for one, two in zip(pattern, node))
        )
    return pattern == node


def last_name(node):
    """The name that a column gives to an output, casts around it aside."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    fields = node.get("ColumnRef", {}).get("fields", [{}])
    return fields[-1].get("String", {}).get("sval")


def called(node):
    """The name that PostgreSQL gives to an output, where a test needs it."""
    while "TypeCast" in node:
        node = node["TypeCast"]["arg"]
    if "XmlExpr" in node:
        return node["XmlExpr"]["op"].removeprefix("IS_").lower()
    if "valuesLists" in node.get("SubLink", {}).get("subselect", {}).get("SelectStmt", {}):
        return "column1"
    if "FuncCall" in node:
        return node["FuncCall"]["funcname"][-1]["String"]["sval"]
    if "A_Indirection" in node:
        fields = [step["String"]["sval"] for step in node["A_Indirection"]["indirection"] if "String" in step]
        return fields[-1] if fields else called(node["A_Indirection"]["arg"])
    return last_name(node)


def is_star(item):
    return item.get("ResTarget", {}).get("val", {}).get("ColumnRef", {}).get("fields", [{}])[-1] == {"A_Star": {}}


def stars_expanded(before, after):
    """Whether one list is the other with stars written out as columns."""
    # Places in `after` up to which the items so far may reach.
    places = {0}
    for item in before:
        reached = set()
        for at in places:
            if at < len(after) and same(item, after[at]):
                reached.add(at + 1)
            if is_star(item):
                reached.add(at)
                while at < len(after) and is_column(after[at]["ResTarget"]):
                    at += 1
                    reached.add(at)
        places = reached
    return len(after) in places


def is_column(item):
    """Whether an item is a column under its own name, or what stands for one that is withheld."""
    name = item.get("name")
    reference = {"ColumnRef": {"fields": [{"String": {"sval": name}}]}}
    return ("ColumnRef" in item["val"] and name in (None, last_name(item["val"]))) or MASKS.withholds(reference, item["val"])


def same(before, after):
    """Equal but for masks, names that items have from columns and keep by an alias, columns added to GROUP BY (a derived table has no primary key on which others depend), and for stars
    written out (system columns stand beside the table's in a derived table)."""
    if isinstance(before, dict) and isinstance(after, dict):
        if MASKS.withholds(before, after):
            return True
        if "val" in before and "name" in after and "name" not in before and after["name"] == called(before["val"]):
            after = {key: value for key, value in after.items() if key != "name"}
        if before.keys() != after.keys():
            return False
        for key, value in before.items():
            other = after[key]
            if key == "groupClause":
                added = len(other) - len(value)
                if added < 0 or not all("ColumnRef" in item for item in other[:added]):
                    return False
                other = other[added:]
            if not same(value, other):
                stars = key in ("targetList", "returningList", "exprs") and any(is_star(item) for item in value)
                if not (stars and stars_expanded(value, other)):
                    return False
        return True
    if isinstance(before, list) and isinstance(after, list):
        return len(before) == len(after) and all(same(one, two) for one, two in zip(before, after))
    return before == after


def made(statement):
    """SELECT INTO is sent as CREATE TABLE AS, and a table of the session says TEMPORARY."""
    leaf = statement.get("SelectStmt")
    while leaf and "intoClause" not in leaf:
        leaf = leaf.get("larg")
    if leaf:
        into = leaf.pop("intoClause")
        statement = {"CreateTableAsStmt": {"query": statement, "into": into, "objtype": "OBJECT_TABLE"}}
    for name in statement.get("DropStmt", {}).get("objects", []):
        # What is dropped is named where it can only be the session's.
        items = name.get("List", {}).get("items", [])
        if items[:1] == [{"String": {"sval": "pg_temp"}}]:
            del items[0]
    create = statement.get("CreateTableAsStmt", {}).get("into", {}).get("rel") or statement.get("CreateStmt", {}).get("relation")
    if create and create.get("schemaname") == "pg_temp":
        create["relpersistence"] = "t"
    return statement


def writes(node):
    """Whether there is a data modification in it."""
    text = json.dumps(node)
    return any(f'"{kind}Stmt"' in text for kind in ("Insert", "Update", "Delete", "Merge"))


def unguarded(node):
    """What is assigned to a masked column, without what keeps the stored value where the mask of it is written back:
    `CASE WHEN CAST(value AS type) IS NOT DISTINCT FROM mask THEN column ELSE CAST(value AS type) END`, and the same of a sub-select
    which has the value once. Masks are taken out before. Of a withheld column an empty text is the mask, too."""
    if isinstance(node, list):
        return [unguarded(value) for value in node]
    if not isinstance(node, dict):
        return node
    case = node.get("CaseExpr", {})
    if len(case.get("args", [])) == 1 and "arg" not in case:
        when = case["args"][0]["CaseWhen"]
        column = when["result"]
        either = when["expr"].get("BoolExpr", {})
        tests = either["args"] if either.get("boolop") == "OR_EXPR" else [when["expr"]]
        test = tests[0].get("A_Expr", {})
        if (
            test.get("kind") == "AEXPR_NOT_DISTINCT"
            and test["lexpr"] == case.get("defresult")
            and "TypeCast" in test["lexpr"]
            and "ColumnRef" in column
            and (last_name(test["rexpr"]) == last_name(column) and len(tests) == 1 or MASKS.withholds(column, test["rexpr"]))
        ):
            return unguarded(test["lexpr"]["TypeCast"]["arg"])
    return {key: unguarded(value) for key, value in node.items()}


def copied(before, after):
    """COPY of a table with masks, which is sent as COPY of a query over it: the query as the table and its columns."""
    table, query = before.get("CopyStmt", {}), after.get("CopyStmt", {})
    select = query.get("query", {}).get("SelectStmt", {})
    if "relation" not in table or set(select) - {"targetList", "fromClause", "limitOption", "op"} or len(select.get("fromClause", [])) != 1:
        return after
    # Of what inherits from the table COPY reads nothing.
    relation = {"inh": True, **select["fromClause"][0].get("RangeVar", {})}
    if "inh" in select["fromClause"][0].get("RangeVar", {"inh": True}):
        return after
    names = []
    for item in select["targetList"]:
        target = item["ResTarget"]
        if not is_column({"name": last_name(target["val"]), **target}):
            return after
        names.append({"String": {"sval": target.get("name", last_name(target["val"]))}})
    made = {key: value for key, value in query.items() if key != "query"} | {"relation": relation}
    return {"CopyStmt": made | ({"attlist": names} if "attlist" in table else {})}


def is_query(statement):
    """Whether a statement reads or writes rows."""
    return any(f"{kind}Stmt" in statement for kind in ("Select", "Insert", "Update", "Delete", "Merge"))


def main():
    global MASKS
    counts = Counter()
    out = []
    for line in sys.stdin:
        case = json.loads(line)
        if "masks" in case:
            MASKS = Masks(case["masks"])
            continue
        sql = case["sql"]
        counts["texts"] += 1
        theirs = scanned(sql)
        mine = case["tokens"]
        found = {"sql": sql}
        if mine is None:
            counts["refused by our lexer alone" if isinstance(theirs, list) else "refused by both lexers"] += 1
        elif isinstance(theirs, str):
            # Refused by PostgreSQL's scanner: what we would print must be refused by its grammar too, or mean nothing else.
            counts["refused by PostgreSQL's scanner alone"] += 1
            out.append({"what": "lexer accepts more", "message": theirs, **found})
        elif mine != theirs:
            out.append({"what": "other tokens", "ours": mine, "theirs": theirs, **found})
        else:
            counts["same tokens"] += 1
        if case.get("printed") is not None and isinstance(theirs, list):
            again = scanned(case["printed"])
            if [kind for kind, _ in mine] != ([kind for kind, _ in again] if isinstance(again, list) else again):
                out.append({"what": "printed tokens differ", "printed": case["printed"], "again": again, **found})
            before, after = tree(sql), tree(case["printed"])
            if case["parsed"] is not None and before is not None and len(before) == 1 and is_query(before[0]):
                counts["queries and writes"] += 1
                counts["queries and writes that pgscrim cannot parse"] += not case["parsed"]
            if before is None and after is None:
                counts["no SQL"] += 1
            elif before == after:
                counts["same tree printed"] += 1
            else:
                out.append({"what": "printed tree differs", "printed": case["printed"], "valid": before is not None, **found})
        for given, sent, masked in case["sent"]:
            before, after = tree(given), tree(sent, marked=True)
            if before is None:
                # The server says so: what is sent must be none either.
                counts["no SQL, planned"] += 1
                if after is not None:
                    out.append({"what": "SQL is made of what is none", "given": given, "sent": sent, **found})
                continue
            if after is None:
                out.append({"what": "what is sent is no SQL", "given": given, "sent": sent, **found})
                continue
            before = [made(statement) for statement in before]
            after = [made(statement) if "DropStmt" in statement else statement for statement in after]
            kind = "writes" if writes(before) else "COPY" if any("CopyStmt" in s for s in before) else ""
            before, after = rows(unqualified(plain(before))), rows(MASKS.taken_out(unqualified(plain(after))))
            if masked:
                after = [copied(*pair) for pair in zip(before, unguarded(after))] if len(before) == len(after) else after
            if same(before, after):
                counts["same tree sent" + (", masked" + (f" {kind}" if kind else "") if masked else "")] += 1
            else:
                out.append({"what": "another tree is sent", "given": given, "sent": sent, "masked": masked, **found})
    for finding in out:
        print(json.dumps(finding))
    print(json.dumps({"counts": counts}))


main()
