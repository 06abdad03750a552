-- Test plans of Jira Xray.
--
-- in:   source test_plans
-- out:  plan                   one row per issue of type 'Test Plan'
-- key:  key
SELECT
  p.key,
  p.project,
  p.rev,
  p.created_at,
  p.updated_at,
  p.updated_by,
  p.url,
  p.raw_hash,
  p.fields,
  false AS read_only,
  p.fields['Summary'] AS title,
  p.fields['Status'] AS state,
  p.fields['Description'] AS description
FROM {{ source('test_plans') }} AS p
