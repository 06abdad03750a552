-- Test suites of Azure DevOps below the root suites of their plans.
--
-- in:   test_suites
-- out:  container, one row per suite that is no root suite
-- key:  key
--
-- A root suite is its plan under another id, so that suites directly below it
-- have no parent. The names of requirement suites and the members of query
-- suites are the system's own, so that both only flow out.
SELECT
  s.key, s.project, s.rev, s.created_at, s.updated_at, s.updated_by, s.url, s.raw_hash, s.fields,
  s.kind <> 'static' AS read_only,
  s.fields['Title'] AS title,
  s.fields['State'] AS state,
  s.fields['Description'] AS description,
  s.kind,
  CASE WHEN p.is_root THEN NULL ELSE s.parent_id END AS parent_key,
  s.plan_id AS plan_key,
  s.path,
  s.position
FROM {{ source('test_suites') }} s
LEFT JOIN {{ source('test_suites') }} p ON p.key = s.parent_id AND p.project = s.project
WHERE NOT s.is_root
