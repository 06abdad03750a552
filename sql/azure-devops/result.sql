-- Results of test runs; those of planned runs exist before anybody ran the test.
--
-- in:   test_results
-- out:  result, one row per result
-- key:  key
SELECT
  r.key, r.project, r.rev, r.created_at, r.updated_at, r.updated_by, r.url, r.raw_hash, r.fields,
  false AS read_only,
  r.fields['Test Case Title'] AS title,
  r.state,
  r.run_id AS run_key,
  r.case_id AS case_key,
  r.plan_id AS plan_key,
  r.configuration,
  r.outcome,
  coalesce(c.class, 'other') AS outcome_class,
  r.comment,
  r.started_at,
  r.completed_at,
  r.duration_ms,
  r.run_by
FROM {{ source('test_results') }} r
LEFT JOIN (
  VALUES
    ('Passed', 'passed'),
    ('Failed', 'failed'),
    ('Error', 'failed'),
    ('Timeout', 'failed'),
    ('Blocked', 'blocked'),
    ('Aborted', 'blocked'),
    ('Unspecified', 'not_run'),
    ('None', 'not_run'),
    ('NotExecuted', 'not_run'),
    ('InProgress', 'in_progress'),
    ('Paused', 'in_progress')
) AS c (outcome, class) ON c.outcome = coalesce(r.outcome, 'Unspecified')
