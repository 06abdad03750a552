-- Counterparts that differ in their title, their number of steps or their latest outcome.
--
-- in:   sync.pairs; the views of both sides of every integration
-- out:  one row per live pair and aspect in which its sides differ
-- key:  pair, aspect
--
-- Blanks at the ends of a title and runs of blanks within it do not count.
WITH
{% for r in repositories %}
{{ ("outcome:" ~ r.name) | ident }} AS (
  SELECT case_key, outcome_class
  FROM (
    SELECT
      case_key, outcome_class,
      row_number() OVER (
        PARTITION BY case_key ORDER BY coalesce(completed_at, started_at, updated_at) DESC NULLS LAST, key DESC
      ) AS place
    FROM {{ r.result }}
    WHERE outcome_class NOT IN ('not_run', 'in_progress')
  ) AS o
  WHERE place = 1
),
{{ ("steps:" ~ r.name) | ident }} AS (
  SELECT case_key, count(*) AS steps FROM {{ r.step }} GROUP BY case_key
),
{% endfor %}
live AS (
  SELECT pair, integration, left_key, right_key FROM sync.pairs WHERE state = 'live' AND NOT alias
),
aspects AS (
{% for t in twins %}
  SELECT p.pair, p.integration, p.left_key, p.right_key, 'title' AS aspect,
    plain(l.title) AS left_value, plain(r.title) AS right_value
  FROM live AS p
  JOIN {{ t.left }} AS l ON l.key = p.left_key
  JOIN {{ t.right }} AS r ON r.key = p.right_key
  WHERE p.integration = {{ t.integration | lit }}
{% if t.cases %}
  UNION ALL
  SELECT p.pair, p.integration, p.left_key, p.right_key, 'steps' AS aspect,
    CAST(coalesce(l.steps, 0) AS VARCHAR) AS left_value, CAST(coalesce(r.steps, 0) AS VARCHAR) AS right_value
  FROM live AS p
  LEFT JOIN {{ ("steps:" ~ t.left_repository) | ident }} AS l ON l.case_key = p.left_key
  LEFT JOIN {{ ("steps:" ~ t.right_repository) | ident }} AS r ON r.case_key = p.right_key
  WHERE p.integration = {{ t.integration | lit }}
  UNION ALL
  SELECT p.pair, p.integration, p.left_key, p.right_key, 'latest outcome' AS aspect,
    l.outcome_class AS left_value, r.outcome_class AS right_value
  FROM live AS p
  LEFT JOIN {{ ("outcome:" ~ t.left_repository) | ident }} AS l ON l.case_key = p.left_key
  LEFT JOIN {{ ("outcome:" ~ t.right_repository) | ident }} AS r ON r.case_key = p.right_key
  WHERE p.integration = {{ t.integration | lit }}
{% endif %}
  {{ "UNION ALL" if not loop.last }}
{% endfor %}
)
SELECT pair, integration, aspect, left_key, left_value, right_key, right_value
FROM aspects
WHERE left_value IS DISTINCT FROM right_value
