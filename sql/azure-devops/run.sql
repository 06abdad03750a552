-- Test runs of Azure DevOps.
--
-- in:   test_runs
-- out:  run, one row per run
-- key:  key
SELECT
  key, project, rev, created_at, updated_at, updated_by, url, raw_hash, fields,
  false AS read_only,
  fields['Summary'] AS title,
  state,
  fields['Comment'] AS description,
  started_at,
  completed_at,
  automated,
  arrow_cast(NULL, 'Utf8') AS environment
FROM {{ source('test_runs') }}
