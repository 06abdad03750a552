# The comparison of the diff benchmark in plain SQL, by DuckDB on the same Parquet files.
#
# Prints a line per statement: name, seconds, what was found.
import glob
import sys
import time

import duckdb

folder = sys.argv[1] + "/ado-xray"
db = duckdb.connect()


def table(name, pattern):
    files = sorted(glob.glob(folder + pattern, recursive=True))
    db.execute(f"CREATE VIEW {name} AS SELECT * FROM read_parquet({files!r}, hive_partitioning = false)")


table("l", "/tables/ado/test_cases/*.parquet")
table("r", "/tables/xray/tests/*.parquet")
table("pairs", "/sync/*/*/pairs.parquet")
table("base", "/sync/*/*/base.parquet")

FIELDS = [
    ("Summary", "Title", "Summary"),
    ("Description", "Description", "Description"),
    ("Status", "State", "Status"),
    ("Azure DevOps ID", "Formatted ID", "Azure DevOps ID"),
    ("Azure DevOps URL", "URL", "Azure DevOps URL"),
    ("Xray ID", "Xray ID", "Key"),
    ("Xray URL", "Xray URL", "URL"),
    ("Steps", "Steps", "Steps"),
]

held = ", ".join(
    f"max(left_native) FILTER (field = '{f}') AS bl{n}, max(right_native) FILTER (field = '{f}') AS br{n}"
    for n, (f, _, _) in enumerate(FIELDS)
)
now = ", ".join(
    f"l.fields['{a}'] AS l{n}, r.fields['{b}'] AS r{n}" for n, (_, a, b) in enumerate(FIELDS)
)
differs = " OR ".join(
    f"l{n} IS DISTINCT FROM bl{n} OR r{n} IS DISTINCT FROM br{n}" for n in range(len(FIELDS))
)
joined = "FROM pairs p JOIN l ON l.key = p.left_key JOIN r ON r.key = p.right_key"
restless = "(l.raw_hash <> p.left_hash OR r.raw_hash <> p.right_hash)"

STATEMENTS = {
    "full scan": "SELECT " + ", ".join(
        f"(SELECT bit_xor(hash({t})) FROM {t})" for t in ("l", "r", "pairs", "base")
    ),
    "fingerprints alone": f"SELECT count(*) {joined} WHERE {restless}",
    "fingerprints, then fields": f"""
        WITH wanted AS MATERIALIZED (SELECT p.pair, p.left_key, p.right_key {joined} WHERE {restless}),
        now AS (SELECT p.pair, {now} FROM wanted p JOIN l ON l.key = p.left_key JOIN r ON r.key = p.right_key),
        held AS (SELECT b.pair, {held} FROM base b SEMI JOIN wanted USING (pair) GROUP BY b.pair)
        SELECT count(*) FROM now JOIN held USING (pair) WHERE {differs}""",
    "every field": f"""
        WITH now AS (SELECT p.pair, {now} {joined}),
        held AS (SELECT b.pair, {held} FROM base b GROUP BY b.pair)
        SELECT count(*) FROM now JOIN held USING (pair) WHERE {differs}""",
}

for name, statement in STATEMENTS.items():
    begun = time.time()
    found = db.execute(statement).fetchone()
    print(name, time.time() - begun, f"{found[0]}", sep="\t")
