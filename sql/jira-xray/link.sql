-- Relationships of Jira Xray that pipeline files can name.
--
-- in:   source test_plans, test_sets, tests, test_executions, test_runs
-- out:  link                   one row per end
-- key:  artifact, key, relationship, target_artifact, target_key
--
-- 'relates to (in)' is the inward end of link type 'Relates' whatever it ends in;
-- the target's issue type says what that is.
WITH ends AS (
  SELECT 'Test Plan' AS artifact, p.key, 'tests' AS relationship, 'Test' AS target_artifact, unnest(p.tests) AS target_key
  FROM {{ source('test_plans') }} AS p
  UNION ALL
  SELECT 'Test Set', s.key, 'tests', 'Test', unnest(s.tests)
  FROM {{ source('test_sets') }} AS s
  UNION ALL
  SELECT 'Test Execution', e.key, 'Test Plan', 'Test Plan', unnest(e.plans)
  FROM {{ source('test_executions') }} AS e
  UNION ALL
  SELECT 'Test', t.key, 'Parent Link', coalesce(nullif(t.parent_type, ''), 'Epic'), t.parent_id
  FROM {{ source('tests') }} AS t
  UNION ALL
  SELECT 'Test Run', r.key, 'Test Run''s Test Execution key', 'Test Execution', r.execution_id
  FROM {{ source('test_runs') }} AS r
  UNION ALL
  SELECT 'Test Run', r.key, 'Test Run''s Test key', 'Test', r.test_id
  FROM {{ source('test_runs') }} AS r
  UNION ALL
  SELECT 'Test Set', l.key, 'relates to (in)', l.target_type, l.target
  FROM (
    SELECT
      s.key,
      unnest(s.link_targets) AS target,
      unnest(s.link_target_types) AS target_type,
      unnest(s.link_types) AS link_type,
      unnest(s.link_directions) AS direction
    FROM {{ source('test_sets') }} AS s
  ) AS l
  WHERE l.link_type = 'Relates' AND l.direction = 'inward'
)
SELECT DISTINCT
  artifact,
  key,
  relationship,
  target_artifact,
  target_key,
  CAST(NULL AS BIGINT) AS position,
  false AS dynamic
FROM ends
WHERE target_key IS NOT NULL
