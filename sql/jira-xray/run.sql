-- Test executions of Jira Xray.
--
-- in:   source test_executions, test_runs
-- out:  run                    one row per issue of type 'Test Execution'
-- key:  key
--
-- An execution has no dates of its own; it lasts from the first start to the
-- last end of its runs, once all of them ended.
WITH times AS (
  SELECT
    r.execution_id,
    min(r.started_on) AS started_at,
    CASE WHEN count(*) = count(r.finished_on) THEN max(r.finished_on) END AS completed_at
  FROM {{ source('test_runs') }} AS r
  GROUP BY r.execution_id
)
SELECT
  e.key,
  e.project,
  e.rev,
  e.created_at,
  e.updated_at,
  e.updated_by,
  e.url,
  e.raw_hash,
  e.fields,
  false AS read_only,
  e.fields['Summary'] AS title,
  e.fields['Status'] AS state,
  e.fields['Description'] AS description,
  t.started_at,
  t.completed_at,
  CAST(NULL AS BOOLEAN) AS automated,
  nullif(array_to_string(e.environments, ', '), '') AS environment
FROM {{ source('test_executions') }} AS e
LEFT JOIN times AS t ON t.execution_id = e.key
