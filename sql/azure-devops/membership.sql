-- Test cases in suites, and in plans at any depth.
--
-- in:   suite_entries, test_suites
-- out:  membership, one row per holder and case
-- key:  holder, holder_key, case_key
--
-- A plan holds a case dynamically if only suites do whose members the system
-- works out: taking the case out of static suites would not take it out then.
WITH entries AS (
  SELECT e.plan_id, e.suite_id, e.case_id, e.position, s.tree_order, s.kind, s.is_root
  FROM {{ source('suite_entries') }} e
  JOIN {{ source('test_suites') }} s ON s.key = e.suite_id
), in_plans AS (
  SELECT plan_id, case_id, min(tree_order) AS tree_order, min(position) AS place, bool_and(kind <> 'static') AS dynamic
  FROM entries
  GROUP BY plan_id, case_id
)
SELECT
  'container' AS holder,
  suite_id AS holder_key,
  case_id AS case_key,
  position,
  kind = 'query' AS dynamic
FROM entries
WHERE NOT is_root
UNION ALL
SELECT
  'plan' AS holder,
  plan_id AS holder_key,
  case_id AS case_key,
  CAST(row_number() OVER (PARTITION BY plan_id ORDER BY tree_order, place, CAST(case_id AS BIGINT)) AS BIGINT) AS position,
  dynamic
FROM in_plans
