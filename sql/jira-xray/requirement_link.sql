-- Tests that cover requirements in Jira Xray: the links of type 'Test'.
--
-- in:   source tests, requirements
-- out:  requirement_link       one row per (requirement, test)
-- key:  requirement_key, case_key
--
-- A link shows on both ends, and an end that moved to another project shows on
-- one only, so both ends are read. The test is the subject: it shows the
-- requirement as the outward end.
WITH shown AS (
  SELECT
    t.key AS case_key,
    unnest(t.link_targets) AS requirement_key,
    unnest(t.link_types) AS link_type,
    unnest(t.link_directions) AS direction
  FROM {{ source('tests') }} AS t
),
showing AS (
  SELECT
    r.key AS requirement_key,
    unnest(r.link_targets) AS case_key,
    unnest(r.link_types) AS link_type,
    unnest(r.link_directions) AS direction
  FROM {{ source('requirements') }} AS r
)
SELECT requirement_key, case_key FROM shown WHERE link_type = 'Test' AND direction = 'outward'
UNION
SELECT requirement_key, case_key FROM showing WHERE link_type = 'Test' AND direction = 'inward'
