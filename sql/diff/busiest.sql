-- How many of a run's cases each plan holds.
--
-- in:   result and membership of one repository
-- out:  one row per run and plan
-- key:  run_key, plan_key
SELECT r.run_key, m.holder_key AS plan_key, count(*) AS cases
FROM {{ result }} AS r
JOIN {{ membership }} AS m ON m.holder = 'plan' AND m.case_key = r.case_key
GROUP BY r.run_key, m.holder_key
