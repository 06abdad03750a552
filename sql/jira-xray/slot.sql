-- Places for results in test executions of Jira Xray.
--
-- in:   source test_runs, test_executions
-- out:  slot                   one row per (execution, test)
-- key:  run_key, case_key, configuration, ordinal
--
-- Association makes the run, so every slot has its result, be it 'TO DO', and
-- its ordinal is always 1. The configuration is the execution's environments; an
-- execution without any has the empty one. An execution in several plans counts
-- for the oldest here; all of them stand in link.
WITH plans AS (
  SELECT execution_id, min(CAST(plan_id AS BIGINT)) AS plan
  FROM (
    SELECT e.key AS execution_id, unnest(e.plans) AS plan_id
    FROM {{ source('test_executions') }} AS e
  ) AS listed
  GROUP BY execution_id
)
SELECT
  r.execution_id AS run_key,
  r.test_id AS case_key,
  CAST(p.plan AS VARCHAR) AS plan_key,
  coalesce(array_to_string(r.environments, ', '), '') AS configuration,
  CAST(1 AS BIGINT) AS ordinal,
  r.key AS result_key
FROM {{ source('test_runs') }} AS r
LEFT JOIN plans AS p ON p.execution_id = r.execution_id
WHERE r.execution_id IS NOT NULL AND r.test_id IS NOT NULL
