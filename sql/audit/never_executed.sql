-- Test cases for which no run ever came to an outcome.
--
-- in:   view case, result, membership
-- out:  one row per test case without an outcome; plans counts the plans that wait for it
-- key:  key
--
-- A result that was only made ready to be filled in ('not_run') is no outcome.
SELECT
  c.key,
  c.project,
  c.title,
  c.state,
  coalesce(p.plans, 0) AS plans,
  c.created_at,
  c.url
FROM {{ view('case') }} AS c
LEFT ANTI JOIN (
  SELECT case_key FROM {{ view('result') }} WHERE outcome_class NOT IN ('not_run', 'in_progress')
) AS r ON r.case_key = c.key
LEFT JOIN (
  SELECT case_key, count(*) AS plans
  FROM {{ view('membership') }}
  WHERE holder = 'plan'
  GROUP BY case_key
) AS p ON p.case_key = c.key
