-- Tests in test plans and in test sets of Jira Xray.
--
-- in:   source test_plans, test_sets
-- out:  membership             one row per (plan or set, test)
-- key:  holder, holder_key, case_key
--
-- Neither plans nor sets keep an order of their own. A plan may be fed by a saved
-- filter, but Xray does not tell which, so no membership is called dynamic.
SELECT DISTINCT
  holder,
  holder_key,
  case_key,
  CAST(NULL AS BIGINT) AS position,
  false AS dynamic
FROM (
  SELECT 'plan' AS holder, p.key AS holder_key, unnest(p.tests) AS case_key
  FROM {{ source('test_plans') }} AS p
  UNION ALL
  SELECT 'container' AS holder, s.key AS holder_key, unnest(s.tests) AS case_key
  FROM {{ source('test_sets') }} AS s
) AS m
WHERE case_key IS NOT NULL
