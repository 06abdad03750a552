-- The latest outcome of every test case in every configuration.
--
-- in:   view case, result, run
-- out:  one row per test case and configuration in which it was executed
-- key:  case_key, configuration
WITH latest AS (
  SELECT
    r.key, r.case_key, coalesce(r.configuration, '') AS configuration, r.run_key, r.outcome, r.outcome_class,
    coalesce(r.completed_at, r.started_at, r.updated_at) AS executed_at, r.run_by,
    row_number() OVER (
      PARTITION BY r.case_key, coalesce(r.configuration, '')
      ORDER BY coalesce(r.completed_at, r.started_at, r.updated_at) DESC NULLS LAST, r.key DESC
    ) AS place
  FROM {{ view('result') }} AS r
  WHERE r.outcome_class NOT IN ('not_run', 'in_progress') AND r.case_key IS NOT NULL
)
SELECT
  l.case_key,
  c.title,
  l.configuration,
  l.outcome,
  l.outcome_class,
  l.executed_at,
  l.run_by,
  l.run_key,
  u.title AS run,
  l.key AS result_key
FROM latest AS l
LEFT JOIN {{ view('case') }} AS c ON c.key = l.case_key
LEFT JOIN {{ view('run') }} AS u ON u.key = l.run_key
WHERE l.place = 1
