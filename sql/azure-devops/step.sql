-- Steps of test cases, with those of shared steps in place of the reference.
--
-- in:   test_cases
-- out:  step, one row per step
-- key:  case_key, position
--
-- The four lists of a case have the same length; unnesting them in one
-- projection walks them in step.
SELECT
  key AS case_key,
  unnest(range(1, CAST(array_length(step_actions) AS BIGINT) + 1)) AS position,
  unnest(step_ids) AS step_id,
  unnest(step_actions) AS action,
  unnest(step_data) AS data,
  unnest(step_expected) AS expected
FROM {{ source('test_cases') }}
WHERE array_length(step_actions) > 0
