-- Places for results: the results that a planned run was opened with.
--
-- in:   test_results
-- out:  slot, one row per result of a test case
-- key:  run_key, case_key, configuration, ordinal
SELECT
  run_id AS run_key,
  case_id AS case_key,
  plan_id AS plan_key,
  coalesce(configuration, '') AS configuration,
  CAST(row_number() OVER (
    PARTITION BY run_id, case_id, coalesce(configuration, '')
    ORDER BY CAST(split_part(key, '.', 2) AS BIGINT)
  ) AS BIGINT) AS ordinal,
  key AS result_key
FROM {{ source('test_results') }}
WHERE case_id IS NOT NULL
