-- How much of each test plan and suite was executed, and with what outcome.
--
-- in:   view plan, container, membership, result
-- out:  one row per plan and per suite, set or folder that holds test cases
-- key:  holder, key
--
-- Within a plan the latest outcome in that plan counts; in a container that belongs
-- to no plan the latest outcome anywhere. Percentages are rounded down.
WITH outcomes AS (
  SELECT
    case_key, plan_key, outcome_class, key,
    coalesce(completed_at, started_at, updated_at) AS done_at
  FROM {{ view('result') }}
  WHERE outcome_class NOT IN ('not_run', 'in_progress')
),
in_plan AS (
  SELECT case_key, plan_key, outcome_class
  FROM (
    SELECT
      case_key, plan_key, outcome_class,
      row_number() OVER (PARTITION BY plan_key, case_key ORDER BY done_at DESC NULLS LAST, key DESC) AS place
    FROM outcomes
    WHERE plan_key IS NOT NULL
  ) AS o
  WHERE place = 1
),
anywhere AS (
  SELECT case_key, outcome_class
  FROM (
    SELECT
      case_key, outcome_class,
      row_number() OVER (PARTITION BY case_key ORDER BY done_at DESC NULLS LAST, key DESC) AS place
    FROM outcomes
  ) AS o
  WHERE place = 1
),
places AS (
  SELECT m.holder, p.key, p.key AS plan_key, p.title, p.title AS path, m.case_key
  FROM {{ view('membership') }} AS m
  JOIN {{ view('plan') }} AS p ON p.key = m.holder_key
  WHERE m.holder = 'plan'
  UNION ALL
  SELECT m.holder, c.key, c.plan_key, c.title, coalesce(c.path, c.title) AS path, m.case_key
  FROM {{ view('membership') }} AS m
  JOIN {{ view('container') }} AS c ON c.key = m.holder_key
  WHERE m.holder = 'container'
),
judged AS (
  SELECT
    p.holder, p.key, p.plan_key, p.title, p.path, p.case_key,
    CASE WHEN p.plan_key IS NULL THEN a.outcome_class ELSE i.outcome_class END AS outcome
  FROM places AS p
  LEFT JOIN in_plan AS i ON i.plan_key = p.plan_key AND i.case_key = p.case_key
  LEFT JOIN anywhere AS a ON a.case_key = p.case_key
)
SELECT
  holder,
  key,
  plan_key,
  title,
  path,
  count(*) AS cases,
  count(outcome) AS executed,
  coalesce(sum(CASE WHEN outcome = 'passed' THEN 1 END), 0) AS passed,
  coalesce(sum(CASE WHEN outcome = 'failed' THEN 1 END), 0) AS failed,
  coalesce(sum(CASE WHEN outcome = 'blocked' THEN 1 END), 0) AS blocked,
  100 * count(outcome) / count(*) AS executed_percent,
  100 * coalesce(sum(CASE WHEN outcome = 'passed' THEN 1 END), 0) / count(*) AS passed_percent
FROM judged
GROUP BY holder, key, plan_key, title, path
