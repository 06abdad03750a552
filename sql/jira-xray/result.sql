-- Test runs of Jira Xray.
--
-- in:   source test_runs; view slot
-- out:  result                 one row per (execution, test)
-- key:  key
--
-- Statuses are a setting; those that a site added are 'other' unless Xray counts
-- them as passed or failed.
WITH classes (status, class) AS (
  VALUES
    ('PASSED', 'passed'),
    ('PASS', 'passed'),
    ('FAILED', 'failed'),
    ('FAIL', 'failed'),
    ('ABORTED', 'blocked'),
    ('BLOCKED', 'blocked'),
    ('TO DO', 'not_run'),
    ('TODO', 'not_run'),
    ('EXECUTING', 'in_progress')
),
coverage (status, class) AS (
  VALUES ('OK', 'passed'), ('NOK', 'failed'), ('NOTRUN', 'not_run')
)
SELECT
  r.key,
  r.project,
  r.rev,
  r.created_at,
  r.updated_at,
  r.updated_by,
  r.url,
  r.raw_hash,
  r.fields,
  false AS read_only,
  CAST(NULL AS VARCHAR) AS title,
  r.status AS state,
  r.execution_id AS run_key,
  r.test_id AS case_key,
  s.plan_key,
  s.configuration,
  r.status AS outcome,
  coalesce(c.class, v.class, 'other') AS outcome_class,
  r.comment,
  r.started_on AS started_at,
  r.finished_on AS completed_at,
  r.duration_ms,
  r.executed_by AS run_by
FROM {{ source('test_runs') }} AS r
LEFT JOIN {{ view('slot') }} AS s ON s.result_key = r.key
LEFT JOIN classes AS c ON c.status = upper(r.status)
LEFT JOIN coverage AS v ON v.status = upper(r.coverage_status)
