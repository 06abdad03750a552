-- Test cases that no test plan holds, at any depth of its suites.
--
-- in:   view case, membership
-- out:  one row per test case in no plan; containers counts suites and sets that hold it nevertheless
-- key:  key
SELECT
  c.key,
  c.project,
  c.title,
  c.state,
  coalesce(h.containers, 0) AS containers,
  c.updated_at,
  c.url
FROM {{ view('case') }} AS c
LEFT ANTI JOIN {{ view('membership') }} AS m ON m.holder = 'plan' AND m.case_key = c.key
LEFT JOIN (
  SELECT case_key, count(*) AS containers
  FROM {{ view('membership') }}
  WHERE holder = 'container'
  GROUP BY case_key
) AS h ON h.case_key = c.key
