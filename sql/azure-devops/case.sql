-- Test cases of Azure DevOps with their home suite.
--
-- in:   test_cases, suite_entries, test_suites
-- out:  case, one row per test case
-- key:  key
--
-- A case can be in many suites. Its home is the first static one by plan and
-- by the order of the suites within the plan; root suites are no homes.
WITH places AS (
  SELECT
    e.case_id,
    e.suite_id,
    row_number() OVER (PARTITION BY e.case_id ORDER BY CAST(e.plan_id AS BIGINT), s.tree_order) AS place
  FROM {{ source('suite_entries') }} e
  JOIN {{ source('test_suites') }} s ON s.key = e.suite_id
  WHERE s.kind = 'static' AND NOT s.is_root
)
SELECT
  c.key, c.project, c.rev, c.created_at, c.updated_at, c.updated_by, c.url, c.raw_hash, c.fields,
  false AS read_only,
  c.fields['Title'] AS title,
  c.fields['State'] AS state,
  c.fields['Description'] AS description,
  h.suite_id AS home_container_key
FROM {{ source('test_cases') }} c
LEFT JOIN places h ON h.case_id = c.key AND h.place = 1
