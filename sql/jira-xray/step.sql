-- Steps of tests of Jira Xray, in wiki markup.
--
-- in:   source tests
-- out:  step                   one row per step
-- key:  case_key, position
--
-- The four lists of a test have the same length and are unrolled together.
SELECT
  case_key,
  CAST(position AS BIGINT) AS position,
  nullif(step_id, '') AS step_id,
  nullif(action, '') AS action,
  nullif(data, '') AS data,
  nullif(expected, '') AS expected
FROM (
  SELECT
    t.key AS case_key,
    unnest(range(1, CAST(array_length(t.step_ids) AS BIGINT) + 1)) AS position,
    unnest(t.step_ids) AS step_id,
    unnest(t.step_actions) AS action,
    unnest(t.step_data) AS data,
    unnest(t.step_results) AS expected
  FROM {{ source('tests') }} AS t
  WHERE array_length(t.step_ids) > 0
) AS s
