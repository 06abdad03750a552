-- Tests of Jira Xray.
--
-- in:   source tests; view membership
-- out:  case                   one row per issue of type 'Test'
-- key:  key
--
-- A test can be in several sets; its home is the oldest of them, because ids
-- only grow and a new set then moves no home.
WITH homes AS (
  SELECT case_key, min(CAST(holder_key AS BIGINT)) AS home
  FROM {{ view('membership') }}
  WHERE holder = 'container'
  GROUP BY case_key
)
SELECT
  t.key,
  t.project,
  t.rev,
  t.created_at,
  t.updated_at,
  t.updated_by,
  t.url,
  t.raw_hash,
  t.fields,
  false AS read_only,
  t.fields['Summary'] AS title,
  t.fields['Status'] AS state,
  t.fields['Description'] AS description,
  CAST(h.home AS VARCHAR) AS home_container_key
FROM {{ source('tests') }} AS t
LEFT JOIN homes AS h ON h.case_key = t.key
