-- Test plans of Azure DevOps; each stands for its root suite as well.
--
-- in:   test_plans
-- out:  plan, one row per test plan
-- key:  key
SELECT
  key, project, rev, created_at, updated_at, updated_by, url, raw_hash, fields,
  false AS read_only,
  fields['Title'] AS title,
  fields['State'] AS state,
  fields['Description'] AS description
FROM {{ source('test_plans') }}
